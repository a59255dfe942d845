"""Capacity over time: how many instances there were from when to when, and the instance-seconds that this makes"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sagehound.pipeline.cost.arithmetic import exact_seconds


@dataclass(frozen=True, order=True)
class Change:
    """From this moment on there were so many."""

    moment: datetime
    count: int


@dataclass(frozen=True)
class Period:
    """Some time with the same number of them; ``end`` is None while it lasts."""

    begin: datetime
    end: datetime | None
    count: int

    def seconds(self, now: datetime) -> Decimal:
        """How long it was, or has been."""
        return exact_seconds((self.end or now) - self.begin)


def periods(changes: Iterable[Change], end: datetime | None = None) -> list[Period]:
    """The times with more than none, in order; what happens at or after ``end`` does not count any more."""
    ordered = sorted(changes, key=lambda change: change.moment)
    found: list[Period] = []
    for place, change in enumerate(ordered):
        following = ordered[place + 1].moment if place + 1 < len(ordered) else end
        until = min(following, end) if following is not None and end is not None else following
        if change.count and (until is None or until > change.moment):
            found.append(Period(change.moment, until, change.count))
    return found


def instance_seconds(spans: Sequence[Period], now: datetime) -> Decimal:
    """Seconds of all instances together, up to now where a period lasts."""
    return sum((span.seconds(now) * span.count for span in spans), Decimal(0))


def agreeing(changes: Sequence[Change], count: int, since: datetime) -> list[Change]:
    """The changes with one more where they end at another number than there is now: that one came at ``since``."""
    ordered = sorted(changes, key=lambda change: change.moment)
    if ordered and ordered[-1].count == count:
        return ordered
    return [*ordered, Change(max(since, ordered[-1].moment) if ordered else since, count)]


def after(spans: Sequence[Period], since: datetime | None) -> list[Period]:
    """The parts of the periods that lie after a moment; all of them where there is none."""
    if since is None:
        return list(spans)
    return [Period(max(one.begin, since), one.end, one.count) for one in spans if one.end is None or one.end > since]


def span_words(span: timedelta) -> str:
    """``40 s``, ``12 min``, ``3 h``, ``9 days``."""
    minutes = span.total_seconds() / 60
    if minutes < 1:
        return f"{span.total_seconds():.0f} s"
    if minutes < 90:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.0f} h" if minutes < 48 * 60 else f"{minutes / 60 / 24:.0f} days"


def runs(starts: Iterable[datetime], stops: Iterable[datetime], end: datetime | None = None) -> list[Period]:
    """The times between each start and the stop that follows it; the last one lasts, or goes on to ``end``."""
    told = sorted([*((moment, 1) for moment in starts), *((moment, 0) for moment in stops)])
    changes: list[Change] = []
    for moment, count in told:
        # A second start of what runs, or a second stop, changes nothing.
        if (changes[-1].count if changes else 0) != count:
            changes.append(Change(moment, count))
    return periods(changes, end)
