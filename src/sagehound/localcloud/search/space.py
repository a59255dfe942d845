"""The space that a tuning job searches, read from AWS's ParameterRanges

`Auto` scaling is decided here: Logarithmic where the minimum is above 0 and the maximum at least ten times the
minimum, Linear otherwise. AWS's guide recommends the linear scale for ranges "within one order of magnitude" and the
logarithmic one for wider ranges, because a linear search would spend nine tenths of its jobs on the greatest tenth
(https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-define-ranges.html#scaling-type).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sagehound.localcloud.search.dimensions import Categorical, Continuous, Dimension, Integer, RangeError, Value

_AUTO_LOG_RATIO = 10
_MOST_HYPERPARAMETERS = 30
_INTEGER = re.compile(r"[+-]?[0-9]+")
_SCALINGS = ("Auto", "Linear", "Logarithmic", "ReverseLogarithmic")


@dataclass(frozen=True, slots=True)
class Space:
    """The hyperparameters that a tuning job varies, in the order of their names."""

    dimensions: tuple[Dimension, ...]

    @classmethod
    def of(cls, ranges: dict[str, Any]) -> Space:
        """The space of AWS's ParameterRanges; raises RangeError naming the hyperparameter that makes no sense."""
        if ranges.get("AutoParameters"):
            names = ", ".join(str(one.get("Name")) for one in ranges["AutoParameters"])
            raise RangeError(
                f"AutoParameters ({names}) are not supported here: give the ranges of these hyperparameters as "
                "ContinuousParameterRanges, IntegerParameterRanges or CategoricalParameterRanges."
            )
        dimensions: list[Dimension] = [
            *(_continuous(one) for one in ranges.get("ContinuousParameterRanges") or ()),
            *(_integer(one) for one in ranges.get("IntegerParameterRanges") or ()),
            *(_categorical(one) for one in ranges.get("CategoricalParameterRanges") or ()),
        ]
        names_seen: set[str] = set()
        for dimension in dimensions:
            if dimension.name in names_seen:
                raise RangeError(f"The hyperparameter '{dimension.name}' has more than one range in ParameterRanges.")
            names_seen.add(dimension.name)
        if not dimensions:
            raise RangeError("ParameterRanges has no hyperparameter to tune: at least one range is required.")
        if len(dimensions) > _MOST_HYPERPARAMETERS:
            raise RangeError(
                f"ParameterRanges has {len(dimensions)} hyperparameters to tune: "
                f"at most {_MOST_HYPERPARAMETERS} are allowed."
            )
        # By name, so that the same ranges in another order are searched in the same way.
        return cls(tuple(sorted(dimensions, key=lambda one: one.name)))

    def texts(self, values: dict[str, Value]) -> dict[str, str]:
        """Values as a training job's HyperParameters; each reads back as the same value."""
        return {one.name: one.text(values[one.name]) for one in self.dimensions}

    def contains(self, values: dict[str, Any]) -> bool:
        """Whether each hyperparameter has a value of its type within its range."""
        return all(one.name in values and one.contains(values[one.name]) for one in self.dimensions)

    def parse(self, texts: dict[str, str]) -> dict[str, Value] | None:
        """A training job's HyperParameters as values of this space; None where one is missing or outside its range."""
        values: dict[str, Value] = {}
        for one in self.dimensions:
            value = one.parse(texts[one.name]) if one.name in texts else None
            if value is None:
                return None
            values[one.name] = value
        return values

    def grid_size(self) -> int | None:
        """How many different points the space has; None where a continuous range makes them uncountable."""
        counts = [one.count for one in self.dimensions]
        return None if None in counts else math.prod(count for count in counts if count is not None)

    def values(self, coordinates: Sequence[float]) -> dict[str, Value]:
        """The point at coordinates in 0..1, one a hyperparameter."""
        return {one.name: one.value(float(at)) for one, at in zip(self.dimensions, coordinates, strict=True)}

    def key(self, values: dict[str, Value]) -> tuple[Value, ...]:
        """A point as something hashable."""
        return tuple(values[one.name] for one in self.dimensions)

    def point(self, index: int) -> dict[str, Value]:
        """The point of a finite space at `index` of 0..grid_size-1; the last hyperparameter varies fastest."""
        found: dict[str, Value] = {}
        for one in reversed(self.dimensions):
            assert not isinstance(one, Continuous)
            index, here = divmod(index, one.count)
            found[one.name] = one.at(here)
        return {one.name: found[one.name] for one in self.dimensions}


def _continuous(given: dict[str, Any]) -> Continuous:
    name = str(given["Name"])
    low, high = _number(name, "MinValue", given["MinValue"]), _number(name, "MaxValue", given["MaxValue"])
    _upright(name, low, high, given)
    return Continuous(name, low, high, _scaling(name, low, high, given.get("ScalingType") or "Auto"))


def _integer(given: dict[str, Any]) -> Integer:
    name = str(given["Name"])
    for end in ("MinValue", "MaxValue"):
        _number(name, end, given[end])
        if not _INTEGER.fullmatch(str(given[end]).strip()):
            raise RangeError(f"The {end} '{given[end]}' of the integer hyperparameter '{name}' is not an integer.")
    low, high = int(given["MinValue"]), int(given["MaxValue"])
    _upright(name, low, high, given)
    scaling = given.get("ScalingType") or "Auto"
    if scaling == "ReverseLogarithmic":
        raise RangeError(
            f"ReverseLogarithmic scaling is not supported for the integer hyperparameter '{name}': "
            "it is supported only for continuous hyperparameter ranges."
        )
    return Integer(name, low, high, _scaling(name, low, high, scaling))


def _categorical(given: dict[str, Any]) -> Categorical:
    name, values = str(given["Name"]), [str(value) for value in given.get("Values") or ()]
    if not values:
        raise RangeError(f"The categorical hyperparameter '{name}' has no values: at least one is required.")
    doubled = sorted({value for value in values if values.count(value) > 1})
    if doubled:
        raise RangeError(f"The categorical hyperparameter '{name}' has duplicate values: {', '.join(doubled)}.")
    return Categorical(name, tuple(values))


def _number(name: str, end: str, text: Any) -> float:
    try:
        # Python alone reads "1_000" as a number.
        number = float(str(text)) if "_" not in str(text) else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RangeError(f"The {end} '{text}' of the hyperparameter '{name}' is not a finite number.")
    return number


def _upright(name: str, low: float, high: float, given: dict[str, Any]) -> None:
    if low >= high:
        raise RangeError(
            f"The MinValue {given['MinValue']} of the hyperparameter '{name}' must be less than its "
            f"MaxValue {given['MaxValue']}. Give a hyperparameter with one value as a static hyperparameter."
        )


def _scaling(name: str, low: float, high: float, scaling: str) -> str:
    if scaling not in _SCALINGS:
        raise RangeError(
            f"The ScalingType '{scaling}' of the hyperparameter '{name}' is none of {', '.join(_SCALINGS)}."
        )
    if scaling == "Auto":
        return "Logarithmic" if low > 0 and high / low >= _AUTO_LOG_RATIO else "Linear"
    if scaling == "Logarithmic" and low <= 0:
        raise RangeError(
            f"Logarithmic scaling of the hyperparameter '{name}' works only for ranges that have only values "
            f"greater than 0, and its MinValue is {low:g}."
        )
    if scaling == "ReverseLogarithmic" and (low < 0 or high >= 1):
        raise RangeError(
            f"ReverseLogarithmic scaling of the hyperparameter '{name}' works only for ranges that are entirely "
            f"within 0 <= x < 1.0, and its range is {low:g} to {high:g}."
        )
    return scaling
