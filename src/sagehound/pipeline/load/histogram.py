"""A histogram of latencies in little memory: percentiles with an error below half a per cent, whatever their size"""

from __future__ import annotations

import math
from collections.abc import Iterator

_BITS = 7
_STEPS = 1 << _BITS
"""Buckets for each doubling: a bucket is at most 1/128 of its values wide, and its middle stands for them."""
PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)


class Histogram:
    """Counts of milliseconds in buckets that grow with their values, as HdrHistogram has them.

    Only buckets that were hit take memory: a few hundred where latencies differ by three orders of magnitude.
    """

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.count = 0
        self.total = 0.0
        self.least = math.inf
        self.most = 0.0

    def add(self, milliseconds: float, times: int = 1) -> None:
        """Count a latency."""
        value = max(milliseconds, 0.0)
        bucket = _bucket(int(value * 1000))
        self._counts[bucket] = self._counts.get(bucket, 0) + times
        self.count += times
        self.total += value * times
        self.least = min(self.least, value)
        self.most = max(self.most, value)

    def merge(self, other: Histogram) -> None:
        """Count all that another one has counted."""
        for bucket, times in other._counts.items():
            self._counts[bucket] = self._counts.get(bucket, 0) + times
        self.count += other.count
        self.total += other.total
        self.least, self.most = min(self.least, other.least), max(self.most, other.most)

    def percentile(self, percent: float) -> float | None:
        """The value that ``percent`` of 100 values do not exceed (nearest rank); None of nothing."""
        if not self.count:
            return None
        rank = max(1, math.ceil(percent / 100 * self.count - 1e-9))
        seen = 0
        for value, times in self.values():
            seen += times
            if seen >= rank:
                return min(max(value, self.least), self.most)
        return self.most

    def values(self) -> Iterator[tuple[float, int]]:
        """(milliseconds, how many), from the least on."""
        for bucket in sorted(self._counts):
            yield _middle(bucket) / 1000, self._counts[bucket]

    def corrected(self, interval: float) -> Histogram:
        """With what a closed loop leaves out: a caller that waits n intervals would have asked n times meanwhile.

        HdrHistogram's correction for coordinated omission: each value above ``interval`` brings the ones that
        requests at equal distances would have met while it lasted.
        """
        corrected = Histogram()
        corrected.merge(self)
        if interval <= 0:
            return corrected
        for value, times in self.values():
            corrected._add_row(value - interval, interval, times)
        return corrected

    def _add_row(self, value: float, interval: float, times: int) -> None:
        """Count ``value``, ``value - interval`` and so on while they are no less than ``interval``.

        A wait of a minute brings tens of thousands of milliseconds: those of one bucket are counted at once.
        """
        left = max(0, int(value / interval))
        while left:
            bucket = _bucket(int(value * 1000))
            here = min(left, 1 + max(0, int((value - _low(bucket) / 1000) / interval)))
            lowest = value - (here - 1) * interval
            self._counts[bucket] = self._counts.get(bucket, 0) + here * times
            self.count += here * times
            self.total += here * times * (value + lowest) / 2
            self.least, self.most = min(self.least, lowest), max(self.most, value)
            value, left = lowest - interval, left - here

    def as_dict(self) -> dict[str, float | int]:
        """Count, mean, extremes and percentiles, in milliseconds; empty of nothing."""
        if not self.count:
            return {}
        told = {f"p{percent:g}": round(self.percentile(percent) or 0.0, 3) for percent in PERCENTILES}
        mean = round(self.total / self.count, 3)
        return {"count": self.count, "mean": mean, "min": round(self.least, 3), **told, "max": round(self.most, 3)}


def _bucket(microseconds: int) -> int:
    shift = max(0, microseconds.bit_length() - _BITS - 1)
    return shift * _STEPS + (microseconds >> shift)


def _middle(bucket: int) -> float:
    """Microseconds in the middle of a bucket."""
    return _low(bucket) + (1 << _shift(bucket)) / 2


def _low(bucket: int) -> int:
    """The least microseconds of a bucket."""
    shift = _shift(bucket)
    return (bucket - shift * _STEPS) << shift


def _shift(bucket: int) -> int:
    return max(0, bucket // _STEPS - 1)
