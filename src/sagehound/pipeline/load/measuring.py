"""Measuring a capacity: the search over real loads, told step by step"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sagehound.pipeline.aws_errors import aws_step
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.load.capacity import (
    CapacitySearch,
    Found,
    Search,
    SearchInterrupted,
    capacity_of,
    with_capacity,
)
from sagehound.pipeline.load.plan import EndpointTarget, LoadPlan, Target
from sagehound.pipeline.load.result import LoadResult
from sagehound.pipeline.load.signing import Payload
from sagehound.pipeline.load.standing import Standing
from sagehound.pipeline.load.step import load, tell
from sagehound.pipeline.load.verdict import GENERATOR, IN_FLIGHT, MOST_RATE
from sagehound.pipeline.load.watching import instance_type_of
from sagehound.pipeline.progress import Reporter, Step
from sagehound.settings import LoadSettings

_WAYS_OUT = {
    GENERATOR: "to know more, send from a machine with more to spare, or from several",
    IN_FLIGHT: "to know more, let more be under way: --set load.max_in_flight=N",
    MOST_RATE: "to know more, let it go on: --set load.max_rate=N",
}
"""What to do about a limit that is not the target's."""


class _StepsOnly:
    """The reporter of the single runs: the search tells each of them in a line of its own."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self.step, self.progress = reporter.step, reporter.progress
        self.log, self.trials = reporter.log, reporter.trials
        self._noted: set[str] = set()

    def note(self, text: str, **details: object) -> None:
        """A note once."""
        if text not in self._noted:
            self._noted.add(text)
            self._reporter.note(text, **details)

    def load(self, standing: Standing) -> None:
        """Nothing while a step lasts."""


def measure_capacity(
    clients: Clients,
    target: Target,
    payloads: Sequence[Payload],
    settings: LoadSettings,
    reporter: Reporter,
    step: Step,
    *,
    bound: float | None = None,
) -> LoadResult:
    """The verifying run with the capacity in it; after Ctrl-C the last one, without a capacity, and what was found.

    Raises StepFailed where no rate holds the bound.
    """
    search = Search(
        bound=bound or settings.p99,
        tolerance=settings.tolerance,
        step=settings.step,
        timeout=settings.timeout,
        max_in_flight=settings.max_in_flight,
        max_rate=settings.max_rate,
        arrivals=settings.arrivals,
        seed=settings.seed,
    )
    told = _StepsOnly(reporter)
    instance_type = ""
    if isinstance(target, EndpointTarget):
        with aws_step("load"):
            instance_type = instance_type_of(clients, target.name)

    def run(plan: LoadPlan) -> LoadResult:
        return load(clients, target, payloads, plan, told)

    looking = CapacitySearch(run, search, told.note)
    try:
        verified = looking.find()
    except SearchInterrupted:
        return _interrupted(looking.found, step)
    result = with_capacity(verified, capacity_of(verified, search, looking.found, instance_type))
    tell(result, step)
    assert result.capacity is not None
    step.text = result.capacity.sentence()
    step.lines.remove(step.text)
    if way_out := _WAYS_OUT.get(result.capacity.limited_by):
        step.lines.append(way_out)
    step.result |= {"capacity": vars(result.capacity)}
    return result


def _interrupted(found: Found, step: Step) -> LoadResult:
    """The load that was cut off, with every step before it in its remarks."""
    assert found.last is not None
    result = replace(found.last, ended="interrupted")
    tell(result, step)
    held = f"{found.holds:.3g} a second held so far" if found.holds else "no rate was found that holds"
    step.text = f"interrupted before a capacity was found; {held}"
    step.result |= {"steps": found.steps}
    return replace(result, remarks=[*result.remarks, *found.told])
