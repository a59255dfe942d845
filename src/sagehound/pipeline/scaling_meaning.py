"""What a scaling target means in the metric's own unit, and which one a measured capacity recommends."""

from __future__ import annotations

from dataclasses import dataclass

from sagehound.errors import StepFailed
from sagehound.pipeline.clients import CloudClock
from sagehound.pipeline.load.result import LoadResult
from sagehound.pipeline.scaling_requests import CONCURRENCY, INVOCATIONS, UTILIZATION

REAL = CloudClock()
_MINUTE = 60.0
_FAR = 2.0
"""A target that is this many times smaller than the recommended one is worth a word."""


@dataclass(frozen=True)
class Recommendation:
    """A target that comes from a measurement; ``full`` is what an instance holds, in the metric's unit."""

    metric: str
    target: float
    full: float
    arithmetic: str


def meaning(metric: str, target: float, clock: CloudClock = REAL) -> str:
    """One sentence: what the target is for this metric, as far from the other reading as it is."""
    if metric == INVOCATIONS:
        every = _MINUTE / target
        here = ""
        if clock.fast:
            a_second = target * clock.speed / _MINUTE
            here = f"; at {clock} its minute is {_MINUTE / clock.speed:.3g} s, so it is {a_second:.4g} a second here"
        return (
            f"target {target:g} of {metric}: {target:g} requests per minute and instance, one every {every:.3g} s "
            f"and instance, and not {target:g} at once (that is {CONCURRENCY}){here}"
        )
    if metric == CONCURRENCY:
        return (
            f"target {target:g} of {metric}: {target:g} requests under way at the same time on each instance, "
            "looked at every 10 s, however long each of them takes"
        )
    if metric == UTILIZATION:
        return (
            f"target {target:g} of {metric}: {target:.0%} of the environments kept ready are in use at the busiest "
            "moment of a minute"
        )
    return f"target {target:g} of {metric}: {target:g} % of one core in use on average; two busy cores are 200 %"


def recommend(result: LoadResult, metric: str, safety: float, clock: CloudClock = REAL) -> Recommendation:
    """The target that leaves an instance some room below what `sagehound load --capacity` has measured.

    Raises StepFailed for a load that measured no capacity, or nothing in the metric's unit.
    """
    capacity = result.capacity
    if capacity is None:
        raise StepFailed(
            "scale",
            "this load was sent at one rate and says nothing of what an instance can take",
            "Measure it: `sagehound load --capacity`.",
        )
    if result.target["kind"] != "endpoint":
        raise StepFailed(
            "scale",
            f"the capacity of {result.target['kind']} {result.target['name']} is none of an endpoint's instance",
            "Measure the endpoint: `sagehound load --capacity --endpoint NAME`.",
        )
    rate = capacity.per_instance
    if metric == INVOCATIONS:
        minute = _MINUTE / clock.speed
        full = rate * minute
        unit = "60 s" if not clock.fast else f"{minute:.3g} s (a minute at {clock})"
        terms = f"{rate:.4g} requests a second and instance x {unit} x {safety:g}"
    elif metric == CONCURRENCY:
        seconds = result.percentiles["mean"] / 1000
        full = rate * seconds
        terms = f"{rate:.4g} requests a second and instance x {seconds:.4g} s each on average x {safety:g}"
    else:
        raise StepFailed(
            "scale",
            f"a load measures requests, and {metric} is per cent",
            f"Give --target yourself, or take --metric {INVOCATIONS}.",
        )
    target = _rounded(full * safety)
    least = "; an instance holds at least that: the search met another limit" if capacity.limited_by else ""
    return Recommendation(metric, target, full, f"{terms} = {target:g} of {metric}{least}")


def check_measured(result: LoadResult, endpoint: str, instance_type: str) -> None:
    """Refuse a capacity that was measured on another endpoint, or on other instances than it has now."""
    measured = str(result.target["name"])
    if measured != endpoint:
        raise StepFailed(
            "scale",
            f"the capacity was measured on endpoint {measured}, and endpoint {endpoint} is to scale",
            f"Name that one, --endpoint {measured}, or measure this one: `sagehound load --capacity --endpoint "
            f"{endpoint}`.",
        )
    before = result.capacity.instance_type if result.capacity else ""
    if before and before != instance_type:
        raise StepFailed(
            "scale",
            f"the capacity was measured on {before}, and endpoint {endpoint} runs on {instance_type}",
            f"Measure it again: `sagehound load --capacity --endpoint {endpoint}`.",
        )


def warning(target: float, recommended: Recommendation) -> str:
    """What is wrong with a target beside the measured capacity; empty where it fits."""
    if target > recommended.full:
        return (
            f"target {target:g} is above what an instance holds ({recommended.full:.4g}): it is overloaded "
            f"before anything scales; {recommended.target:g} is recommended"
        )
    if target * _FAR < recommended.target:
        share = target / recommended.full
        return (
            f"target {target:g} is {share:.0%} of what an instance holds ({recommended.full:.4g}): instances are "
            f"added, and paid, long before they are needed; {recommended.target:g} is recommended"
        )
    return ""


def _rounded(value: float) -> float:
    """Four digits are more than a load can be known to."""
    return float(f"{value:.4g}")
