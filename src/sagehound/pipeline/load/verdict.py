"""The verdict on one step of a capacity search: whether it held the bound, and if not, who was full"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import linear_regression

from sagehound.pipeline.load.result import LoadResult

GENERATOR, IN_FLIGHT, MOST_RATE = "generator", "max_in_flight", "max_rate"
"""What kept a rate from being reached, where it was not the target."""
_CLEAR = 2.0
"""A bound that is missed so many times over is missed; what is nearer is asked again."""
_FULL_CORE = 0.9
_FEWEST_POINTS = 3


@dataclass(frozen=True)
class Verdict:
    """What came of one rate; ``limited_by`` is empty where a step that does not hold is the target's."""

    holds: bool
    clear: bool
    limited_by: str = ""
    why: str = ""
    """What the 99th percentile does not say."""


def verdict_of(result: LoadResult, bound: float, tolerance: float) -> Verdict:
    """Whether every request was answered well, 99 of 100 within the bound, and none waited longer than those before.

    The last keeps a short step honest: at a tenth more than the target can do, latency grows by a tenth of a second
    each second, and it takes a while until that is above the bound.
    """
    p99 = result.percentiles.get("p99")
    if p99 is None or result.failed or result.generator["not_sent"]:
        return Verdict(False, clear=True, limited_by=_most_here(result, bound))
    grew = growth(result)
    missed = _missed(p99, grew, bound, tolerance)
    if missed <= 1:
        return Verdict(True, clear=True)
    limited_by = _most_here(result, bound)
    if not limited_by and not result.generator["kept_up"]:
        # It was late. What remains of the latencies without that is the target's.
        late = result.generator["lateness"].get("p99", 0.0)
        grew_there = grew - late / 1000 / float(result.plan["duration"])
        limited_by = GENERATOR if _missed(p99 - late, grew_there, bound, tolerance) <= 1 else ""
    why = f", and latency grew by {grew * 1000:.0f} ms each second" if p99 <= bound else ""
    return Verdict(False, missed > _CLEAR, limited_by, why)


def _missed(p99: float, grew: float, bound: float, tolerance: float) -> float:
    """How many times over what is asked for was missed; up to 1 it was not."""
    return max(p99 / bound, grew / (tolerance / 2))


def growth(result: LoadResult) -> float:
    """By how many seconds the median latency grew each second: the share of the rate that was too much."""
    duration = int(float(result.plan["duration"]))
    points = [(one["second"], one["p50"]) for one in result.seconds[:duration] if one["p50"] is not None]
    if len(points) < _FEWEST_POINTS:
        return 0.0
    seconds, medians = zip(*points, strict=True)
    return linear_regression(seconds, medians).slope / 1000


def _most_here(result: LoadResult, bound: float) -> str:
    """What of this program was full, so that the step says nothing of the target."""
    generator = result.generator
    if generator["cores"] > _FULL_CORE:
        return GENERATOR
    # As many would have been under way in a target that keeps the bound.
    under_way = float(result.plan["rate"]) * bound / 1000
    return IN_FLIGHT if generator["held_back"] and under_way > int(result.plan["max_in_flight"]) else ""
