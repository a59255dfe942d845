"""Time series and what metric math does with them: operators over matching times, aggregates, filling of gaps."""

from __future__ import annotations

import math
import operator
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from sagehound.localcloud.services.cloudwatch.errors import invalid_query

MOST_FILLED = 100_800
"""Data points of one series, as many as one answer of GetMetricData has."""


@dataclass(frozen=True, slots=True)
class Series:
    """Values by time (seconds since 1970), and the times that the request covers: first, behind the last, step."""

    values: dict[int, float]
    first: int
    end: int
    period: int

    def map(self, function: Callable[[float], float]) -> Series:
        """The function of each value."""
        return self.over({time: function(value) for time, value in self.values.items()})

    def over(self, values: dict[int, float]) -> Series:
        """Other values over the same times; what is no finite number is no value."""
        finite = {time: value for time, value in values.items() if math.isfinite(value)}
        return Series(finite, self.first, self.end, self.period)

    def times(self) -> range:
        """Every time at which the request could have a value."""
        return range(self.first, self.end, self.period)


Value = float | Series | list[Series]


def _divide(left: float, right: float) -> float:
    return left / right if right else math.nan


def _power(left: float, right: float) -> float:
    try:
        result = left**right
    except (OverflowError, ZeroDivisionError):
        return math.nan
    return result if isinstance(result, float) else math.nan


OPERATORS: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "^": _power,
}


def apply(symbol: str, left: Value, right: Value) -> Value:
    """An operator on numbers, series and arrays; no value where one of two series has none or a division no result."""
    if isinstance(left, list) and isinstance(right, list):
        raise invalid_query(f"The operator {symbol} cannot be applied to two arrays of time series.")
    if isinstance(left, list):
        return [one for item in left if isinstance(one := apply(symbol, item, right), Series)]
    if isinstance(right, list):
        return [one for item in right if isinstance(one := apply(symbol, left, item), Series)]
    function = OPERATORS[symbol]
    if isinstance(left, Series) and isinstance(right, Series):
        common = left.values.keys() & right.values.keys()
        return left.over({time: function(left.values[time], right.values[time]) for time in sorted(common)})
    if isinstance(left, Series):
        number = _number(right)
        return left.over({time: function(value, number) for time, value in left.values.items()})
    if isinstance(right, Series):
        number = _number(left)
        return right.over({time: function(number, value) for time, value in right.values.items()})
    return function(left, right)


def total(values: list[float]) -> float:
    """Their sum; NaN where it is too large for a number."""
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):
        return math.nan


def aggregate(function: Callable[[list[float]], float], value: Value) -> Value:
    """Of a series one number over its times; of an array one series over its members."""
    if isinstance(value, Series):
        return function(list(value.values.values())) if value.values else math.nan
    if not isinstance(value, list):
        raise invalid_query("An aggregate function needs a time series or an array of time series.")
    if not value:
        raise invalid_query("An aggregate function needs at least one time series.")
    times = sorted({time for one in value for time in one.values})
    return value[0].over({time: function([one.values[time] for one in value if time in one.values]) for time in times})


def fill(series: Series, how: float | str) -> Series:
    """Values for times without one: a number, the value before (REPEAT), or a line between neighbours (LINEAR)."""
    times = series.times()
    if len(times) > MOST_FILLED:
        raise invalid_query(f"FILL would make {len(times):,} data points; the most are {MOST_FILLED:,}.")
    known = sorted(series.values)
    filled: dict[int, float] = {}
    for time in times:
        if time in series.values:
            filled[time] = series.values[time]
            continue
        if isinstance(how, float):
            filled[time] = how
            continue
        place = bisect_left(known, time)
        if how == "REPEAT" and place:
            filled[time] = series.values[known[place - 1]]
        elif how == "LINEAR" and 0 < place < len(known):
            low, high = known[place - 1], known[place]
            share = (time - low) / (high - low)
            filled[time] = series.values[low] + share * (series.values[high] - series.values[low])
    return series.over(filled)


def differences(series: Series, *, per_second: bool) -> Series:
    """The change from the value before, divided by the seconds between them for a rate."""
    times = sorted(series.values)
    changes: dict[int, float] = {}
    for before, time in pairwise(times):
        change = series.values[time] - series.values[before]
        changes[time] = change / (time - before) if per_second else change
    return series.over(changes)


def _number(value: Value) -> float:
    assert isinstance(value, float)
    return value
