"""Measuring a capacity: the search over real loads, told step by step"""

from __future__ import annotations

from collections.abc import Sequence

from sagehound.pipeline.aws_errors import aws_step
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.load.capacity import Search, capacity_of, find_capacity, with_capacity
from sagehound.pipeline.load.plan import EndpointTarget, LoadPlan, Target
from sagehound.pipeline.load.result import LoadResult
from sagehound.pipeline.load.signing import Payload
from sagehound.pipeline.load.standing import Standing
from sagehound.pipeline.load.step import load, tell
from sagehound.pipeline.load.watching import instance_type_of
from sagehound.pipeline.progress import Reporter, Step
from sagehound.settings import LoadSettings


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
    """The verifying run with the capacity in it; raises StepFailed where no rate holds the bound."""
    search = Search(bound or settings.p99, settings.tolerance, settings.step, settings.timeout, settings.max_in_flight)
    told = _StepsOnly(reporter)

    def run(plan: LoadPlan) -> LoadResult:
        return load(clients, target, payloads, plan, told)

    verified, limit, steps = find_capacity(run, search, told.note)
    instance_type = ""
    if isinstance(target, EndpointTarget):
        with aws_step("load"):
            instance_type = instance_type_of(clients, target.name)
    result = with_capacity(verified, capacity_of(verified, search, instance_type, limit, steps))
    tell(result, step)
    assert result.capacity is not None
    step.text = result.capacity.sentence()
    step.lines.remove(step.text)
    step.result |= {"capacity": vars(result.capacity)}
    return result
