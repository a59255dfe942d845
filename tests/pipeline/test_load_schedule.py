"""When requests are due: the rate, the ramp, and arrivals at random."""

from __future__ import annotations

import itertools
import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagehound.errors import StepFailed
from sagehound.pipeline.load.plan import FunctionTarget, LoadPlan
from sagehound.pipeline.load.schedule import arrivals, due_between


def test_a_constant_rate_is_due_at_equal_distances() -> None:
    due = list(arrivals(LoadPlan(rate=4, duration=2)))
    assert due == pytest.approx([0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75])


def test_a_ramp_grows_linearly() -> None:
    plan = LoadPlan(rate=100, duration=20, ramp=10)
    due = list(arrivals(plan))
    for second in range(20):
        expected = plan.rate * (second + 0.5) / 10 if second < 10 else 100
        assert sum(second <= moment < second + 1 for moment in due) == pytest.approx(expected, abs=1)
    assert len(due) == pytest.approx(500 + 1000, abs=1)
    assert plan.asked(5) == 50
    assert plan.asked(15) == 100
    assert plan.asked(20) == 0


@given(
    rate=st.floats(0.5, 300),
    ramp=st.floats(0, 5),
    rest=st.floats(0.1, 5),
    kind=st.sampled_from(["constant", "poisson"]),
    seed=st.integers(0, 99),
)
@settings(max_examples=100, deadline=None)
def test_due_moments_are_in_order_and_within_the_duration(
    rate: float, ramp: float, rest: float, kind: str, seed: int
) -> None:
    plan = LoadPlan(rate=rate, duration=ramp + rest, ramp=ramp, arrivals=kind, seed=seed)
    due = list(arrivals(plan))
    assert all(0 <= moment < plan.duration for moment in due)
    assert all(first <= second for first, second in itertools.pairwise(due))
    assert due == list(arrivals(plan))


def test_poisson_arrivals_have_their_rate_and_their_spread() -> None:
    due = list(arrivals(LoadPlan(rate=200, duration=100, arrivals="poisson", seed=3)))
    gaps = [second - first for first, second in itertools.pairwise(due)]
    assert len(due) == pytest.approx(20_000, rel=0.03)
    assert statistics.mean(gaps) == pytest.approx(1 / 200, rel=0.03)
    assert statistics.stdev(gaps) == pytest.approx(1 / 200, rel=0.05)  # of an exponential distribution: its mean


@given(
    rate=st.floats(0.5, 300),
    ramp=st.floats(0, 5),
    rest=st.floats(0.1, 5),
    first=st.integers(0, 200),
    end=st.floats(0, 10),
)
@settings(max_examples=200, deadline=None)
def test_the_rest_of_a_schedule_is_counted_by_arithmetic(
    rate: float, ramp: float, rest: float, first: int, end: float
) -> None:
    plan = LoadPlan(rate=rate, duration=ramp + rest, ramp=ramp)
    due = list(arrivals(plan))
    begin = due[min(first, len(due) - 1)]
    end = min(max(end, begin), plan.duration)
    counted = sum(begin <= moment < end for moment in due)
    assert due_between(plan, begin, end) == pytest.approx(max(1, counted), abs=1)
    assert due_between(plan, begin, plan.duration) == pytest.approx(sum(moment >= begin for moment in due), abs=1)


def test_random_arrivals_are_counted_as_their_rate_says() -> None:
    plan = LoadPlan(rate=200, duration=100, arrivals="poisson", seed=3)
    due = list(arrivals(plan))
    assert due_between(plan, due[5000], plan.duration) == pytest.approx(len(due) - 5000, rel=0.03)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "either a rate or a concurrency"),
        ({"rate": 1, "concurrency": 1}, "either a rate or a concurrency"),
        ({"rate": 1, "duration": 0}, "a load of 0 s"),
        ({"rate": 1, "duration": 5, "ramp": 6}, "a ramp of 6 s does not fit into 5 s"),
        ({"rate": 1, "duration": -5}, "--duration -5"),
        ({"rate": 1, "duration": math.nan}, "--duration nan"),
        ({"rate": 1, "duration": math.inf}, "--duration inf"),
        ({"rate": math.inf}, "--rate inf"),
        ({"rate": math.nan, "concurrency": 2}, "--rate nan"),
        ({"rate": 1, "ramp": math.nan}, "--ramp nan"),
        ({"rate": 1, "after": math.inf}, "--after inf"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(given: dict[str, float], words: str) -> None:
    with pytest.raises(StepFailed, match=words):
        LoadPlan(**given)  # type: ignore[arg-type]


def test_a_function_is_named_with_or_without_its_alias() -> None:
    assert FunctionTarget.of("dogs:live") == FunctionTarget("dogs", "live")
    assert str(FunctionTarget.of("dogs")) == "function dogs"
