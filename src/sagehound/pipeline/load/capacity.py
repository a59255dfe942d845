"""Capacity: the highest rate whose 99th percentile stays below a bound, found by bisection and then verified"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.load.plan import LoadPlan
from sagehound.pipeline.load.result import Capacity, LoadResult
from sagehound.pipeline.load.verdict import MOST_RATE, Verdict, verdict_of

LEAST_ANSWERS = 100
"""A 99th percentile of fewer answers is their maximum: slow targets get longer steps."""
_LONGEST_STEP = 30.0
_CALLERS = 8
_TRIES = 4
_FIRST_FACTOR, _MOST_FACTOR = 1.1, 2.0
"""The rate of the callers is nearly it, or far from it where they do not fill the target."""
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
    max_rate: float = 1000.0
    arrivals: str = "constant"
    seed: int = 0


@dataclass
class Found:
    """Where the search stands: the highest rate that held, the lowest that did not, and who was full there."""

    holds: float = 0.0
    fails: float | None = None
    limited_by: str = ""
    steps: list[dict[str, Any]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    last: LoadResult | None = None
    """The last load; of a search that ended, the verifying one."""


class SearchInterrupted(Exception):
    """Ctrl-C: what was found until then stands in the search's ``found``."""


class CapacitySearch:
    """One search over real loads; ``found`` is what it knows, at any time."""

    def __init__(self, run: Run, search: Search, note: Callable[[str], None]) -> None:
        self._run, self._search, self._note = run, search, note
        self.found = Found()
        self._instances: set[int] = set()

    def find(self) -> LoadResult:
        """The verifying run. Raises StepFailed where nothing holds the bound, SearchInterrupted at Ctrl-C.

        A closed loop warms the target up and says about where it is full. From there the rate goes up or down, in
        steps that grow, until it is between one that holds and one that does not, and is then halved between them
        until both are within the tolerance. A step that fails by little is asked once more. The rate that held is run
        again for as long as it takes to see that it does not fall behind; if it does, the search goes on below it.
        """
        try:
            return self._verified(min(self._warm_up(), self._search.max_rate))
        except KeyboardInterrupt:  # between two loads; the first has its own way to end
            if self.found.last is None:
                raise
            raise SearchInterrupted from None

    def _warm_up(self) -> float:
        """The rate that a few callers reach: about where the search begins. Refuse a bound that one does not keep."""
        step, timeout, bound = self._search.step, self._search.timeout, self._search.bound
        result = self._load(LoadPlan(concurrency=_CALLERS, duration=step, timeout=timeout))
        if not result.answered:
            kind, words = next(iter(result.error_words.items()), ("no answer", "nothing was answered"))
            raise StepFailed("load", f"{kind}: {words}", "Try a single request first: `sagehound invoke PICTURE`.")
        self._tell(f"warm-up: {_CALLERS} callers reach {result.rate:.3g}/s")
        alone = self._load(LoadPlan(concurrency=1, duration=step / 2, timeout=timeout)).percentiles.get("p50")
        if alone is not None and alone > bound:
            cause = f"no rate holds p99 {bound:g} ms: one caller alone waits {alone:.0f} ms (median)"
            raise StepFailed("load", cause, _BOUND_HINT)
        return result.rate

    def _narrow(self, rate: float) -> None:
        """Bring what holds and what does not within the tolerance of each other."""
        search, found = self._search, self.found
        least = rate * _LEAST_SHARE
        factor = _FIRST_FACTOR
        while found.fails is None or found.fails - found.holds > search.tolerance * found.fails:
            result, held = self._try(rate, self._step_seconds(rate))
            if held and rate >= search.max_rate:
                found.limited_by = MOST_RATE
                return
            if found.fails is None:
                rate = min(rate * factor, search.max_rate)
            elif not found.holds:
                if rate < least:
                    raise self._nothing_holds()
                rate /= factor
            elif not held and found.holds < result.rate < rate * (1 - search.tolerance):
                rate = result.rate  # too much by far: what it answered a second is what it can do
            else:
                rate = (found.holds + found.fails) / 2
            factor = min(factor * factor, _MOST_FACTOR)

    def _verified(self, rate: float) -> LoadResult:
        """The rate that held, for twice as long and until an excess of the tolerance would have met the bound.

        One that does not hold any more is the new limit; what was answered meanwhile says where to look below it.
        """
        search, found = self._search, self.found
        behind = min(search.bound / 1000 / search.tolerance, _LONGEST_STEP)
        for _ in range(_TRIES):
            self._narrow(rate)
            held_once = found.holds
            result, held = self._try(held_once, max(2 * self._step_seconds(held_once), behind), "verify ")
            if held:
                return result
            rate = min(held_once, result.rate or held_once) * (1 - search.tolerance)
            found.holds = 0.0
        raise StepFailed(
            "load",
            f"no rate below {found.fails or 0:.3g} a second held the bound twice: the target's speed changes too much",
            "Look at what else runs on this machine, or give longer steps: --set load.step=10.",
        )

    def _try(self, rate: float, seconds: float, what: str = "") -> tuple[LoadResult, bool]:
        """Send one rate, once more where it fails by little, and keep what came of it."""
        for again in (False, True):
            result, verdict = self._once(rate, seconds, what)
            if verdict.holds or verdict.clear or again:
                break
        if verdict.holds:
            self.found.holds = rate
        else:
            self.found.fails, self.found.limited_by = rate, verdict.limited_by
        return result, verdict.holds

    def _once(self, rate: float, seconds: float, what: str) -> tuple[LoadResult, Verdict]:
        search, found = self._search, self.found
        plan = LoadPlan(
            rate=rate,
            duration=seconds,
            arrivals=search.arrivals,
            seed=search.seed + len(found.steps),  # the same accidents in every step would be taken for the target's
            timeout=search.timeout,
            max_in_flight=search.max_in_flight,
        )
        result = self._load(plan)
        verdict = verdict_of(result, search.bound, search.tolerance)
        found.steps.append(_step_of(result, verdict))
        said = "holds" if verdict.holds else "does not hold"
        self._tell(f"{what}{rate:.3g}/s {said}: {_words(result)}{verdict.why}")
        if verdict.limited_by:
            reasons = "; ".join(result.generator["reasons"]) or f"{search.max_in_flight} requests were under way"
            self._tell(f"that was this program, not the target: {reasons}")
        return result, verdict

    def _load(self, plan: LoadPlan) -> LoadResult:
        """One load to its end. Raises StepFailed where instances have come or gone since the first one."""
        result = self.found.last = self._run(plan)
        if result.ended != "completed":
            raise SearchInterrupted
        self._instances |= _desired(result)
        if len(self._instances) > 1:
            least, most = min(self._instances), max(self._instances)
            raise StepFailed(
                "load",
                f"the endpoint went from {least} to {most} instances while its capacity was measured",
                "Suspend its scaling while you measure.",
            )
        return result

    def _step_seconds(self, rate: float) -> float:
        return min(max(self._search.step, LEAST_ANSWERS / rate), max(_LONGEST_STEP, self._search.step))

    def _tell(self, text: str) -> None:
        self.found.told.append(text)
        self._note(text)

    def _nothing_holds(self) -> StepFailed:
        bound = self._search.bound
        if self.found.limited_by:
            return StepFailed(
                "load",
                f"no rate holds p99 {bound:g} ms, and this program was full, not the target",
                "Look at what else runs on this machine.",
            )
        best = min((one["p99"] for one in self.found.steps if one["p99"] is not None), default=None)
        seen = "nothing was answered" if best is None else f"the lowest p99 was {best:.0f} ms"
        return StepFailed("load", f"no rate holds p99 {bound:g} ms: {seen}", _BOUND_HINT)


