"""What an entry point is told: the settings, a tuning's best values on top, and their way through AWS's texts."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping
from typing import Any

from sagehound.classifier.arguments import Hyperparameters
from sagehound.errors import SettingsError
from sagehound.pipeline.search_space import unknown_hyperparameter
from sagehound.settings import TrainSettings

_IN_SETTINGS = ("learning_rate", "batch_size", "epochs", "seed", "backbone", "gear", "weight_decay")


def our_hyperparameters() -> dict[str, type[Any]]:
    """Name -> type of every hyperparameter of our entry points."""
    types = typing.get_type_hints(Hyperparameters)
    return {item.name: types[item.name] for item in dataclasses.fields(Hyperparameters)}


def told(train: TrainSettings, *, ours: bool, tuned: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The hyperparameters of one job; ``tuned`` go before the settings.

    Our entry points know the settings of [train] (epochs = 0 leaves their number to them); a script of the person's
    own is told [train.hyperparameters] and what was tuned, and nothing else. Raises SettingsError for a name that
    our entry points do not know.
    """
    extra = _checked_extra(train.hyperparameters, ours)
    if not ours:
        return extra | dict(tuned or {})
    known = our_hyperparameters()
    for name in tuned or {}:
        if name not in known:
            raise unknown_hyperparameter("what was tuned", name, list(known))
    values = {name: getattr(train, name) for name in _IN_SETTINGS if name != "epochs" or train.epochs}
    return values | extra | dict(tuned or {})


def tuned_values(texts: Mapping[str, str], *, ours: bool) -> dict[str, Any]:
    """TunedHyperParameters as values: AWS gives numbers as texts and categorical values as JSON texts of texts."""
    known = our_hyperparameters() if ours else {}
    values: dict[str, Any] = {}
    for name, text in texts.items():
        value = _decoded(text)
        kind = known.get(name)
        if kind in (int, float):
            value = kind(float(value))
        values[name] = value
    return values


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _checked_extra(extra: Mapping[str, Any], ours: bool) -> dict[str, Any]:
    known = our_hyperparameters()
    for name, value in extra.items():
        key = f"train.hyperparameters.{name}"
        if not isinstance(value, str | int | float | bool):
            raise SettingsError(f"{key} is {value!r}", "A hyperparameter is a text, a number, true or false.")
        if ours and name in _IN_SETTINGS:
            raise SettingsError(f"{key} is a setting of its own", f"Set train.{name} instead.")
        if ours and name not in known:
            raise unknown_hyperparameter(key, name, [entry for entry in known if entry not in _IN_SETTINGS])
    return dict(extra)
