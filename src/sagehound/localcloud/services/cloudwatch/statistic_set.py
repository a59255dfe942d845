"""Many values as count, sum, least, greatest and their distribution: what a data point is computed from."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass

MOST_DISTINCT = 256
"""Distinct values that a distribution holds exactly; beyond, values share bins 1 % wide (as AWS's percentiles do)."""
STATISTICS = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
_MOST_EXPONENT = int(math.log(sys.float_info.max) / math.log(1.01))
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,10})?|100(?:\.0+)?)")


@dataclass(slots=True)
class StatisticSet:
    """`distribution` maps value to count; None when only count, sum and extremes were reported."""

    count: float
    sum: float
    minimum: float
    maximum: float
    distribution: dict[float, float] | None

    @classmethod
    def of(cls, value: float, count: float = 1.0) -> StatisticSet:
        """One value, seen `count` times."""
        return cls(count, value * count, value, value, {value: count})

    def add(self, other: StatisticSet) -> None:
        """Take in the values of `other`."""
        self.count += other.count
        self.sum += other.sum
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)
        if self.distribution is None or other.distribution is None:
            self.distribution = None
            return
        mine = self.distribution
        for value, count in other.distribution.items():
            mine[value] = mine.get(value, 0.0) + count

    def shorten(self) -> None:
        """Put the values of a distribution that has too many of them into bins."""
        if self.distribution is not None and len(self.distribution) > MOST_DISTINCT:
            self.distribution = _binned(self.distribution)

    def statistic(self, name: str) -> float | None:
        """A statistic or percentile by AWS's name; None for a percentile whose values are not known."""
        match name:
            case "SampleCount":
                return self.count
            case "Sum":
                return self.sum
            case "Average":
                return self.sum / self.count if self.count else None
            case "Minimum":
                return self.minimum
            case "Maximum":
                return self.maximum
        rank = percentile_rank(name)
        return None if rank is None or self.distribution is None else _percentile(self.distribution, rank)


def merged(sets: Iterable[StatisticSet]) -> StatisticSet:
    """All values of `sets` (at least one) together; none of them is changed."""
    total: StatisticSet | None = None
    for one in sets:
        if total is None:
            values = dict(one.distribution) if one.distribution is not None else None
            total = StatisticSet(one.count, one.sum, one.minimum, one.maximum, values)
        else:
            total.add(one)
    assert total is not None
    total.shorten()
    return total


def percentile_rank(name: str) -> float | None:
    """99.9 for `p99.9`; None for what is no percentile."""
    match = _PERCENTILE.fullmatch(name)
    return float(match[1]) if match else None


def _percentile(distribution: dict[float, float], rank: float) -> float:
    """Linear interpolation between the closest ranks, each value standing `count` times in the sorted sample."""
    total = sum(distribution.values())
    place = rank / 100 * max(0.0, total - 1)
    seen, below = 0.0, min(distribution)
    for value in sorted(distribution):
        if place < seen:  # between the last of `below` and the first of `value`
            return below + (value - below) * (place - (seen - 1))
        seen += distribution[value]
        if place <= seen - 1:
            return value
        below = value
    return below


def _binned(distribution: dict[float, float]) -> dict[float, float]:
    bins: dict[float, float] = {}
    for value, count in distribution.items():
        if value != 0:
            exponent = min(_MOST_EXPONENT, round(math.log(abs(value)) / math.log(1.01)))
            value = math.copysign(float(f"{1.01**exponent:.6g}"), value)
        bins[value] = bins.get(value, 0.0) + count
    return bins
