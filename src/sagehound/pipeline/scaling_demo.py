"""Scaling as it happens: a load that takes the endpoint to its most instances and back; one through the function."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.clients import Clients, CloudClock
from sagehound.pipeline.load.payloads import stored_payloads
from sagehound.pipeline.load.plan import EndpointTarget, FunctionTarget, LoadPlan
from sagehound.pipeline.load.result import LoadResult
from sagehound.pipeline.load.step import load
from sagehound.pipeline.load.view import activity_line
from sagehound.pipeline.load.words import lines_of, sentence_of
from sagehound.pipeline.names import Names
from sagehound.pipeline.place import Place
from sagehound.pipeline.progress import Reporter, Step
from sagehound.pipeline.scaling_requests import CONCURRENCY, INVOCATIONS
from sagehound.pipeline.scaling_state import cause_words
from sagehound.pipeline.waiting import interrupted
from sagehound.settings import LoadSettings, ScaleSettings

MOST_RATE = 200.0
"""Requests a second that a demonstration sends at most: more says nothing more, and few machines answer more."""
_OVER = 0.4
"""So much more than the capacity below the most is asked for, as a share of one instance's target."""
_OUT_MINUTES, _IN_MINUTES = 4.0, 40.0
"""Minutes of the cloud's clock: until the high alarm has acted; and at most until the low one has, for each step."""
_FUNCTION_SECONDS = 6.0


@dataclass(frozen=True)
class Shown:
    """The two loads of a demonstration; ``function`` is None where no environments are kept ready."""

    endpoint: LoadResult
    function: LoadResult | None

    @property
    def loads(self) -> list[LoadResult]:
        """In the order in which they were sent."""
        return [self.endpoint] if self.function is None else [self.endpoint, self.function]


def peak_plan(scale: ScaleSettings, settings: LoadSettings, clock: CloudClock, place: Place) -> LoadPlan:
    """The load that makes the endpoint scale from its least to its most, by what the metric and its target mean.

    Raises StepFailed where that is more than a demonstration can send.
    """
    if scale.min_capacity == scale.max_capacity:
        raise StepFailed(
            "load", f"from {scale.min_capacity} to {scale.max_capacity} instances nothing scales", "Set other bounds."
        )
    instances = scale.max_capacity - 1 + _OVER
    duration = _OUT_MINUTES * 60 / clock.speed + place.instance_start_seconds
    after = _IN_MINUTES * 60 / clock.speed * max(1, scale.max_capacity - scale.min_capacity)
    rest: dict[str, Any] = {"duration": duration, "timeout": settings.timeout, "after": after}
    if scale.metric == CONCURRENCY:
        return LoadPlan(concurrency=max(1, round(scale.target * instances)), **rest)
    if scale.metric != INVOCATIONS:
        raise StepFailed(
            "load", f"nobody knows how many requests make {scale.metric} {scale.target:g}", "Take another scale.metric."
        )
    rate = scale.target * instances * clock.speed / 60
    if rate > MOST_RATE:
        raise StepFailed(
            "load",
            f"{scale.max_capacity} instances at target {scale.target:g} need {rate:.0f} requests a second at {clock}",
            f"Take a slower clock: scale.demo_speed = {_slower(scale, instances):g}; or do without: --no-scale-demo.",
        )
    return LoadPlan(rate=rate, max_in_flight=settings.max_in_flight, **rest)


def show_scaling(
    clients: Clients,
    names: Names,
    scale: ScaleSettings,
    settings: LoadSettings,
    data_name: str,
    endpoint: str,
    function: FunctionTarget | None,
    reporter: Reporter,
    step: Step,
) -> Shown:
    """Send both loads, one after the other, and tell what scaled, when and why.

    Raises StepFailed where something refuses, Interrupted where Ctrl-C has ended a load.
    """
    target = EndpointTarget(endpoint)
    payloads = stored_payloads(clients, names, target, data_name, settings.pictures)
    plan = peak_plan(scale, settings, clients.clock, clients.place)
    peak = load(clients, target, payloads, plan, reporter)
    _whole(peak)
    called = None
    if function is not None:
        events = stored_payloads(clients, names, function, data_name, settings.pictures)
        callers = LoadPlan(concurrency=max(1, scale.function_min), duration=_FUNCTION_SECONDS, timeout=settings.timeout)
        called = load(clients, function, events, callers, reporter)
        _whole(called)
    shown = Shown(peak, called)
    _tell(clients, shown, step)
    return shown


def _tell(clients: Clients, shown: Shown, step: Step) -> None:
    """What was sent, and what scaled when and why, at seconds of each load."""
    step.lines = _lines(shown.endpoint)
    if shown.function is not None:
        step.lines += [sentence_of(shown.function), *_lines(shown.function)]
    members = (
        *("target", "sent", "answered", "errors", "percentiles"),
        *("instances", "concurrency", "cold_starts", "activities"),
    )
    step.done(
        sentence_of(shown.endpoint),
        speed=clients.clock.speed,
        loads=[{member: getattr(one, member) for member in members} for one in shown.loads],
    )


def _lines(result: LoadResult) -> list[str]:
    """The load's lines, its activities with their causes."""
    return [
        *("; ".join(filter(None, (activity_line(one), cause_words(one["cause"])))) for one in result.activities),
        *lines_of(dataclasses.replace(result, activities=[])),
    ]


def _whole(result: LoadResult) -> None:
    if result.ended == "interrupted":
        raise interrupted(
            "load", "what was scaled stays so until its alarms act", "`sagehound scale` shows it, `delete` removes it."
        )


def _slower(scale: ScaleSettings, instances: float) -> float:
    return float(f"{MOST_RATE * 60 / (scale.target * instances):.2g}")
