"""One hyperparameter of a search: its range, its scale, and the way between a value, its text and a coordinate

A coordinate is where a value lies on the hyperparameter's scale, 0 at its minimum and 1 at its maximum: what is
uniform in coordinates is what AWS's ScalingType calls searching on that scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

Value = float | int | str


class RangeError(ValueError):
    """A range, or a configuration of the search, that makes no sense; the text names the hyperparameter."""


def to_scale(number: float, scaling: str) -> float:
    """A number on its scale: itself, its logarithm, or minus the logarithm of its distance to 1."""
    if scaling == "Logarithmic":
        return math.log(number)
    if scaling == "ReverseLogarithmic":
        return -math.log1p(-number)
    return number


def from_scale(place: float, scaling: str) -> float:
    """The inverse of `to_scale`."""
    if scaling == "Logarithmic":
        return math.exp(place)
    if scaling == "ReverseLogarithmic":
        return -math.expm1(-place)
    return place


def _between(low: float, high: float, share: float) -> float:
    # This form does not overflow where `high - low` does.
    return low * (1.0 - share) + high * share


def _share(low: float, high: float, place: float) -> float:
    half = high / 2 - low / 2
    # Ends that are neighbours among the floating-point numbers may be one and the same on the scale.
    return min(1.0, max(0.0, (place / 2 - low / 2) / half)) if half > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Continuous:
    """A range of floating-point values, both ends included."""

    name: str
    low: float
    high: float
    scaling: str
    """Linear, Logarithmic or ReverseLogarithmic: Auto is decided before."""

    count: None = None

    def value(self, coordinate: float) -> float:
        """The value at a coordinate in 0..1."""
        if coordinate <= 0 or coordinate >= 1:
            return self.low if coordinate <= 0 else self.high
        low, high = to_scale(self.low, self.scaling), to_scale(self.high, self.scaling)
        # The way back from a logarithm may miss an end by the last bit.
        return min(self.high, max(self.low, from_scale(_between(low, high, coordinate), self.scaling)))

    def coordinate(self, value: Value) -> float:
        """Where a value of this range lies on its scale, 0..1."""
        low, high = to_scale(self.low, self.scaling), to_scale(self.high, self.scaling)
        return _share(low, high, to_scale(float(value), self.scaling))

    def contains(self, value: object) -> bool:
        return isinstance(value, float | int) and not isinstance(value, bool) and self.low <= value <= self.high

    def text(self, value: Value) -> str:
        """The shortest text that reads back as the same value."""
        return repr(float(value))

    def parse(self, text: str) -> float | None:
        """The value that a text means, None where it means none or one outside the range."""
        try:
            value = float(unquoted(text))
        except ValueError:
            return None
        return value if self.contains(value) else None


@dataclass(frozen=True, slots=True)
class Integer:
    """A range of integers, both ends included."""

    name: str
    low: int
    high: int
    scaling: str
    """Linear or Logarithmic."""

    @property
    def count(self) -> int:
        return self.high - self.low + 1

    def _ends(self) -> tuple[float, float]:
        # Half a step beyond both ends, so that the end values get as wide a share of the scale as their neighbours.
        return to_scale(self.low - 0.5, self.scaling), to_scale(self.high + 0.5, self.scaling)

    def value(self, coordinate: float) -> int:
        """The integer at a coordinate in 0..1."""
        number = from_scale(_between(*self._ends(), coordinate), self.scaling)
        return min(self.high, max(self.low, math.floor(number + 0.5)))

    def coordinate(self, value: Value) -> float:
        """Where an integer of this range lies on its scale: the middle of its share for a linear one."""
        return _share(*self._ends(), to_scale(float(value), self.scaling))

    def at(self, index: int) -> int:
        return self.low + index

    def index(self, value: Value) -> int:
        return int(value) - self.low

    def contains(self, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high

    def text(self, value: Value) -> str:
        return str(int(value))

    def parse(self, text: str) -> int | None:
        """The integer that a text means, None where it means none or one outside the range."""
        try:
            value = int(unquoted(text))
        except ValueError:
            return None
        return value if self.contains(value) else None


@dataclass(frozen=True, slots=True)
class Categorical:
    """A list of texts, given to the training job as they are."""

    name: str
    values: tuple[str, ...]

    @property
    def count(self) -> int:
        return len(self.values)

    def value(self, coordinate: float) -> str:
        """The category whose equal share of 0..1 a coordinate falls into."""
        return self.values[min(len(self.values) - 1, int(coordinate * len(self.values)))]

    def coordinate(self, value: Value) -> float:
        return (self.index(value) + 0.5) / len(self.values)

    def at(self, index: int) -> str:
        return self.values[index]

    def index(self, value: Value) -> int:
        return self.values.index(str(value))

    def contains(self, value: object) -> bool:
        return isinstance(value, str) and value in self.values

    def text(self, value: Value) -> str:
        return str(value)

    def parse(self, text: str) -> str | None:
        """The category that a text means: itself, or the one that is the same but for JSON's quotation marks."""
        if text in self.values:
            return text
        return next((value for value in self.values if unquoted(value) == unquoted(text)), None)


Dimension = Continuous | Integer | Categorical


def unquoted(text: str) -> str:
    """The text without the quotation marks that version 2 of the SageMaker SDK puts around values."""
    text = text.strip()
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] == '"' else text
