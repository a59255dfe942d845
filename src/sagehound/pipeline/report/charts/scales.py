"""From values to places on an axis: linear, logarithmic and banded scales with ticks that people read"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)


class Scale(Protocol):
    """What an axis needs of a scale."""

    def place(self, value: float) -> float:
        """Where a value lies, in user units of the drawing."""

    def ticks(self) -> list[tuple[float, str]]:
        """(place, words) of the marks."""


@dataclass(frozen=True)
class Linear:
    """Equal steps; ``low`` and ``high`` lie at ``start`` and ``end``."""

    low: float
    high: float
    start: float
    end: float
    wanted: int = 5
    percent: bool = False
    whole: bool = False
    """Marks stand at whole numbers only."""

    def place(self, value: float) -> float:
        """Linear interpolation; values outside are held at the ends."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[tuple[float, str]]:
        """About ``wanted`` marks at multiples of 1, 2, 2.5 or 5 times a power of ten."""
        step = nice_step(self.high - self.low, self.wanted)
        if self.whole:
            step = max(1.0, float(round(step)))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        values = [number * step for number in range(first, last + 1)]
        return [(self.place(value), self._words(value, step)) for value in values]

    def _words(self, value: float, step: float) -> str:
        if self.percent:
            return f"{value * 100:.{decimals(step * 100)}f} %"
        return f"{value:,.{decimals(step)}f}"


@dataclass(frozen=True)
class Logarithmic:
    """Equal factors; both ends are above zero."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        """Interpolation of logarithms; values outside are held at the ends."""
        held = min(max(value, self.low), self.high)
        share = math.log(held / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[tuple[float, str]]:
        """Powers of ten, with 2 and 5 between them where the range is short, else every n-th power."""
        lowest, highest = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        decades = math.log10(self.high / self.low)
        if decades < 0.7:
            inner = Linear(self.low, self.high, 0, 1, wanted=4).ticks()
            values = [self.low + share * (self.high - self.low) for share, _ in inner]
            return [(self.place(value), words) for value, (_, words) in zip(values, inner, strict=True)]
        every = max(1, math.ceil(decades / 6))
        mantissas = (1, 2, 5) if decades <= 2.5 else (1,)
        found = [m * 10.0**power for power in range(lowest, highest + 1, every) for m in mantissas]
        held = [value for value in found if self.low * (1 - 1e-9) <= value <= self.high * (1 + 1e-9)]
        return [(self.place(value), short(value)) for value in held]


@dataclass(frozen=True)
class Bands:
    """One band a category, all of the same width; a value is the index of its category."""

    names: tuple[str, ...]
    start: float
    end: float

    def place(self, value: float) -> float:
        """The middle of the band."""
        return self.start + (value + 0.5) / max(len(self.names), 1) * (self.end - self.start)

    def ticks(self) -> list[tuple[float, str]]:
        """One mark a category; of very many, every n-th."""
        every = max(1, math.ceil(len(self.names) / 12))
        return [(self.place(index), name) for index, name in enumerate(self.names) if index % every == 0]


def nice_step(span: float, wanted: int) -> float:
    """The step of 1, 2, 2.5 or 5 times a power of ten that gives about ``wanted`` marks over a span."""
    raw = span / max(wanted, 1)
    power: float = 10.0 ** math.floor(math.log10(raw))
    return power * min(_NICE, key=lambda nice: abs(math.log(nice * power / raw)))


def decimals(step: float) -> int:
    """How many digits after the point it takes to write multiples of a step apart."""
    for digits in range(10):
        if abs(round(step, digits) - step) < step * 1e-6:
            return digits
    return 10


def padded(values: list[float], share: float = 0.06) -> tuple[float, float]:
    """Ends of an axis for these values, a little beyond them; never of no length."""
    low, high = min(values), max(values)
    margin = (high - low) * share or abs(high) * 0.1 or 0.5
    return low - margin, high + margin


def short(value: float) -> str:
    """A value in as few characters as say it: 0.001, 64, 1e-05, 20k."""
    if value == 0:
        return "0"
    if abs(value) < 1e-4 or abs(value) >= 1e7:
        return f"{value:.3g}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
