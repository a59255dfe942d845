"""What functions write to their log groups, as far as their role may: without the permission there is no log.

https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-view.html
"""

from __future__ import annotations

import logging
import time

from sagehound.localcloud.functions.spec import FunctionSpec
from sagehound.localcloud.services.lambda_.invocation_needs import Authoriser, LogWriter
from sagehound.localcloud.services.lambda_.names import PRINCIPAL
from sagehound.localcloud.state import arns

logger = logging.getLogger(__name__)

_REMEMBERED_SECONDS = 5.0
"""IAM's changes take effect within moments, not at the next line."""
_MOST = 4096


class FunctionLogs:
    """Takes what a function printed; its role's permission is looked at every few seconds, not for every line."""

    def __init__(self, logs: LogWriter, authoriser: Authoriser) -> None:
        self._logs = logs
        self._authoriser = authoriser
        self._allowed: dict[tuple[str, str, str], tuple[float, bool]] = {}

    def __call__(self, spec: FunctionSpec, stream: str, events: list[tuple[int, str]]) -> None:
        """Append the lines, or leave them out."""
        if self._may_write(spec, stream):
            self._logs.append(spec.region, spec.log_group, stream, events)

    def _may_write(self, spec: FunctionSpec, stream: str) -> bool:
        key = (spec.role_arn, spec.log_group, stream)
        now = time.monotonic()
        known = self._allowed.get(key)
        if known is not None and now < known[0]:
            return known[1]
        streams = arns.make("logs", spec.region, spec.account_id, f"log-group:{spec.log_group}:log-stream:")
        # Making the group and the stream is part of writing the first line, and needs permissions of its own.
        wanted = [("logs:PutLogEvents", streams + stream)]
        if known is None or not known[1]:
            wanted.insert(0, ("logs:CreateLogStream", streams + stream))
            if not self._logs.has_group(spec.region, spec.log_group):
                wanted.insert(0, ("logs:CreateLogGroup", streams))
        reason = None
        for action, resource in wanted:
            reason = self._authoriser.denied(
                spec.role_arn, spec.name, action, resource, None, region=spec.region, via=PRINCIPAL
            )
            if reason is not None:
                logger.info("no log of %s: %s", spec.name, reason)
                break
        if len(self._allowed) >= _MOST:
            self._allowed.clear()
        self._allowed[key] = (now + _REMEMBERED_SECONDS, reason is None)
        return reason is None
