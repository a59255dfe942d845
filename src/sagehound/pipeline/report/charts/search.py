"""Pictures of a search: the objective against each hyperparameter, and the best so far over the trials"""

from __future__ import annotations

import math
from dataclasses import dataclass

from markupsafe import Markup

from sagehound.pipeline.report.charts.frame import Frame
from sagehound.pipeline.report.charts.scales import Bands, Linear, Logarithmic, Scale, padded, short
from sagehound.pipeline.report.charts.svg import element, line, picture, text

_FEW = 4.0
"""An objective whose largest value is this many times its median is drawn on a logarithmic axis."""


@dataclass(frozen=True)
class Mark:
    """One trial in a chart: ``x`` on the axis, its objective or None where it has none, and its tooltip."""

    x: float
    y: float | None
    tip: str
    best: bool = False
    stopped: bool = False


@dataclass(frozen=True)
class Objective:
    """The axis of the objective, which all charts of a search share."""

    name: str
    low: float
    high: float
    logarithmic: bool
    chance: float | None

    @classmethod
    def of(cls, name: str, values: list[float], chance: float | None) -> Objective:
        """An axis for these (finite) values; the chance level is taken in where it is not far away."""
        ordered = sorted(values) or [0.0, 1.0]
        logarithmic = ordered[0] > 0 and ordered[-1] > _FEW * ordered[(len(ordered) - 1) // 2]
        if chance is not None and ordered[0] <= chance <= ordered[-1] * 1.6:
            ordered = sorted([*ordered, chance])
        if logarithmic:
            return cls(name, ordered[0] * 0.85, ordered[-1] * 1.15, True, chance)
        low, high = padded(ordered, 0.08)
        return cls(name, max(low, 0.0) if ordered[0] >= 0 else low, high, False, chance)

    def scale(self, frame: Frame, lost: bool) -> Scale:
        """The scale within a frame; ``lost`` leaves a strip below for trials without a value."""
        end = frame.y_end - (26.0 if lost else 0.0)
        if self.logarithmic:
            return Logarithmic(self.low, self.high, end, frame.top)
        return Linear(self.low, self.high, end, frame.top)


def draw_scatter(objective: Objective, x: Scale, x_title: str, marks: list[Mark]) -> Markup:
    """The objective against one hyperparameter: failed trials as crosses below the axis, the best one ringed."""
    frame = _FRAME
    lost = any(mark.y is None for mark in marks)
    y = objective.scale(frame, lost)
    parts = [frame.axes(x, y, x_title), *_chance(objective, y, frame)]
    if lost:
        parts.append(text(frame.left - 7, frame.y_end - 4, "no value", "note", "end"))
    # The best one lies on top.
    parts += [_mark(mark, x, y, frame) for mark in sorted(marks, key=lambda mark: mark.best)]
    valued = sum(mark.y is not None for mark in marks)
    best = next((mark.tip for mark in marks if mark.best), "none")
    counted = f"{len(marks)} trials, {len(marks) - valued} without a value"
    label = f"{objective.name} against {x_title} of {counted}; best: {best}"
    return picture(frame.width, frame.height, label, *parts)


def draw_best_so_far(objective: Objective, marks: list[Mark], *, minimize: bool) -> Markup:
    """The objective over the trials in their order, with a step line through the best value so far."""
    frame = _FRAME
    lost = any(mark.y is None for mark in marks)
    y = objective.scale(frame, lost)
    low, high = min(mark.x for mark in marks), max(mark.x for mark in marks)
    x = Linear(low - 0.5, high + 0.5, frame.left, frame.x_end, wanted=8, whole=True)
    parts = [frame.axes(x, y, "trial"), *_chance(objective, y, frame)]
    steps = best_so_far(marks, minimize=minimize)
    if steps:
        drawn = f"M{x.place(steps[0][0]):.1f} {y.place(steps[0][1]):.1f}"
        for number, value in steps[1:]:
            drawn += f"H{x.place(number):.1f}V{y.place(value):.1f}"
        parts.append(element("path", {"d": f"{drawn}H{frame.x_end:.1f}", "class": "curve best"}))
    if lost:
        parts.append(text(frame.left - 7, frame.y_end - 4, "no value", "note", "end"))
    parts += [_mark(mark, x, y, frame) for mark in sorted(marks, key=lambda mark: mark.best)]
    found = f"from {short(steps[0][1])} to {short(steps[-1][1])}" if steps else "no trial has a value"
    return picture(frame.width, frame.height, f"best {objective.name} so far over {len(marks)} trials: {found}", *parts)


def best_so_far(marks: list[Mark], *, minimize: bool) -> list[tuple[float, float]]:
    """(trial, best value up to it) of the trials with a finite value, in order."""
    found: list[tuple[float, float]] = []
    for mark in sorted(marks, key=lambda mark: mark.x):
        if mark.y is None or not math.isfinite(mark.y):
            continue
        better = min if minimize else max
        found.append((mark.x, better(mark.y, found[-1][1]) if found else mark.y))
    return found


def hyperparameter_scale(
    values: list[float], limits: tuple[float, float] | None, *, logarithmic: bool, categories: tuple[str, ...] = ()
) -> Scale:
    """The axis of a hyperparameter: its range where that is known, or what its values span."""
    start, end = _FRAME.left + 12, _FRAME.x_end - 12
    if categories:
        return Bands(categories, _FRAME.left, _FRAME.x_end)
    shown = [value for value in (*values, *(limits or ())) if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(shown), max(shown)
    if logarithmic and low > 0 and high > low:
        return Logarithmic(low, high, start, end)
    if low == high:
        low, high = padded([low])
    return Linear(low, high, start, end)


_FRAME = Frame(left=58.0, height=280.0)


def _chance(objective: Objective, y: Scale, frame: Frame) -> list[Markup]:
    if objective.chance is None:
        return []
    words = f"chance {short(objective.chance)}"
    if objective.low <= objective.chance <= objective.high:
        place = y.place(objective.chance)
        return [
            line(frame.left, place, frame.x_end, place, "chance"),
            text(frame.x_end, place - 5, words, "note", "end"),
        ]
    above = objective.chance > objective.high
    arrow = f"↑ {words}" if above else f"↓ {words}"
    return [text(frame.x_end, frame.top - 3 if above else frame.y_end - 5, arrow, "note", "end")]


def _mark(mark: Mark, x: Scale, y: Scale, frame: Frame) -> Markup:
    px = x.place(mark.x)
    title = element("title", {}, mark.tip)
    if mark.y is None or not math.isfinite(mark.y):
        py = frame.y_end - 9
        cross = f"M{px - 4:.1f} {py - 4:.1f}l8 8m0 -8l-8 8"
        felt = element("circle", {"cx": px, "cy": py, "r": 9, "class": "felt"})
        return element("g", {"class": "point"}, title, element("path", {"d": cross, "class": "cross"}), felt)
    py = y.place(mark.y)
    kind = "trial best" if mark.best else "trial stopped" if mark.stopped else "trial"
    seen = [element("circle", {"cx": px, "cy": py, "r": 5.5 if mark.best else 4.2, "class": kind})]
    if mark.best:
        seen.append(element("circle", {"cx": px, "cy": py, "r": 9.5, "class": "ring"}))
    return element(
        "g", {"class": "point"}, title, *seen, element("circle", {"cx": px, "cy": py, "r": 9, "class": "felt"})
    )
