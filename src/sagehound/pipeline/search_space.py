"""What a tuning searches: the ranges of pipeline.toml checked, and said as AWS's ParameterRanges.

A table with two whole numbers is an integer range, with other numbers a continuous one; a list is categorical.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sagehound.errors import SettingsError

SCALINGS = ("Auto", "Linear", "Logarithmic", "ReverseLogarithmic")
_FORMS = 'Write NAME = {min = 0.001, max = 0.1, scaling = "Logarithmic"}, or NAME = [32, 64].'
_MOST_RANGES = 30  # AWS's limit, of hyperparameters searched at once and of values of one
# Where the values of our entry points' hyperparameters begin, and whether that value itself is taken.
_LEAST = {
    "learning_rate": (0, False),
    "weight_decay": (0, True),
    "batch_size": (1, True),
    "epochs": (1, True),
    "head_epochs": (1, True),
    "seed": (0, True),
    "views": (0, True),
}
_SHARED = {"gear": "train.gear", "backbone": "train.backbone"}


@dataclass(frozen=True)
class NumberRange:
    """Numbers from ``low`` to ``high``; ``whole`` for an integer range."""

    name: str
    low: float
    high: float
    scaling: str
    whole: bool

    def as_aws(self) -> dict[str, str]:
        """One entry of ContinuousParameterRanges or IntegerParameterRanges."""
        return {"Name": self.name, "MinValue": repr(self.low), "MaxValue": repr(self.high), "ScalingType": self.scaling}


@dataclass(frozen=True)
class Choice:
    """One of some values."""

    name: str
    values: tuple[Any, ...]

    def as_aws(self) -> dict[str, Any]:
        """One entry of CategoricalParameterRanges; the values are JSON texts, as the SDK sends them."""
        return {"Name": self.name, "Values": [json.dumps(_text(value)) for value in self.values]}


Space = tuple[NumberRange | Choice, ...]


def search_space(ranges: Mapping[str, Any]) -> Space:
    """The ranges in the order in which they are written; raises SettingsError naming the key that is wrong."""
    if len(ranges) > _MOST_RANGES:
        raise SettingsError(f"tune.ranges has {len(ranges)} entries", f"AWS searches {_MOST_RANGES} at most.")
    return tuple(_parsed(name, written) for name, written in ranges.items())


def parameter_ranges(space: Space) -> dict[str, list[dict[str, Any]]]:
    """ParameterRanges of CreateHyperParameterTuningJob, all three lists as the SDK sends them."""
    numbers = [entry for entry in space if isinstance(entry, NumberRange)]
    return {
        "ContinuousParameterRanges": [entry.as_aws() for entry in numbers if not entry.whole],
        "CategoricalParameterRanges": [entry.as_aws() for entry in space if isinstance(entry, Choice)],
        "IntegerParameterRanges": [entry.as_aws() for entry in numbers if entry.whole],
    }


def combinations(space: Space) -> int:
    """How many trials a grid over the space has; raises SettingsError where it has a range of numbers."""
    count = 1
    for entry in space:
        if not isinstance(entry, Choice):
            raise SettingsError(
                f"tune.ranges.{entry.name} is a range of numbers, and tune.strategy Grid takes lists only",
                f"Write {entry.name} = [..., ...], or choose another strategy.",
            )
        count *= len(entry.values)
    return count


def fitted(space: Space, known: Mapping[str, type[Any]]) -> Space:
    """The space for an entry point that knows these hyperparameters and their types.

    Raises SettingsError for one that it does not know, or that cannot have such values. A continuous
    hyperparameter may be written with whole numbers.
    """
    return tuple(_fitted(entry, known) for entry in space)


def unknown_hyperparameter(key: str, name: str, known: Sequence[str]) -> SettingsError:
    """The error for a hyperparameter that our entry points do not have."""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"It knows: {', '.join(known)}."
    return SettingsError(f"{key}: the entry point has no hyperparameter {name}", hint)


def _fitted(entry: NumberRange | Choice, known: Mapping[str, type[Any]]) -> NumberRange | Choice:
    key = f"tune.ranges.{entry.name}"
    if entry.name in _SHARED:
        raise SettingsError(
            f"{key} cannot be searched: all trials of a tuning have the same one",
            f"Set {_SHARED[entry.name]}, and tune once for each.",
        )
    if entry.name not in known:
        raise unknown_hyperparameter(key, entry.name, [name for name in known if name not in _SHARED])
    kind = known[entry.name]
    _check_least(key, entry)
    if isinstance(entry, Choice):
        wrong = [value for value in entry.values if not _is_a(value, kind)]
        if wrong:
            raise SettingsError(f"{key}: {wrong[0]!r} is no {_called(kind)}", f"{entry.name} is a {_called(kind)}.")
        return entry
    if kind not in (int, float):
        raise SettingsError(f"{key} is a range of numbers", f"{entry.name} is a {_called(kind)}: give a list.")
    if kind is int and not entry.whole:
        raise SettingsError(
            f"{key} is a range of fractions", f"{entry.name} is a whole number: write min = 4, max = 20."
        )
    if kind is float and entry.whole:
        return NumberRange(entry.name, float(entry.low), float(entry.high), entry.scaling, whole=False)
    return entry


def _check_least(key: str, entry: NumberRange | Choice) -> None:
    if entry.name not in _LEAST:
        return
    least, taken = _LEAST[entry.name]
    values = [entry.low] if isinstance(entry, NumberRange) else [v for v in entry.values if _is_a(v, float)]
    for value in values:
        if value < least or (value == least and not taken):
            limit = f"at least {least}" if taken else f"above {least}"
            raise SettingsError(f"{key} holds {value:g}: trials with it would fail", f"{entry.name} is {limit}.")


def _parsed(name: str, written: Any) -> NumberRange | Choice:
    key = f"tune.ranges.{name}"
    if isinstance(written, list):
        return _choice(key, name, written)
    if not isinstance(written, dict):
        raise SettingsError(f"{key} is {written!r}, neither a range nor a list", _FORMS)
    foreign = sorted(set(written) - {"min", "max", "scaling"})
    if foreign:
        raise SettingsError(f"{key} has no part {foreign[0]}", _FORMS)
    for part in ("min", "max"):
        if part not in written:
            raise SettingsError(f"{key} has no {part}", _FORMS)
        if not _is_a(written[part], float):
            raise SettingsError(f"{key}.{part} is {written[part]!r}, not a number", _FORMS)
    low, high = written["min"], written["max"]
    if low > high:
        raise SettingsError(f"{key} is upside down: min {low:g} is above max {high:g}", "Swap min and max.")
    if low == high:
        raise SettingsError(
            f"{key} has one value only, {low:g}", f"Leave {name} out of tune.ranges and set it in [train]."
        )
    scaling = written.get("scaling", "Auto")
    whole = isinstance(low, int) and isinstance(high, int)
    _check_scaling(key, scaling, low, high, whole)
    return NumberRange(name, low, high, scaling, whole)


def _check_scaling(key: str, scaling: Any, low: float, high: float, whole: bool) -> None:
    if scaling not in SCALINGS:
        raise SettingsError(f"{key}.scaling is {scaling!r}", f"It is one of: {', '.join(SCALINGS)}.")
    if scaling == "Logarithmic" and low <= 0:
        raise SettingsError(
            f"{key}: scaling Logarithmic does not fit min {low:g}", "It needs numbers above 0; Linear takes any."
        )
    if scaling == "ReverseLogarithmic" and (whole or low < 0 or high >= 1):
        raise SettingsError(
            f"{key}: scaling ReverseLogarithmic does not fit {low:g} to {high:g}",
            "It is for fractions of at least 0 and below 1, such as a momentum; Linear takes any.",
        )


def _choice(key: str, name: str, values: Sequence[Any]) -> Choice:
    if not values:
        raise SettingsError(f"{key} is an empty list", _FORMS)
    for value in values:
        if not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
            raise SettingsError(f"{key} holds {value!r}", "Its values are texts, numbers, true or false.")
    if len({_text(value) for value in values}) < len(values):
        raise SettingsError(f"{key} holds a value twice", "Name each value once.")
    if len(values) > _MOST_RANGES:
        raise SettingsError(f"{key} has {len(values)} values", f"AWS takes {_MOST_RANGES} at most.")
    return Choice(name, tuple(values))


def _is_a(value: Any, kind: type[Any]) -> bool:
    """Whether a value of a settings file can be a hyperparameter of this type."""
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    if kind is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, kind)


def _called(kind: type[Any]) -> str:
    return {int: "whole number", float: "number", str: "text", bool: "true or false"}.get(kind, kind.__name__)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
