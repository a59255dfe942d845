"""The frame of a chart: its plot area, grid lines, ticks and the names of its axes"""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from sagehound.pipeline.report.charts.scales import Scale
from sagehound.pipeline.report.charts.svg import join, line, text

WIDTH = 440.0
"""User units: near the pixels of a chart beside another one, so that type has about its nominal size."""


@dataclass(frozen=True)
class Frame:
    """Where the plot lies within the drawing."""

    width: float = WIDTH
    height: float = 270.0
    left: float = 52.0
    right: float = 16.0
    top: float = 14.0
    bottom: float = 44.0

    @property
    def x_end(self) -> float:
        """The right edge of the plot."""
        return self.width - self.right

    @property
    def y_end(self) -> float:
        """The lower edge of the plot."""
        return self.height - self.bottom

    def axes(self, x: Scale, y: Scale, x_title: str, y_title: str = "") -> Markup:
        """Grid lines from the ticks of y, ticks of x below, and the axes' names."""
        parts: list[Markup] = []
        for place, words in y.ticks():
            parts += [line(self.left, place, self.x_end, place, "grid")]
            parts += [text(self.left - 7, place + 4, words, "tick", "end")]
        parts.append(line(self.left, self.y_end, self.x_end, self.y_end, "axis"))
        for place, words in x.ticks():
            parts += [line(place, self.y_end, place, self.y_end + 4, "axis")]
            parts += [text(place, self.y_end + 17, _cut(words, 14), "tick", "middle", title=words)]
        parts.append(text((self.left + self.x_end) / 2, self.height - 6, x_title, "axis-title", "middle"))
        if y_title:
            parts.append(text(0, self.top - 3, y_title, "axis-title"))
        return join(parts)


def _cut(words: str, length: int) -> str:
    return words if len(words) <= length else words[: length - 1] + "…"
