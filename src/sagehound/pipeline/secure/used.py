"""What was really called: the permissions that each role used, from CloudTrail's event history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sagehound.pipeline.secure.events import Use, parsed, role_of, uses_of

KEPT_DAYS = 90
"""How far back CloudTrail's event history goes."""
DELAY = timedelta(minutes=15)
"""After how long AWS promises a call to be in the history; what is younger is not counted as looked at."""
_PAGE = 50


@dataclass
class Usage:
    """The permissions that one role used over a time."""

    since: datetime
    until: datetime
    whole: bool
    """Whether every call is there; on AWS data events (S3 objects, InvokeEndpoint, log events) are not."""
    read: bool = True
    """Whether the history could be read; where it could not, nothing is called unused and nothing derived."""
    calls: int = 0
    uses: dict[tuple[str, str], Use] = field(default_factory=dict)
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    denied: dict[tuple[str, str], int] = field(default_factory=dict)
    _actions: set[str] = field(default_factory=set, init=False, repr=False)
    """Those of ``uses`` in small letters: a run uses one action on each of many objects."""

    def add(self, use: Use) -> None:
        """Count one use."""
        key = (use.action, use.resource)
        if not use.allowed:
            self.denied[key] = self.denied.get(key, 0) + 1
            return
        self.uses[key] = use
        self._actions.add(use.action.lower())
        self.counts[key] = self.counts.get(key, 0) + 1

    def used(self, action: str) -> bool:
        """Whether the action was called and allowed."""
        return action.lower() in self._actions

    @property
    def span(self) -> str:
        """The time that was looked at, in words."""
        calls = f"{self.calls:,} call{'' if self.calls == 1 else 's'}"
        return f"between {self.since:%Y-%m-%d %H:%M} and {self.until:%Y-%m-%d %H:%M} UTC ({calls})"

    def as_dict(self) -> dict[str, Any]:
        """The usage for machines."""
        listed = [
            {"action": action, "resource": resource, "count": count}
            for (action, resource), count in sorted(self.counts.items())
        ]
        denied = [
            {"action": action, "resource": resource, "count": count}
            for (action, resource), count in sorted(self.denied.items())
        ]
        return {
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "data_events": self.whole,
            "calls": self.calls,
            "allowed": listed,
            "denied": denied,
        }


def usage_of(
    cloudtrails: Sequence[Any],
    roles: dict[str, datetime],
    *,
    whole: bool,
    days: int = KEPT_DAYS,
) -> dict[str, Usage]:
    """What the sessions of each role (ARN -> when it was made) called, from the event histories of some days."""
    # Here a call is in the history at once, and the cloud's clock may run ahead of ours: then the newest event ends it.
    until = datetime.now(UTC) if whole else datetime.now(UTC) - DELAY
    start = min(max(until - timedelta(days=days), min(roles.values(), default=until)), until)
    usages = {arn: Usage(max(start, made), until, whole) for arn, made in roles.items()}
    oldest = newest = None
    for event in _events(cloudtrails, start, None if whole else until):
        happened: datetime = event["EventTime"]
        oldest = happened if oldest is None else min(oldest, happened)
        newest = happened if newest is None else max(newest, happened)
        record = parsed(event["CloudTrailEvent"])
        usage = usages.get(role_of(record))
        if usage is not None:
            usage.calls += 1
            for use in uses_of(record):
                usage.add(use)
    for usage in usages.values():
        # The history may begin later than what was asked for: only that much was looked at.
        usage.until = max(until, newest or until)
        usage.since = min(max(usage.since, oldest or until), usage.until)
    return usages


def _events(cloudtrails: Sequence[Any], start: datetime, until: datetime | None) -> Iterator[dict[str, Any]]:
    ends = {} if until is None else {"EndTime": until}
    for cloudtrail in cloudtrails:
        pages = cloudtrail.get_paginator("lookup_events").paginate(
            StartTime=start, **ends, PaginationConfig={"PageSize": _PAGE}
        )
        for page in pages:
            yield from page["Events"]
