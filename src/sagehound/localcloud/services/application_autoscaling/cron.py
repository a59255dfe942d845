"""cron(Minutes Hours Day_of_month Month Day_of_week Year): the moments that it names, one after the other.

https://docs.aws.amazon.com/autoscaling/application/userguide/scheduled-scaling-using-cron-expressions.html
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from sagehound.localcloud.services.application_autoscaling.cron_field import values

_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_WEEKDAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}
_FIRST_YEAR, _LAST_YEAR = 1970, 2199
Days = Callable[[date], bool]
"""Is this day one of them?"""
_NEAREST = re.compile(r"(\d{1,2})W")
_NTH = re.compile(r"(\w+)#([1-5])")
_LAST = re.compile(r"(\w+)L")


@dataclass(frozen=True, slots=True)
class Cron:
    """The fields, each looked into once; days are given by the month or by the week, the other is "?"."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: Days
    months: frozenset[int]
    years: frozenset[int]

    @classmethod
    def parse(cls, fields: str) -> Cron:
        """ValueError when they make no sense."""
        parts = fields.split()
        if len(parts) != 6:
            raise ValueError(f"cron has 6 fields, not {len(parts)}")
        minutes, hours, day_of_month, month, day_of_week, year = parts
        if (day_of_month == "?") == (day_of_week == "?"):
            raise ValueError("exactly one of Day_of_month and Day_of_week is ?")
        return cls(
            values(minutes, 0, 59),
            values(hours, 0, 23),
            _of_week(day_of_week) if day_of_month == "?" else _of_month(day_of_month),
            values(month, 1, 12, _MONTHS),
            values(year, _FIRST_YEAR, _LAST_YEAR),
        )

    def next(self, after: datetime, zone: tzinfo) -> datetime | None:
        """The first moment later than `after`; None when no other comes. What a change to summer time leaves out is
        left out here too."""
        if after.year > max(self.years) + 1:  # wherever the zone is, which may not have the last day of all
            return None
        local = after.astimezone(zone)
        for day in self._days(local.date()):
            past = local.hour if day == local.date() else 0
            for hour in sorted(hour for hour in self.hours if hour >= past):
                for minute in sorted(self.minutes):
                    moment = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
                    there = moment.timestamp()
                    same = datetime.fromtimestamp(there, zone)
                    if there > after.timestamp() and (same.hour, same.minute) == (hour, minute):
                        return moment
        return None

    def _days(self, day: date) -> Iterator[date]:
        """The days from one on; months and years without any are left out quickly."""
        last = max(self.years)
        while day.year <= last:
            if day.year not in self.years:
                day = date(day.year + 1, 1, 1)
            elif day.month not in self.months:
                day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
            else:
                if self.days(day):
                    yield day
                day += timedelta(days=1)


def _of_month(text: str) -> Days:
    if text == "L":
        return lambda day: day.day == _length(day)
    if nearest := _NEAREST.fullmatch(text):
        (wanted,) = values(nearest[1], 1, 31)
        return lambda day: day == _nearest_weekday(day, wanted)
    numbers = values(text, 1, 31)
    return lambda day: day.day in numbers


def _of_week(text: str) -> Days:
    if nth := _NTH.fullmatch(text):
        wanted, number = values(nth[1], 1, 7, _WEEKDAYS), int(nth[2])
        return lambda day: _weekday(day) in wanted and (day.day - 1) // 7 + 1 == number
    if last := _LAST.fullmatch(text):
        wanted = values(last[1], 1, 7, _WEEKDAYS)
        return lambda day: _weekday(day) in wanted and day.day + 7 > _length(day)
    wanted = frozenset({_WEEKDAYS["SAT"]}) if text == "L" else values(text, 1, 7, _WEEKDAYS)
    return lambda day: _weekday(day) in wanted


def _weekday(day: date) -> int:
    """1 is Sunday."""
    return (day.weekday() + 1) % 7 + 1


def _length(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]


def _nearest_weekday(day: date, wanted: int) -> date | None:
    """The weekday (Monday to Friday) nearest to a day of the month, in the same month."""
    if wanted > _length(day):
        return None
    found = day.replace(day=wanted)
    if found.weekday() == 5:
        return found - timedelta(days=1) if wanted > 1 else found + timedelta(days=2)
    if found.weekday() == 6:
        return found + timedelta(days=1) if wanted < _length(day) else found - timedelta(days=2)
    return found
