"""Curves of a training: one line a split, named where it ends, over epochs or seconds"""

from __future__ import annotations

import math
from dataclasses import dataclass

from markupsafe import Markup

from sagehound.pipeline.report.charts.frame import Frame
from sagehound.pipeline.report.charts.scales import Linear, padded, short
from sagehound.pipeline.report.charts.svg import element, line, picture, polyline, text

Point = tuple[float, float]
_LABEL_GAP = 15.0
MOST_MARKS = 150
"""Of a longer curve only every n-th point has a mark with a tooltip, and a row in its table."""


@dataclass(frozen=True)
class Curve:
    """A named line; ``kind`` is its class in the style sheet (train, validation, test, other)."""

    name: str
    kind: str
    points: tuple[Point, ...]


def draw_curves(
    title: str,
    curves: list[Curve],
    x_title: str,
    y_range: tuple[float, float] | None = None,
    *,
    percent: bool = False,
    chance: float | None = None,
    mark: tuple[float, str] | None = None,
) -> Markup:
    """A line chart of values that are finite; ``y_range`` lets several charts share their scale.

    ``chance`` is drawn as a dashed line where it lies within the scale, ``mark`` as a vertical line with words.
    """
    finite = [Curve(c.name, c.kind, tuple(p for p in c.points if math.isfinite(p[1]))) for c in curves]
    finite = [curve for curve in finite if curve.points]
    if not finite:
        return Markup("")
    frame = Frame(right=78.0)
    xs = [x for curve in finite for x, _ in curve.points]
    low, high = y_range or values_range([y for curve in finite for _, y in curve.points], percent=percent)
    x = _x_scale(min(xs), max(xs), frame)
    y = Linear(low, high, frame.y_end, frame.top, percent=percent)
    parts = [frame.axes(x, y, x_title)]
    if chance is not None and low <= chance <= high:
        parts += [line(frame.left, y.place(chance), frame.x_end, y.place(chance), "chance")]
        parts += [text(frame.left + 6, y.place(chance) - 5, f"chance {_words(chance, percent)}", "note")]
    if mark is not None and x.low < mark[0] < x.high:
        parts += [line(x.place(mark[0]), frame.top, x.place(mark[0]), frame.y_end, "mark")]
        parts += [text(x.place(mark[0]) + 5, frame.top + 10, mark[1], "note")]
    ends = []
    for curve in finite:
        places = [(x.place(a), y.place(b)) for a, b in curve.points]
        parts.append(polyline(places, f"curve {curve.kind}"))
        every = stride(len(places))
        for (a, b), (px, py) in list(zip(curve.points, places, strict=True))[::every]:
            tip = f"{curve.name}, {x_title} {short(a)}: {_words(b, percent)}"
            parts.append(_dot(px, py, curve.kind, tip))
        ends.append((places[-1][1], curve))
    parts += _end_labels(ends, frame)
    return picture(frame.width, frame.height, _described(title, finite, x_title, percent), *parts)


def values_range(values: list[float], *, percent: bool) -> tuple[float, float]:
    """Ends of the y axis: a little beyond the values, and never below zero nor (shares) above one."""
    finite = [value for value in values if math.isfinite(value)]
    low, high = padded(finite)
    if min(finite) >= 0:
        low = max(low, 0.0)
    return low, min(high, 1.0) if percent and max(finite) <= 1 else high


def stride(points: int) -> int:
    """n where every n-th of so many points is marked."""
    return -(-points // MOST_MARKS)


def _x_scale(low: float, high: float, frame: Frame) -> Linear:
    if low == high:
        low, high = low - 0.5, high + 0.5
    # Epochs are whole, and seconds are told apart where there are enough of them.
    return Linear(low, high, frame.left + 8, frame.x_end - 4, wanted=6, whole=high - low >= 2)


def _dot(x: float, y: float, kind: str, tip: str) -> Markup:
    seen = element("circle", {"cx": x, "cy": y, "r": 2.6, "class": f"dot {kind}"})
    # The area that answers to a pointer is larger than the mark.
    felt = element("circle", {"cx": x, "cy": y, "r": 8, "class": "felt"})
    return element("g", {"class": "point"}, element("title", {}, tip), seen, felt)


def _end_labels(ends: list[tuple[float, Curve]], frame: Frame) -> list[Markup]:
    """The names of the curves at their right ends, moved apart where they would cover each other."""
    ordered = sorted(ends, key=lambda end: end[0])
    places: list[float] = []
    for place, _ in ordered:
        places.append(max(place, places[-1] + _LABEL_GAP) if places else place)
    overflow = max(0.0, places[-1] - frame.y_end)
    return [
        text(frame.x_end + 5, place - overflow + 4, _cut(curve.name), f"label {curve.kind}", title=curve.name)
        for place, (_, curve) in zip(places, ordered, strict=True)
    ]


def _cut(name: str) -> str:
    return name if len(name) <= 11 else name[:10] + "…"


def _words(value: float, percent: bool) -> str:
    return f"{value * 100:.1f} %" if percent else f"{value:.3f}" if abs(value) < 1000 else short(value)


def _described(title: str, curves: list[Curve], x_title: str, percent: bool) -> str:
    parts = [f"{c.name} from {_words(c.points[0][1], percent)} to {_words(c.points[-1][1], percent)}" for c in curves]
    return f"{title} by {x_title}: {'; '.join(parts)}"
