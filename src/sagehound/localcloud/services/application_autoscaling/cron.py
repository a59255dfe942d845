"""cron(Minutes Hours Day_of_month Month Day_of_week Year): the moments that it names, one after the other.

https://docs.aws.amazon.com/autoscaling/application/userguide/scheduled-scaling-using-cron-expressions.html
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from sagehound.localcloud.services.application_autoscaling.cron_field import values

_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_WEEKDAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}
_FIRST_YEAR, _LAST_YEAR = 1970, 2199
_NEAREST = re.compile(r"(\d{1,2})W")
_NTH = re.compile(r"(\w+)#([1-5])")
_LAST = re.compile(r"(\w+)L")


@dataclass(frozen=True, slots=True)
class Cron:
    """The fields; days are given by the month or by the week, the other is "?"."""

    minutes: frozenset[int]
    hours: frozenset[int]
    day_of_month: str
    months: frozenset[int]
    day_of_week: str
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
        cron = cls(
            values(minutes, 0, 59),
            values(hours, 0, 23),
            day_of_month,
            values(month, 1, 12, _MONTHS),
            day_of_week,
            values(year, _FIRST_YEAR, _LAST_YEAR),
        )
        cron._on(date(2000, 1, 1))  # what is wrong with the days is said now
        return cron

    def next(self, after: datetime, zone: tzinfo) -> datetime | None:
        """The first moment later than `after`; None when no other comes. What a change to summer time leaves out is
        left out here too."""
        local = after.astimezone(zone)
        for day in self._days(local.date()):
            for hour in sorted(self.hours):
                for minute in sorted(self.minutes):
                    moment = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
                    there = moment.timestamp()
                    same = datetime.fromtimestamp(there, zone)
                    if there > after.timestamp() and (same.hour, same.minute) == (hour, minute):
                        return moment
        return None

    def _days(self, day: date) -> Iterator[date]:
        """The days from one on; months and years without any are left out quickly."""
        while day.year <= max(self.years):
            if day.year not in self.years:
                day = date(day.year + 1, 1, 1)
            elif day.month not in self.months:
                day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
            else:
                if self._on(day):
                    yield day
                day += timedelta(days=1)

    def _on(self, day: date) -> bool:
        if self.day_of_month != "?":
            return self._in_month(day)
        weekday = (day.weekday() + 1) % 7 + 1
        text = self.day_of_week
        if text == "L":
            return weekday == _WEEKDAYS["SAT"]
        if nth := _NTH.fullmatch(text):
            return {weekday} == values(nth[1], 1, 7, _WEEKDAYS) and (day.day - 1) // 7 + 1 == int(nth[2])
        if last := _LAST.fullmatch(text):
            return {weekday} == values(last[1], 1, 7, _WEEKDAYS) and day.day + 7 > _length(day)
        return weekday in values(text, 1, 7, _WEEKDAYS)

    def _in_month(self, day: date) -> bool:
        if self.day_of_month == "L":
            return day.day == _length(day)
        if nearest := _NEAREST.fullmatch(self.day_of_month):
            return day == _nearest_weekday(day, int(nearest[1]))
        return day.day in values(self.day_of_month, 1, 31)


def _length(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]


def _nearest_weekday(day: date, wanted: int) -> date | None:
    """The weekday (Monday to Friday) nearest to a day of the month, in the same month."""
    if not 1 <= wanted <= 31:
        raise ValueError(f"{wanted} is no day of a month")
    if wanted > _length(day):
        return None
    found = day.replace(day=wanted)
    if found.weekday() == 5:
        return found - timedelta(days=1) if wanted > 1 else found + timedelta(days=2)
    if found.weekday() == 6:
        return found + timedelta(days=1) if wanted < _length(day) else found - timedelta(days=2)
    return found
