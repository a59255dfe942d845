"""Capacity: the highest rate whose 99th percentile stays below a bound, found by bisection and then verified"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.load.plan import LoadPlan
from sagehound.pipeline.load.result import Capacity, LoadResult

LEAST_ANSWERS = 100
"""A 99th percentile of fewer answers is their maximum: slow targets get longer steps."""
_LONGEST_STEP = 30.0
_CALLERS = 8
_TRIES = 4
_SENT_SHARE = 0.98
_LEAST_SHARE = 0.02
"""Below so much of what a few callers reach, no rate holds the bound."""

_BOUND_HINT = "Give a bound that one request can keep: --p99 MS."

Run = Callable[[LoadPlan], LoadResult]


@dataclass(frozen=True)
class Search:
    """What is searched for: ``bound`` in milliseconds, ``tolerance`` as a share of the rate, ``step`` in seconds."""

    bound: float
    tolerance: float
    step: float
    timeout: float = 60.0
    max_in_flight: int = 1000


@dataclass
class _Found:
    """Where the search stands."""

    holds: float = 0.0
    fails: float | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)


def find_capacity(run: Run, search: Search, note: Callable[[str], None]) -> tuple[LoadResult, float | None, list[Any]]:
    """(the verifying run, the lowest rate that failed, all steps). Raises StepFailed where nothing holds the bound.

    A closed loop warms the target up and says about where it is full. From there the rate is doubled while it holds
    and halved between what holds and what does not until both are within the tolerance. The rate that held is run
    once more for twice as long; where it does not hold then, a little less is tried.
    """
    found = _Found()
    rate = _warm_up(run, search, note)
    _require_bound(run, search)
    least = rate * _LEAST_SHARE
    while found.fails is None or found.fails - found.holds > search.tolerance * found.fails:
        if _try(run, search, rate, found, note):
            found.holds = rate
        else:
            found.fails = rate
        if rate < least:
            raise _nothing_holds(search, found)
        rate = found.holds * 2 if found.fails is None else (found.holds + found.fails) / 2
    if not found.holds:
        raise _nothing_holds(search, found)
    for _ in range(_TRIES):
        result = run(_plan(search, found.holds, 2.0))
        note(f"verify {found.holds:.3g}/s: {_words(result)}")
        found.steps.append(_step_of(found.holds, result, search))
        if holds(result, search.bound):
            return result, found.fails, found.steps
        _require_whole(result)
        found.fails = found.holds
        found.holds *= 1 - search.tolerance
    raise StepFailed(
        "load",
        f"no rate below {found.fails or 0:.3g} a second held the bound twice: the target's speed changes too much",
        "Look at what else runs on this machine, or give longer steps: --set load.step=10.",
    )


def capacity_of(
    result: LoadResult, search: Search, instance_type: str, limit: float | None, steps: list[dict[str, Any]]
) -> Capacity:
    """The capacity that the verifying run has shown; raises StepFailed where instances came or went meanwhile."""
    counts = {int(one["current"]) for one in result.instances} or {1}
    if len(counts) > 1:
        raise StepFailed(
            "load",
            f"the endpoint went from {min(counts)} to {max(counts)} instances while its capacity was measured",
            "Suspend its scaling while you measure.",
        )
    (instances,) = counts
    rate = float(result.plan["rate"])
    return Capacity(
        rate=rate,
        per_instance=rate / max(instances, 1),
        instances=instances,
        instance_type=instance_type,
        p99=result.percentiles["p99"],
        bound=search.bound,
        tolerance=search.tolerance,
        limit=limit,
        steps=steps,
    )


def holds(result: LoadResult, bound: float) -> bool:
    """Whether every request was sent, was answered well, and 99 of 100 within the bound."""
    expected = float(result.plan["rate"]) * float(result.plan["duration"])
    return (
        not result.failed
        and result.sent >= _SENT_SHARE * expected - 1
        and bool(result.percentiles)
        and result.percentiles["p99"] <= bound
    )


def _warm_up(run: Run, search: Search, note: Callable[[str], None]) -> float:
    """The rate that a few callers reach: about where the search begins."""
    result = run(LoadPlan(concurrency=_CALLERS, duration=search.step, timeout=search.timeout))
    _require_whole(result)
    if not result.answered:
        kind, words = next(iter(result.error_words.items()), ("no answer", "nothing was answered"))
        raise StepFailed("load", f"{kind}: {words}", "Try a single request first: `sagehound invoke PICTURE`.")
    note(f"warm-up: {_CALLERS} callers reach {result.rate:.3g}/s")
    return result.rate


def _require_bound(run: Run, search: Search) -> None:
    """Refuse a bound that one caller alone does not see kept."""
    result = run(LoadPlan(concurrency=1, duration=search.step / 2, timeout=search.timeout))
    _require_whole(result)
    alone = result.percentiles.get("p50")
    if alone is not None and alone > search.bound:
        raise StepFailed(
            "load",
            f"no rate holds p99 {search.bound:g} ms: one caller alone waits {alone:.0f} ms (median)",
            _BOUND_HINT,
        )


def _try(run: Run, search: Search, rate: float, found: _Found, note: Callable[[str], None]) -> bool:
    result = run(_plan(search, rate, 1.0))
    _require_whole(result)
    good = holds(result, search.bound)
    found.steps.append(_step_of(rate, result, search))
    note(f"{rate:.3g}/s {'holds' if good else 'does not hold'}: {_words(result)}")
    if not good and not result.generator["kept_up"]:
        reasons = "; ".join(result.generator["reasons"])
        note(f"this program may be what is full: {reasons}")
    return good


def _plan(search: Search, rate: float, times: float) -> LoadPlan:
    duration = min(max(search.step, LEAST_ANSWERS / rate), max(_LONGEST_STEP, search.step)) * times
    return LoadPlan(rate=rate, duration=duration, timeout=search.timeout, max_in_flight=search.max_in_flight)


def _step_of(rate: float, result: LoadResult, search: Search) -> dict[str, Any]:
    told = {"rate": round(rate, 3), "seconds": result.plan["duration"], "sent": result.sent, "errors": result.errors}
    return told | {"p99": result.percentiles.get("p99"), "holds": holds(result, search.bound)}


def _words(result: LoadResult) -> str:
    p99 = f"p99 {result.percentiles['p99']:.0f} ms" if result.percentiles else "no answer"
    return p99 + (f", {result.failed} of {result.sent} failed" if result.failed else "")


def _require_whole(result: LoadResult) -> None:
    if result.ended != "completed":
        raise StepFailed("load", "interrupted before a capacity was found", "Run the same command again.")


def _nothing_holds(search: Search, found: _Found) -> StepFailed:
    best = min((one["p99"] for one in found.steps if one["p99"] is not None), default=None)
    seen = "nothing was answered" if best is None else f"the lowest p99 was {best:.0f} ms"
    return StepFailed("load", f"no rate holds p99 {search.bound:g} ms: {seen}", _BOUND_HINT)


def with_capacity(result: LoadResult, capacity: Capacity) -> LoadResult:
    """The verifying run as the file that `sagehound scale --from-load` reads."""
    return dataclasses.replace(result, capacity=capacity)