def capacity_of(result: LoadResult, search: Search, found: Found, instance_type: str) -> Capacity:
    """The capacity that the verifying run has shown."""
    instances = max(_desired(result), default=1)
    rate = float(result.plan["rate"])
    return Capacity(
        rate=rate,
        per_instance=rate / instances,
        instances=instances,
        instance_type=instance_type,
        p99=result.percentiles["p99"],
        bound=search.bound,
        tolerance=search.tolerance,
        limit=found.fails,
        steps=found.steps,
        limited_by=found.limited_by,
    )


def with_capacity(result: LoadResult, capacity: Capacity) -> LoadResult:
    """The verifying run as the file that `sagehound scale --from-load` reads."""
    return dataclasses.replace(result, capacity=capacity)


def _desired(result: LoadResult) -> set[int]:
    """How many instances there are to be. One that misses a look of its health is there all the same."""
    return {int(one["desired"]) for one in result.instances} - {0}


def _step_of(result: LoadResult, verdict: Verdict) -> dict[str, Any]:
    plan, generator = result.plan, result.generator
    told = {"rate": round(plan["rate"], 3), "seconds": plan["duration"], "sent": result.sent, "errors": result.errors}
    told |= {"p99": result.percentiles.get("p99"), "answered_rate": round(result.rate, 3), "holds": verdict.holds}
    return told | {"kept_up": generator["kept_up"], "limited_by": verdict.limited_by}


def _words(result: LoadResult) -> str:
    p99 = f"p99 {result.percentiles['p99']:.0f} ms" if result.percentiles else "no answer"
    return p99 + (f", {result.failed} of {result.sent} failed" if result.failed else "")
