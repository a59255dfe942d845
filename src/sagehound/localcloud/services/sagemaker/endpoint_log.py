"""What an instance of an endpoint prints, on its way to CloudWatch Logs."""

from __future__ import annotations

import logging
from collections import deque

from sagehound.localcloud.services.sagemaker.endpoint_status import Record
from sagehound.localcloud.services.sagemaker.providers import Providers

logger = logging.getLogger(__name__)

_LAST_LINES = 12
_LAST_CHARACTERS = 700
_MAX_MESSAGE = 256_000


class InstanceLog:
    """The stream VARIANT/INSTANCE of the endpoint's group, and the last lines for a FailureReason."""

    def __init__(self, record: Record, providers: Providers) -> None:
        self._region = record["Region"]
        self._group = f"/aws/sagemaker/Endpoints/{record['EndpointName']}"
        self._stream = f"{record['VariantName']}/{record['InstanceId']}"
        self._logs = providers.logs
        self._clock = providers.clock
        self._role = providers.acting_as(record["Variant"]["ExecutionRoleArn"], self._region)
        self._logged: bool | None = None
        self._lines: deque[str] = deque(maxlen=_LAST_LINES)

    def say(self, line: str) -> None:
        """A line of the cloud's own."""
        self.append([(self._clock.time(), line)])

    def append(self, batch: list[tuple[float, str]]) -> None:
        """Lines with their times; empty ones are no events for CloudWatch."""
        self._lines.extend(line for _, line in batch)
        events = [(int(moment * 1000), line[:_MAX_MESSAGE]) for moment, line in batch if line.strip()]
        if events and self._may_log():
            self._logs.append(self._region, self._group, self._stream, events)

    def _may_log(self) -> bool:
        """An instance whose role may not log answers all the same, without a log, as on AWS."""
        if self._logged is None:
            is_new = not self._logs.has_group(self._region, self._group)
            denied = self._role.logs(self._group, self._stream, is_new=is_new)
            if denied is not None:
                logger.warning("%s has no log %s: %s", self._group, self._stream, denied)
            self._logged = denied is None
        return self._logged

    def last_words(self) -> str:
        """The end of what was printed."""
        return "\n".join(self._lines).strip()[-_LAST_CHARACTERS:]
