"""The loads of a report: their figures in words, and the lines of their picture"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from sagehound.pipeline.load.plan import LoadPlan
from sagehound.pipeline.load.result import LoadResult
from sagehound.pipeline.load.view import clock_words
from sagehound.pipeline.load.words import lines_of, name_of, sentence_of
from sagehound.pipeline.report.charts.load import Activity, Line, LoadPanel, draw_load
from sagehound.pipeline.scaling_state import cause_words

MOST_POINTS = 300
"""Of a longer load several seconds become one point: the mean of their rates, the largest of their latencies."""


@dataclass(frozen=True)
class DrawnLoad:
    """A load as the page shows it."""

    name: str
    sentence: str
    remarks: list[str]
    clock: str
    chart: Markup
    heads: list[str]
    rows: list[list[str]]
    activities: list[dict[str, Any]]


def drawn_load(result: LoadResult) -> DrawnLoad:
    """The picture of a load, its sentences, and the percentiles as a table."""
    activities = [Activity(one["second"], f"{one['description']} ({one['status']})") for one in result.activities]
    panels = [_rates(result), _latencies(result), _capacity(result)]
    return DrawnLoad(
        name=name_of(result),
        sentence=sentence_of(result).removeprefix(name_of(result)).strip(),
        remarks=lines_of(dataclasses.replace(result, activities=[])),  # the page has a table of them
        clock=clock_words(result.speed),
        chart=draw_load(f"load on {name_of(result)}", panels, activities, "seconds since the load began"),
        heads=list(result.percentiles),
        rows=[
            [words, *(f"{value:,.{0 if name == 'count' else 1}f}" for name, value in figures.items())]
            for words, figures in (
                ("from the moment that it was due", result.percentiles),
                ("with what waiting callers did not send", result.corrected),
            )
            if figures
        ],
        activities=[{**one, "why": cause_words(one["cause"])} for one in result.activities],
    )


def _rates(result: LoadResult) -> LoadPanel:
    plan = _plan(result)
    lines = []
    if not plan.closed:
        moments = sorted({0.0, plan.ramp, plan.duration})
        asked = [(moment, plan.asked(min(moment, plan.duration - 1e-9))) for moment in moments]
        lines.append(Line("asked", "asked", (*asked, (plan.duration, 0.0))))
    whole = int(min(result.elapsed, len(result.seconds)))  # the last second is only a part of one
    seconds = result.seconds[:whole] or result.seconds
    lines.append(Line("answered", "validation", _means(seconds, lambda one: float(one["answered"]))))
    if result.errors:
        lines.append(Line("errors", "failed", _means(seconds, lambda one: float(sum(one["errors"].values())))))
    return LoadPanel("requests a second", tuple(lines))


def _latencies(result: LoadResult) -> LoadPanel:
    lines = []
    for name, kind in (("p50", "validation"), ("p90", "other"), ("p99", "test")):
        points = [
            (group[0]["second"] + len(group) / 2, max(one[name] for one in group if one[name] is not None))
            for group in _groups(result.seconds)
            if any(one[name] is not None for one in group)
        ]
        lines.append(Line(name, kind, tuple(points)))
    return LoadPanel("latency, ms", tuple(lines), may_be_logarithmic=True)


def _capacity(result: LoadResult) -> LoadPanel:
    if result.instances:
        return LoadPanel("instances", _steps(result.instances, ("desired", "current")), whole=True)
    lines = _steps(result.concurrency, ("requested", "available"))
    if result.cold_starts:
        colds = _means(result.seconds, lambda one: float(one.get("cold", 0)))
        lines = (*lines, Line("cold starts/s", "failed", colds))
    return LoadPanel("environments kept ready", lines, whole=True)


def _steps(counts: Sequence[dict[str, Any]], keys: tuple[str, str]) -> tuple[Line, ...]:
    kinds = dict(zip(keys, ("asked", "validation"), strict=True))
    return tuple(
        Line(key, kinds[key], tuple((float(one["second"]), float(one[key])) for one in counts), steps=True)
        for key in keys
    )


def _means(seconds: Sequence[dict[str, Any]], value: Any) -> tuple[tuple[float, float], ...]:
    return tuple(
        (group[0]["second"] + len(group) / 2, sum(value(one) for one in group) / len(group))
        for group in _groups(seconds)
    )


def _groups(seconds: Sequence[dict[str, Any]]) -> list[Sequence[dict[str, Any]]]:
    size = max(1, math.ceil(len(seconds) / MOST_POINTS))
    return [seconds[begin : begin + size] for begin in range(0, len(seconds), size)]


def _plan(result: LoadResult) -> LoadPlan:
    known = {one.name for one in dataclasses.fields(LoadPlan)}
    return LoadPlan(**{key: value for key, value in result.plan.items() if key in known})
