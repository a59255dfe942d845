"""What an instance of an endpoint prints, on its way to CloudWatch Logs."""

from __future__ import annotations

from collections import deque

from sagehound.localcloud.services.sagemaker.endpoint_status import Record
from sagehound.localcloud.services.sagemaker.providers import Providers
from sagehound.localcloud.services.sagemaker.role_actions import RoleLog

_LAST_LINES = 12
_LAST_CHARACTERS = 700
_MAX_MESSAGE = 256_000


class InstanceLog:
    """The stream VARIANT/INSTANCE of the endpoint's group, and the last lines for a FailureReason."""

    def __init__(self, record: Record, providers: Providers) -> None:
        group = f"/aws/sagemaker/Endpoints/{record['EndpointName']}"
        role = providers.acting_as(record["Variant"]["ExecutionRoleArn"], record["Region"])
        self._log = RoleLog(role, providers.logs, group, group)
        self._stream = f"{record['VariantName']}/{record['InstanceId']}"
        self._clock = providers.clock
        self._lines: deque[str] = deque(maxlen=_LAST_LINES)

    def say(self, line: str) -> None:
        """A line of the cloud's own."""
        self.append([(self._clock.time(), line)])

    def append(self, batch: list[tuple[float, str]]) -> None:
        """Lines with their times; empty ones are no events for CloudWatch."""
        self._lines.extend(line for _, line in batch)
        events = [(int(moment * 1000), line[:_MAX_MESSAGE]) for moment, line in batch if line.strip()]
        self._log.append(self._stream, events)

    def last_words(self) -> str:
        """The end of what was printed."""
        return "\n".join(self._lines).strip()[-_LAST_CHARACTERS:]
