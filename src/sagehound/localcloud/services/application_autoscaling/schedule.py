"""When a scheduled action is due: at(), rate() and cron() expressions, within its start and end."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sagehound.localcloud.errors import validation
from sagehound.localcloud.services.application_autoscaling.cron import Cron

_FORM = re.compile(r"(at|rate|cron)\((.*)\)")
_AT = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})T(\d{1,2}):(\d{2}):(\d{2})")
_RATE = re.compile(r"(\d{1,9})\s+(minute|hour|day)s?")
_UNITS = {"minute": 60, "hour": 3600, "day": 86_400}


class Schedule(Protocol):
    """When something recurs. Moments are seconds since 1970."""

    def next(self, after: float, anchor: float) -> float | None:
        """The first moment later than `after`, None when there is none; rates count from `anchor`."""


@dataclass(frozen=True, slots=True)
class Once:
    """at(): one moment."""

    moment: float

    def next(self, after: float, anchor: float) -> float | None:
        """The moment, unless it has passed."""
        return self.moment if self.moment > after else None


@dataclass(frozen=True, slots=True)
class Rate:
    """rate(): a regular interval."""

    seconds: int

    def next(self, after: float, anchor: float) -> float | None:
        """Whole intervals from the anchor."""
        if anchor > after:
            return anchor
        return anchor + ((after - anchor) // self.seconds + 1) * self.seconds


@dataclass(frozen=True, slots=True)
class Recurring:
    """cron(), in a time zone."""

    cron: Cron
    zone: tzinfo

    def next(self, after: float, anchor: float) -> float | None:
        """The cron's next moment."""
        found = self.cron.next(datetime.fromtimestamp(after, UTC), self.zone)
        return None if found is None else found.timestamp()


def parse(expression: str, timezone: str | None) -> Schedule:
    """The schedule; ValidationException when the expression or the time zone is none."""
    zone = _zone(timezone)
    form = _FORM.fullmatch(expression.strip())
    try:
        if form is None:
            raise ValueError("it is none of at(), rate() and cron()")
        if form[1] == "cron":
            return Recurring(Cron.parse(form[2]), zone)
        if form[1] == "rate":
            return _rate(form[2])
        return _once(form[2], zone)
    except ValueError as reason:
        raise validation(f"Schedule expression {expression!r} is not valid: {reason}") from reason


def runs_once(expression: str) -> bool:
    """Is it at()?"""
    return expression.strip().startswith("at(")


def due(schedule: Schedule, last: float, created: float, start: datetime | None, end: datetime | None) -> float | None:
    """When it is due next, after it last ran (or was made); None when it will not be any more. Rates count from its
    creation, or from its last run where that is earlier: a clock that was ahead then has been put back."""
    if start is None:
        found = schedule.next(last, min(created, last))
    else:
        begin = start.timestamp()
        found = schedule.next(max(last, begin - 1), begin)
    return None if found is None or (end is not None and found > end.timestamp()) else found


def _rate(text: str) -> Rate:
    match = _RATE.fullmatch(text.strip())
    if match is None or not int(match[1]):
        raise ValueError("a rate is a positive number of up to 9 digits and minute(s), hour(s) or day(s)")
    return Rate(int(match[1]) * _UNITS[match[2]])


def _once(text: str, zone: tzinfo) -> Once:
    match = _AT.fullmatch(text.strip())
    if match is None:
        raise ValueError("at has the form at(yyyy-mm-ddThh:mm:ss)")
    return Once(datetime(*(int(part) for part in match.groups()), tzinfo=zone).timestamp())  # type: ignore[arg-type,misc]


def _zone(name: str | None) -> tzinfo:
    if name is None or name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as reason:
        raise validation(f"Timezone {name!r} is not a known time zone.") from reason
