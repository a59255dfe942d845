"""CloudTrail as the gateway sees it."""

from __future__ import annotations

from pathlib import Path

from sagehound.localcloud.call import Operation, operations_of
from sagehound.localcloud.services.cloudtrail.lookup import EventHistory


class CloudTrail:
    """The service over the record of calls, of which `record` is the newest file."""

    name = "cloudtrail"

    def __init__(self, record: Path, account_id: str) -> None:
        self._history = EventHistory(record, account_id)

    @property
    def operations(self) -> dict[str, Operation]:
        """By AWS's names."""
        return operations_of(self._history)
