"""Ranges as AWS gives them: scales, texts, and what is refused in words that name the hyperparameter"""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagehound.localcloud.search.dimensions import Continuous, Integer, RangeError
from sagehound.localcloud.search.space import Space
from tests.search.spaces import BATCH_SIZES, HEAD, SMALL, categories, numeric

positive = st.floats(1e-12, 1e12)
finite = st.floats(-1e300, 1e300)
below_one = st.floats(0, 1 - 1e-9)
shares = st.floats(0, 1)


def ordered(pair: tuple[float, float]) -> bool:
    return pair[0] < pair[1]


@st.composite
def continuous(draw: st.DrawFn) -> Continuous:
    """A continuous range of any scaling."""
    scaling = draw(st.sampled_from(["Linear", "Logarithmic", "ReverseLogarithmic"]))
    ends = {"Linear": finite, "Logarithmic": positive, "ReverseLogarithmic": below_one}[scaling]
    low, high = draw(st.tuples(ends, ends).filter(ordered))
    return Continuous("x", low, high, scaling)


@given(continuous(), shares)
def test_every_coordinate_is_a_value_within_the_range(dimension: Continuous, share: float) -> None:
    assert dimension.contains(dimension.value(share))
    assert 0 <= dimension.coordinate(dimension.value(share)) <= 1


@given(continuous(), shares, shares)
def test_a_scale_keeps_the_order(dimension: Continuous, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert dimension.value(low) <= dimension.value(high)


@given(continuous())
def test_the_ends_are_reached(dimension: Continuous) -> None:
    assert (dimension.value(0), dimension.value(1)) == (dimension.low, dimension.high)


@given(st.sampled_from(["Linear", "Logarithmic", "ReverseLogarithmic"]), shares)
def test_coordinate_is_the_inverse_of_value(scaling: str, share: float) -> None:
    dimension = Continuous("x", 0.001, 0.999, scaling)
    assert dimension.coordinate(dimension.value(share)) == pytest.approx(share, abs=1e-9)


@given(continuous(), shares)
def test_the_text_of_a_continuous_value_reads_back_as_the_same(dimension: Continuous, share: float) -> None:
    value = dimension.value(share)
    assert dimension.parse(dimension.text(value)) == value


@given(st.integers(-1000, 1000), st.integers(1, 1000), st.booleans(), shares)
def test_integers_lie_within_their_range_and_read_back(low: int, width: int, log: bool, share: float) -> None:
    low = abs(low) + 1 if log else low
    dimension = Integer("n", low, low + width, "Logarithmic" if log else "Linear")
    value = dimension.value(share)
    assert dimension.contains(value)
    assert dimension.parse(dimension.text(value)) == value
    assert dimension.value(dimension.coordinate(value)) == value


def test_integers_of_a_linear_range_have_equal_shares() -> None:
    dimension = Integer("n", 3, 6, "Linear")
    found = [dimension.value((place + 0.5) / 400) for place in range(400)]
    assert [found.count(value) for value in (3, 4, 5, 6)] == [100, 100, 100, 100]


def test_scales_put_the_middle_where_they_should() -> None:
    assert Continuous("x", 0.0001, 1, "Logarithmic").value(0.5) == pytest.approx(0.01)
    assert Continuous("x", 0, 0.9999, "ReverseLogarithmic").value(0.5) == pytest.approx(0.99)
    assert Continuous("x", -2, 4, "Linear").value(0.5) == pytest.approx(1)


@pytest.mark.parametrize(
    ("low", "high", "scaling"),
    [(0.001, 0.1, "Logarithmic"), (1, 10, "Logarithmic"), (1, 9.99, "Linear"), (0, 100, "Linear"), (-5, 5, "Linear")],
)
def test_auto_is_logarithmic_from_one_order_of_magnitude_on(low: float, high: float, scaling: str) -> None:
    for given_type in ("Auto", None):
        (found,) = Space.of({"ContinuousParameterRanges": [numeric("x", low, high, given_type)]}).dimensions
        assert isinstance(found, Continuous)
        assert found.scaling == scaling


def test_auto_holds_for_integers_too() -> None:
    (found,) = Space.of({"IntegerParameterRanges": [numeric("n", 8, 512)]}).dimensions
    assert isinstance(found, Integer)
    assert found.scaling == "Logarithmic"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"ContinuousParameterRanges": [numeric("rate", 0.1, 0.001)]}, "'rate' must be less than"),
    ({"ContinuousParameterRanges": [numeric("rate", 1, 1)]}, "'rate' must be less than"),
    ({"IntegerParameterRanges": [numeric("layers", 3, 2)]}, "'layers' must be less than"),
    ({"ContinuousParameterRanges": [numeric("rate", "low", 1)]}, "'low' of the hyperparameter 'rate' is not a finite"),
    ({"ContinuousParameterRanges": [numeric("rate", 0, "NaN")]}, "'rate' is not a finite number"),
    ({"ContinuousParameterRanges": [numeric("rate", "-inf", 1)]}, "'rate' is not a finite number"),
    ({"ContinuousParameterRanges": [numeric("rate", "1_0", 20)]}, "'rate' is not a finite number"),
    ({"IntegerParameterRanges": [numeric("layers", 1, 2.5)]}, "integer hyperparameter 'layers' is not an integer"),
    ({"ContinuousParameterRanges": [numeric("rate", 0, 1, "Logarithmic")]}, "'rate' works only .* greater than 0"),
    ({"IntegerParameterRanges": [numeric("layers", -1, 9, "Logarithmic")]}, "'layers' works only .* greater than 0"),
    ({"ContinuousParameterRanges": [numeric("beta", 0, 1, "ReverseLogarithmic")]}, "'beta' works only .* 0 <= x < 1"),
    ({"ContinuousParameterRanges": [numeric("beta", -0.1, 0.9, "ReverseLogarithmic")]}, "'beta' works only"),
    ({"IntegerParameterRanges": [numeric("layers", 0, 9, "ReverseLogarithmic")]}, "not supported for .* 'layers'"),
    ({"ContinuousParameterRanges": [numeric("rate", 0, 1, "Cubic")]}, "'Cubic' of the hyperparameter 'rate'"),
    ({"CategoricalParameterRanges": [categories("size")]}, "'size' has no values"),
    ({"CategoricalParameterRanges": [categories("size", "1", "2", "1")]}, "'size' has duplicate values: 1"),
    (
        {"ContinuousParameterRanges": [numeric("x", 0, 1)], "IntegerParameterRanges": [numeric("x", 0, 1)]},
        "'x' has more than one range",
    ),
    ({}, "no hyperparameter to tune"),
    ({"ContinuousParameterRanges": [], "CategoricalParameterRanges": []}, "no hyperparameter to tune"),
    ({"AutoParameters": [{"Name": "rate", "ValueHint": "0.1"}]}, r"AutoParameters \(rate\) are not supported"),
    ({"ContinuousParameterRanges": [numeric(f"x{i}", 0, 1) for i in range(31)]}, "at most 30"),
]


