"""Step scaling: intervals, adjustment types, rounding and cooldowns, with AWS's own examples."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagehound.localcloud.scaling.decision import Capacity, LastActivities, NotScaledReason
from sagehound.localcloud.scaling.step import Step, StepPolicy, adjust, decide_step, round_change

NOW = 1_800_000_000.0
NEVER = LastActivities()
# https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-scaling-simple-step.html: threshold 50, capacity 10.
OUT = StepPolicy("PercentChangeInCapacity", (Step(0, 0, 10), Step(10, 10, 20), Step(30, 20, None)))
IN = StepPolicy("PercentChangeInCapacity", (Step(0, -10, 0), Step(-10, -20, -10), Step(-30, None, -20)))


def at(desired: int, minimum: int = 0, maximum: int = 100) -> Capacity:
    return Capacity(desired, desired, minimum, maximum)


@pytest.mark.parametrize(
    ("policy", "metric", "before", "after"),
    [
        (OUT, 59.9, 10, None),
        (OUT, 60.0, 10, 11),
        (OUT, 70.0, 11, 14),
        (IN, 41.0, 14, None),
        (IN, 40.0, 14, 13),
        (IN, 30.0, 13, 10),
    ],
)
def test_the_documented_example(policy: StepPolicy, metric: float, before: int, after: int | None) -> None:
    decision = decide_step(at(before), policy, 50.0, [metric], NEVER, NOW)
    assert decision.desired == after
    if after is None:
        assert decision.not_scaled == NotScaledReason("AlreadyAtDesiredCapacity", before)


@pytest.mark.parametrize(("change", "rounded"), [(12.7, 12), (0.67, 1), (-0.58, -1), (-6.67, -6), (0.0, 0), (-3.0, -3)])
def test_the_documented_rounding(change: float, rounded: int) -> None:
    assert round_change(change) == rounded


def test_the_least_change_of_a_percentage() -> None:
    policy = StepPolicy("PercentChangeInCapacity", (Step(25, 0, None),), min_adjustment_magnitude=2)
    assert adjust(policy, 25, 4) == 6
    assert adjust(policy, -25, 4) == 2
    assert adjust(policy, 100, 4) == 8
    assert adjust(policy, 0, 4) == 4
    assert adjust(policy, 25, 0) == 2


def test_changes_and_exact_capacities() -> None:
    change = StepPolicy("ChangeInCapacity", (Step(2, 0, None),))
    exact = StepPolicy("ExactCapacity", (Step(5, 0, None),))
    assert decide_step(at(3), change, 50.0, [50.0], NEVER, NOW).desired == 5
    assert decide_step(at(0), change, 50.0, [50.0], NEVER, NOW).desired == 2
    assert decide_step(at(9), exact, 50.0, [50.0], NEVER, NOW).desired == 5
    assert decide_step(at(5), exact, 50.0, [50.0], NEVER, NOW).desired is None


def test_bounds_are_inclusive_towards_the_threshold() -> None:
    above, below = Step(1, 0, 10), Step(-1, -10, 0)
    assert [above.holds(value) for value in (0, 9.9, 10)] == [True, True, False]
    assert [below.holds(value) for value in (0, -9.9, -10, -10.1)] == [True, True, False, False]
    assert Step(1, None, -10).holds(-10)
    assert not Step(1, 10, None).holds(9.99)


def test_no_data_and_no_step() -> None:
    nothing = decide_step(at(3), OUT, 50.0, [None, None], NEVER, NOW)
    assert (nothing.desired, nothing.not_scaled) == (None, None)
    assert "no data" in nothing.cause
    assert "no step adjustment" in decide_step(at(3), OUT, 50.0, [10.0], NEVER, NOW).cause


def test_aggregation() -> None:
    history = [50.0, 60.0, None, 100.0]
    exact = StepPolicy("ExactCapacity", (Step(1, 0, 10), Step(2, 10, 40), Step(3, 40, None)))
    for aggregation, desired in (("Minimum", 1), ("Average", 2), ("Maximum", 3)):
        policy = replace(exact, aggregation=aggregation)
        assert decide_step(at(9), policy, 50.0, history, NEVER, NOW).desired == desired


def test_bounds_and_their_reasons() -> None:
    assert decide_step(at(10, maximum=12), OUT, 50.0, [99.0], NEVER, NOW).desired == 12
    full = decide_step(at(12, maximum=12), OUT, 50.0, [99.0], NEVER, NOW)
    assert full.not_scaled == NotScaledReason("AlreadyAtMaxCapacity", 12, max_capacity=12)
    least = decide_step(at(2, minimum=2), IN, 50.0, [0.0], NEVER, NOW)
    assert least.not_scaled == NotScaledReason("AlreadyAtMinCapacity", 2, min_capacity=2)


def test_cooldowns() -> None:
    policy = StepPolicy("ChangeInCapacity", (Step(2, 0, 10), Step(5, 10, None)), cooldown=300)
    cooling = LastActivities(scale_out_at=NOW, scaled_by=2)
    assert decide_step(at(5), policy, 50.0, [55.0], cooling, NOW + 299).desired is None
    assert decide_step(at(5), policy, 50.0, [65.0], cooling, NOW + 299).desired == 8
    assert decide_step(at(5), policy, 50.0, [55.0], cooling, NOW + 300).desired == 7
    inward = StepPolicy("ChangeInCapacity", (Step(-1, None, 0),), cooldown=300)
    last = LastActivities(scale_in_at=NOW)
    assert decide_step(at(5), inward, 50.0, [40.0], last, NOW + 299).desired is None
    assert decide_step(at(5), inward, 50.0, [40.0], last, NOW + 300).desired == 4
    assert decide_step(at(5), policy, 50.0, [55.0], last, NOW + 1).desired == 7


@given(
    st.integers(0, 30),
    st.sampled_from(["ChangeInCapacity", "ExactCapacity", "PercentChangeInCapacity"]),
    st.integers(-200, 200),
    st.floats(-100, 100),
    st.integers(0, 5),
)
def test_never_outside_minimum_to_maximum(desired: int, kind: str, adjustment: int, beyond: float, least: int) -> None:
    if kind == "ExactCapacity":
        adjustment = abs(adjustment)
    policy = StepPolicy(kind, (Step(adjustment, None, 0), Step(adjustment, 0, None)), min_adjustment_magnitude=least)
    decision = decide_step(Capacity(desired, desired, 2, 9), policy, 50.0, [50.0 + beyond], NEVER, NOW)
    assert decision.cause
    assert decision.desired is None or 2 <= decision.desired <= 9
