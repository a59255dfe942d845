"""The confusion matrix as a picture: true classes down, predicted ones across, readable with ten classes or hundreds"""

from __future__ import annotations

import math

from markupsafe import Markup

from sagehound.pipeline.report.charts.svg import Attribute, element, picture, text
from sagehound.pipeline.report.words import percent

_SIDE = 640.0
NAMED_CLASSES = 40
"""Up to so many classes each row and column has its name, beyond it every n-th has its number."""
MOST_CELLS = 6000


def least_drawn(counts: list[list[int]], most_cells: int = MOST_CELLS) -> int:
    """The count from which on mistakes are drawn, so that a page of many classes does not become too large."""
    wrong = sorted((n for true, row in enumerate(counts) for taken, n in enumerate(row) if n and true != taken))
    return 1 if len(wrong) <= most_cells else wrong[-most_cells - 1] + 1


def draw_confusion(counts: list[list[int]], names: list[str], full_names: list[str], least: int = 1) -> Markup:
    """A square of cells, coloured by their share of the true class: the diagonal in one hue, mistakes in another.

    ``counts`` [classes][classes] with rows = true class. Cells that are not empty are drawn, and of mistakes those
    that happened ``least`` times or more.
    """
    classes = len(counts)
    named = classes <= NAMED_CLASSES
    longest = max((len(name) for name in names), default=0)
    left = min(30.0 + 6.2 * longest, 170.0) if named else 52.0
    top = left if named else 40.0
    cell = _SIDE / max(classes, 1)
    parts = [element("rect", {"x": left, "y": top, "width": _SIDE, "height": _SIDE, "class": "matrix"})]
    parts += _axis_names(names, full_names, left, top, cell) if named else _axis_numbers(classes, left, top, cell)
    for true, row in enumerate(counts):
        pictures = sum(row)
        for taken, count in enumerate(row):
            if count >= (least if true != taken else 1):
                words = f"{full_names[true]} taken for {full_names[taken]}" if true != taken else full_names[true]
                tip = f"{words}: {count} of {pictures} ({percent(count / pictures, 0)})"
                parts.append(_cell(left + taken * cell, top + true * cell, cell, count, pictures, true == taken, tip))
    parts.append(text(left + _SIDE / 2, 12, "taken for", "axis-title", "middle"))
    turned: dict[str, Attribute] = {"x": 0, "y": 0, "class": "axis-title", "text-anchor": "middle"}
    turned_at = f"translate(12 {top + _SIDE / 2:.0f}) rotate(-90)"
    parts.append(element("text", {**turned, "transform": turned_at}, "true class"))
    right = sum(counts[index][index] for index in range(classes))
    total = sum(map(sum, counts))
    label = f"confusion matrix of {classes} classes: {right} of {total} pictures on the diagonal"
    return picture(left + _SIDE + 8, top + _SIDE + 8, label, *parts)


def _cell(x: float, y: float, side: float, count: int, pictures: int, right: bool, tip: str) -> Markup:
    share = count / pictures
    # A single mistake must still be seen beside full cells; the square root is nearer to what eyes compare.
    strength = 0.3 + 0.7 * math.sqrt(share)
    gap = 0.6 if side > 4 else 0.0
    place = {"x": x + gap / 2, "y": y + gap / 2, "width": side - gap, "height": side - gap}
    rectangle = element("rect", {**place, "class": "hit" if right else "miss", "fill-opacity": f"{strength:.2f}"})
    shown = [rectangle]
    if side >= 20:
        kind = "count strong" if strength > 0.62 else "count"
        shown.append(text(x + side / 2, y + side / 2 + 4, str(count), kind, "middle"))
    return element("g", {"class": "point"}, element("title", {}, tip), *shown)


def _axis_names(names: list[str], full: list[str], left: float, top: float, cell: float) -> list[Markup]:
    parts = []
    for index, name in enumerate(names):
        middle = (index + 0.5) * cell
        cut = name if len(name) <= 22 else name[:21] + "…"
        parts.append(text(left - 6, top + middle + 4, cut, "tick", "end", title=full[index]))
        turn = f"translate({left + middle + 4:.1f} {top - 6:.1f}) rotate(-60)"
        title = element("title", {}, full[index])
        parts.append(element("text", {"class": "tick", "transform": turn}, cut, title))
    return parts


def _axis_numbers(classes: int, left: float, top: float, cell: float) -> list[Markup]:
    every = next(step for step in (10, 20, 25, 50, 100, 10**9) if classes / step <= 16)
    parts = []
    for number in (1, *range(every, classes + 1, every)):
        middle = (number - 0.5) * cell
        parts.append(text(left - 6, top + middle + 4, str(number), "tick", "end"))
        parts.append(text(left + middle, top - 6, str(number), "tick", "middle"))
    return parts