@pytest.mark.parametrize(("ranges", "words"), REFUSED)
def test_what_makes_no_sense_is_refused_by_name(ranges: dict[str, Any], words: str) -> None:
    with pytest.raises(RangeError, match=words):
        Space.of(ranges)


def test_a_space_knows_its_points() -> None:
    assert SMALL.grid_size() == 6
    assert HEAD.grid_size() is None
    points = [SMALL.point(index) for index in range(6)]
    assert len({SMALL.key(point) for point in points}) == 6
    assert all(SMALL.contains(point) for point in points)


def test_texts_are_hyperparameters_and_read_back() -> None:
    values = {"layers": 2, "optimizer": "sgd", "fixed": "yes"}
    assert SMALL.texts(values) == {"layers": "2", "optimizer": "sgd", "fixed": "yes"}
    assert SMALL.parse({**SMALL.texts(values), "_tuning_objective_metric": "loss", "epochs": "3"}) == values


def test_a_parents_job_outside_the_space_is_no_point_of_it() -> None:
    inside = {"learning_rate": "0.01", "batch_size": '"64"'}
    assert HEAD.parse(inside) == {"learning_rate": 0.01, "batch_size": "64"}
    for outside in ({"learning_rate": "0.5"}, {"learning_rate": "fast"}, {"batch_size": "48"}):
        assert HEAD.parse({**inside, **outside}) is None
    assert HEAD.parse({"learning_rate": "0.01"}) is None


def test_quoted_categories_stay_as_they_came() -> None:
    space = Space.of({"CategoricalParameterRanges": [categories("batch_size", '"32"', '"64"')]})
    assert space.parse({"batch_size": "64"}) == {"batch_size": '"64"'}
    assert space.texts({"batch_size": '"64"'}) == {"batch_size": '"64"'}


def test_contains_wants_the_right_type() -> None:
    good = {"layers": 2, "optimizer": "sgd", "fixed": "yes"}
    assert SMALL.contains(good)
    for bad in ({"layers": 2.5}, {"layers": 4}, {"layers": True}, {"optimizer": "rms"}):
        assert not SMALL.contains({**good, **bad})
    assert not HEAD.contains({"learning_rate": math.nan, "batch_size": "32"})


def test_the_order_of_the_ranges_does_not_matter() -> None:
    one = Space.of({"CategoricalParameterRanges": [BATCH_SIZES, categories("a", "b")]})
    assert one == Space.of({"CategoricalParameterRanges": [categories("a", "b"), BATCH_SIZES]})
