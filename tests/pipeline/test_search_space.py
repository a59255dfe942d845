"""The ranges of pipeline.toml: said as AWS says them, and refused by name where they are wrong."""

from __future__ import annotations

from typing import Any

import pytest

from sagehound.classifier.arguments import parse_arguments
from sagehound.errors import SettingsError
from sagehound.pipeline.hyperparameters import our_hyperparameters
from sagehound.pipeline.search_space import NumberRange, combinations, fitted, parameter_ranges, search_space
from sagehound.settings import TuneSettings


def test_the_write_ups_ranges_are_sent_as_the_sdk_sends_them() -> None:
    ranges = parameter_ranges(fitted(search_space(TuneSettings().ranges), our_hyperparameters()))
    assert ranges == {
        "ContinuousParameterRanges": [
            {"Name": "learning_rate", "MinValue": "0.001", "MaxValue": "0.1", "ScalingType": "Logarithmic"}
        ],
        "CategoricalParameterRanges": [
            {"Name": "batch_size", "Values": ['"32"', '"64"', '"128"', '"256"', '"512"']},
        ],
        "IntegerParameterRanges": [],
    }


def test_two_whole_numbers_are_an_integer_range() -> None:
    ranges = parameter_ranges(search_space({"epochs": {"min": 4, "max": 20}, "momentum": {"min": 0, "max": 0.9}}))
    assert ranges["IntegerParameterRanges"] == [
        {"Name": "epochs", "MinValue": "4", "MaxValue": "20", "ScalingType": "Auto"}
    ]
    assert [one["Name"] for one in ranges["ContinuousParameterRanges"]] == ["momentum"]


def test_a_fraction_may_be_written_with_whole_numbers() -> None:
    (entry,) = fitted(search_space({"learning_rate": {"min": 1, "max": 2}}), our_hyperparameters())
    assert isinstance(entry, NumberRange)
    assert not entry.whole
    assert entry.as_aws()["MinValue"] == "1.0"


def test_a_grid_has_as_many_trials_as_combinations() -> None:
    space = search_space({"batch_size": [32, 64, 128], "optimizer": ["sgd", "adam"], "nesterov": [True, False]})
    assert combinations(space) == 12
    assert parameter_ranges(space)["CategoricalParameterRanges"][2]["Values"] == ['"true"', '"false"']
    with pytest.raises(SettingsError, match=r"tune\.ranges\.lr is a range of numbers"):
        combinations(search_space({"lr": {"min": 0.1, "max": 1}}))


@pytest.mark.parametrize(
    ("ranges", "cause", "hint"),
    [
        ({"lr": {"min": 0.1, "max": 0.001}}, "tune.ranges.lr is upside down: min 0.1 is above max 0.001", "Swap"),
        ({"lr": {"min": 0.1, "max": 0.1}}, "tune.ranges.lr has one value only", "[train]"),
        ({"lr": {"min": 0.1}}, "tune.ranges.lr has no max", "max ="),
        ({"lr": {"min": "a", "max": 1}}, "tune.ranges.lr.min is 'a', not a number", "min ="),
        ({"lr": {"min": float("nan"), "max": 1}}, "tune.ranges.lr.min is nan, not a number", "min ="),
        ({"lr": {"min": 0, "max": float("inf")}}, "tune.ranges.lr.max is inf, not a number", "min ="),
        ({"lr": {"min": 0, "max": True}}, "tune.ranges.lr.max is True, not a number", "min ="),
        ({"lr": {"min": 0.1, "max": 1, "step": 2}}, "tune.ranges.lr has no part step", "scaling"),
        ({"lr": {"min": 0.1, "max": 1, "scaling": "log"}}, "tune.ranges.lr.scaling is 'log'", "Logarithmic"),
        ({"lr": {"min": 0, "max": 1, "scaling": "Logarithmic"}}, "Logarithmic does not fit min 0", "above 0"),
        ({"m": {"min": 0.5, "max": 1, "scaling": "ReverseLogarithmic"}}, "does not fit 0.5 to 1", "below 1"),
        ({"n": {"min": 0, "max": 3, "scaling": "ReverseLogarithmic"}}, "does not fit 0 to 3", "below 1"),
        ({"lr": 0.1}, "tune.ranges.lr is 0.1, neither a range nor a list", "NAME ="),
        ({"b": []}, "tune.ranges.b is an empty list", "NAME ="),
        ({"b": [1, [2]]}, "tune.ranges.b holds [2]", "texts, numbers"),
        ({"b": [32, 64, 32]}, "tune.ranges.b holds a value twice", "once"),
        ({"b": list(range(31))}, "tune.ranges.b has 31 values", "30"),
        ({f"n{number}": [1, 2] for number in range(31)}, "tune.ranges has 31 entries", "30"),
    ],
)
def test_what_is_wrong_is_named(ranges: dict[str, Any], cause: str, hint: str) -> None:
    with pytest.raises(SettingsError) as refused:
        search_space(ranges)
    assert cause in refused.value.cause
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("ranges", "cause", "hint"),
    [
        ({"learning_rat": {"min": 0.1, "max": 1}}, "no hyperparameter learning_rat", "Did you mean learning_rate?"),
        ({"zzz": [1]}, "no hyperparameter zzz", "It knows: learning_rate"),
        ({"epochs": {"min": 1.5, "max": 3}}, "tune.ranges.epochs is a range of fractions", "min = 4"),
        ({"epochs": [1, 2.5]}, "tune.ranges.epochs: 2.5 is no whole number", "whole number"),
        ({"batch_size": ["32"]}, "tune.ranges.batch_size: '32' is no whole number", "whole number"),
        ({"gear": ["head", "network"]}, "tune.ranges.gear cannot be searched", "train.gear"),
        ({"backbone": ["efficientnet_lite0"]}, "tune.ranges.backbone cannot be searched", "train.backbone"),
    ],
)
def test_what_our_entry_point_cannot_be_told_is_refused(ranges: dict[str, Any], cause: str, hint: str) -> None:
    with pytest.raises(SettingsError) as refused:
        fitted(search_space(ranges), our_hyperparameters())
    assert cause in refused.value.cause
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("name", "refused", "taken"),
    [
        ("learning_rate", 0.0, 0.01),
        ("weight_decay", -0.1, 0.0),
        ("batch_size", 0, 1),
        ("epochs", 0, 1),
        ("head_epochs", 0, 1),
        ("seed", -1, 0),
        ("views", -1, 0),
    ],
)
def test_what_the_entry_point_refuses_is_refused_before_a_trial_is_made(
    name: str, refused: float, taken: float
) -> None:
    for ranges in ({name: [taken, refused]}, {name: {"min": refused, "max": taken + 1}}):
        with pytest.raises(SettingsError, match="trials with it would fail"):
            fitted(search_space(ranges), our_hyperparameters())
    assert fitted(search_space({name: [taken]}), our_hyperparameters())
    parse_arguments("", [f"--{name}={taken}"], {})
    with pytest.raises(SystemExit):
        parse_arguments("", [f"--{name}={refused}"], {})
