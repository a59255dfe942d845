"""A load in one picture: rate, latency percentiles and instances over the same seconds, scaling activities marked"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sagehound.pipeline.report.charts.scales import Linear, Logarithmic, Scale, short
from sagehound.pipeline.report.charts.svg import element, join, line, picture, polyline, text

Point = tuple[float, float]
_WIDTH, _LEFT, _RIGHT = 860.0, 58.0, 96.0
_HEIGHTS = (150.0, 150.0, 96.0)
_TOP, _GAP, _BOTTOM = 30.0, 34.0, 40.0
_FEW = 8.0
"""Latencies whose largest is so many times the least are drawn on a logarithmic axis."""
_LABEL_GAP = 14.0


@dataclass(frozen=True)
class Line:
    """A named line of a panel; ``kind`` is its class in the style sheet, ``steps`` holds each value until the next."""

    name: str
    kind: str
    points: tuple[Point, ...]
    steps: bool = False


@dataclass(frozen=True)
class LoadPanel:
    """One of the three panels, drawn above each other."""

    title: str
    lines: tuple[Line, ...]
    whole: bool = False
    may_be_logarithmic: bool = False


@dataclass(frozen=True)
class Activity:
    """A scaling activity: when it began, and its words."""

    second: float
    words: str


def draw_load(title: str, panels: Sequence[LoadPanel], activities: Sequence[Activity], x_title: str) -> Markup:
    """Up to three panels over one time axis; each activity is a numbered line through all of them."""
    shown = [panel for panel in panels if any(line.points for line in panel.lines)]
    if not shown:
        return Markup("")
    end = max(x for panel in shown for one in panel.lines for x, _ in one.points)
    x = Linear(0.0, max(end, 1.0), _LEFT, _WIDTH - _RIGHT, wanted=8, whole=end > 8)
    parts: list[Markup] = []
    top = _TOP
    heights = _HEIGHTS[: len(shown)]
    bottom = _TOP + sum(heights) + _GAP * (len(heights) - 1)
    parts += _activities(activities, x, bottom)
    for panel, height in zip(shown, heights, strict=True):
        parts.append(_panel(panel, x, top, height))
        top += height + _GAP
    for place, words in x.ticks():
        parts += [line(place, bottom, place, bottom + 4, "axis"), text(place, bottom + 17, words, "tick", "middle")]
    parts.append(text((_LEFT + _WIDTH - _RIGHT) / 2, bottom + 34, x_title, "axis-title", "middle"))
    return picture(_WIDTH, bottom + _BOTTOM, _described(title, shown, activities), *parts)


def _panel(panel: LoadPanel, x: Linear, top: float, height: float) -> Markup:
    lines = [one for one in panel.lines if one.points]
    y = _scale(panel, [value for one in lines for _, value in one.points], top, top + height)
    parts = [text(0, top - 9, panel.title, "axis-title")]
    for place, words in y.ticks():
        parts += [line(_LEFT, place, x.end, place, "grid"), text(_LEFT - 7, place + 4, words, "tick", "end")]
    parts.append(line(_LEFT, top + height, x.end, top + height, "axis"))
    ends: list[tuple[float, Line]] = []
    for one in lines:
        places = [(x.place(a), y.place(b)) for a, b in one.points]
        tip = f"{one.name}: {short(min(b for _, b in one.points))} to {short(max(b for _, b in one.points))}"
        drawn = polyline(_stepped(places) if one.steps else places, f"curve {one.kind}")
        parts.append(element("g", {"class": "point"}, element("title", {}, tip), drawn))
        ends.append((places[-1][1], one))
    return join([*parts, *_labels(ends, x.end, top + height)])


def _scale(panel: LoadPanel, values: list[float], top: float, bottom: float) -> Scale:
    above = [value for value in values if value > 0]
    if panel.may_be_logarithmic and above and max(above) > _FEW * min(above):
        return Logarithmic(min(above) * 0.85, max(above) * 1.15, bottom, top)
    return Linear(0.0, max([*values, 0.0]) * 1.08 or 1.0, bottom, top, wanted=4, whole=panel.whole)


def _stepped(places: list[Point]) -> list[Point]:
    stepped: list[Point] = []
    for px, py in places:
        if stepped:
            stepped.append((px, stepped[-1][1]))
        stepped.append((px, py))
    return stepped


def _labels(ends: list[tuple[float, Line]], x: float, lowest: float) -> list[Markup]:
    """The names of the lines at their right ends, moved apart where they would cover each other."""
    ordered = sorted(ends, key=lambda one: one[0])
    places: list[float] = []
    for place, _ in ordered:
        places.append(max(place, places[-1] + _LABEL_GAP) if places else place)
    over = max(0.0, places[-1] - lowest) if places else 0.0
    return [
        text(x + 6, place - over + 4, one.name, f"label {one.kind}")
        for place, (_, one) in zip(places, ordered, strict=True)
    ]


def _activities(activities: Sequence[Activity], x: Linear, bottom: float) -> list[Markup]:
    parts: list[Markup] = []
    for number, activity in enumerate(activities, 1):
        if activity.second > x.high:
            continue
        place = x.place(activity.second)
        words = f"{number}: at {activity.second:.0f} s, {activity.words}"
        felt = element("rect", {"x": place - 6, "y": 0.0, "width": 12, "height": bottom, "class": "felt"})
        parts += [
            line(place, 15, place, bottom, "mark"),
            text(place, 11, str(number), "note", "middle"),
            element("g", {"class": "point"}, element("title", {}, words), felt),
        ]
    return parts


def _described(title: str, panels: Sequence[LoadPanel], activities: Sequence[Activity]) -> str:
    told = [
        f"{one.name} {short(min(b for _, b in one.points))} to {short(max(b for _, b in one.points))}"
        for panel in panels
        for one in panel.lines
        if one.points
    ]
    count = f"; {len(activities)} scaling activities" if activities else ""
    return f"{title}: {'; '.join(told)}{count}"
