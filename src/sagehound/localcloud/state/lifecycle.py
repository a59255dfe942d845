"""Life cycles as data: which status may follow which, and the one place where a status changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class IllegalTransition(RuntimeError):
    """A status was asked to change in a way that the table does not have: a fault of ours, never of a caller."""


class Lifecycle:
    """One table per resource: `Lifecycle("TrainingJobStatus", {"InProgress": {"Completed", "Failed"}, ...})`.

    The table is what the console, the waiters and the tests read; a status without successors is final.
    """

    def __init__(self, member: str, table: Mapping[str, frozenset[str] | set[str]]) -> None:
        self.member = member
        self.table = {status: frozenset(after) for status, after in table.items()}
        unknown = {after for successors in self.table.values() for after in successors} - self.table.keys()
        if unknown:
            raise ValueError(f"{member}: successors that are no status of the table: {sorted(unknown)}")

    def is_final(self, status: str) -> bool:
        """Whether nothing can follow `status`."""
        return not self.table[status]

    def may(self, status: str, to: str) -> bool:
        """Whether `to` can follow `status`."""
        return to in self.table[status]

    def advance(self, record: dict[str, Any], to: str, **members: Any) -> dict[str, Any]:
        """A copy of `record`, its status moved to `to` and `members` set; IllegalTransition if the table lacks it."""
        status = record[self.member]
        if not self.may(status, to):
            raise IllegalTransition(f"{self.member} cannot go from {status} to {to}")
        return {**record, **members, self.member: to}
