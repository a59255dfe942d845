"""Target tracking: each rule with a clock of its own, and what holds for every load and every policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagehound.localcloud.scaling.combine import Vote, combine, with_schedule, within_bounds
from sagehound.localcloud.scaling.decision import Capacity, Decision, LastActivities, NotScaledReason
from sagehound.localcloud.scaling.tracking import TrackingPolicy, decide, points_needed
from sagehound.localcloud.scaling.tracking_alarms import TrackedMetric, alarms_of

NOW = 1_800_000_000.0
TARGET_20 = TrackingPolicy(20.0, scale_out_cooldown=30, scale_in_cooldown=30)
NEVER = LastActivities()
LOW = [1.0] * 17


def at(desired: int, minimum: int = 1, maximum: int = 3, *, current: int | None = None) -> Capacity:
    here = desired if current is None else current
    return Capacity(here, desired, minimum, maximum, in_progress=here != desired)


def test_out_in_proportion_after_three_periods_above() -> None:
    assert decide(at(1), TARGET_20, [45.0, 45.0], NEVER, NOW).desired is None
    assert decide(at(1), TARGET_20, [45.0, 45.0, 20.0], NEVER, NOW).desired is None
    assert decide(at(1), TARGET_20, [45.0, 45.0, 45.0], NEVER, NOW).desired == 3
    assert decide(at(1, maximum=9), TARGET_20, [45.0, 45.0, 101.0], NEVER, NOW).desired == 6
    assert decide(at(2, maximum=9), TARGET_20, [20.1] * 3, NEVER, NOW).desired == 3
    assert decide(at(2, maximum=9), TARGET_20, [20.0 + 1e-11] * 3, NEVER, NOW).desired == 3


def test_out_up_to_the_maximum_and_then_the_reason() -> None:
    assert decide(at(1), TARGET_20, [900.0] * 3, NEVER, NOW).desired == 3
    full = decide(at(3), TARGET_20, [900.0] * 3, NEVER, NOW)
    assert (full.desired, full.not_scaled) == (None, NotScaledReason("AlreadyAtMaxCapacity", 3, max_capacity=3))
    assert full.not_scaled is not None
    assert full.not_scaled.members() == {"Code": "AlreadyAtMaxCapacity", "CurrentCapacity": 3, "MaxCapacity": 3}


def test_in_after_fifteen_periods_below_nine_tenths_step_by_step() -> None:
    assert decide(at(3), TARGET_20, [1.0] * 2, NEVER, NOW).desired is None
    assert decide(at(3), TARGET_20, [18.0] + [1.0] * 14, NEVER, NOW).desired is None
    assert decide(at(3), TARGET_20, [1.0] * 15, NEVER, NOW).desired == 2
    assert decide(at(100, maximum=200), TARGET_20, LOW, NEVER, NOW).desired == 75
    assert decide(at(4, maximum=9), TARGET_20, LOW, NEVER, NOW).desired == 3
    assert decide(at(3), TARGET_20, [19.0] * 17, NEVER, NOW).desired is None


def test_no_scale_in_that_would_scale_out_again() -> None:
    near = decide(at(3), TARGET_20, [16.0] * 17, NEVER, NOW)
    assert (near.desired, near.not_scaled) == (None, NotScaledReason("AutoScalingAnticipatedFlapping", 3))
    peak = decide(at(3), TARGET_20, [1.0] * 9 + [14.0] + [1.0] * 7, NEVER, NOW)
    assert peak.desired is None, "the highest of the periods decides"


def test_the_minimum_and_its_reason() -> None:
    least = decide(at(2, minimum=2), TARGET_20, LOW, NEVER, NOW)
    assert (least.desired, least.not_scaled) == (None, NotScaledReason("AlreadyAtMinCapacity", 2, min_capacity=2))
    assert decide(at(1, minimum=0), TARGET_20, [0.0] * 17, NEVER, NOW).desired == 0


def test_without_data_nothing_is_scaled_and_the_reason_says_so() -> None:
    for history in ([], [None] * 17):
        nothing = decide(at(2), TARGET_20, history, NEVER, NOW)
        assert (nothing.desired, nothing.not_scaled) == (None, None)
        assert "no data" in nothing.cause


def test_within_the_band_nothing_is_done() -> None:
    calm = decide(at(2), TARGET_20, [19.0] * 17, NEVER, NOW)
    assert (calm.desired, calm.not_scaled) == (None, None)
    assert "target" in calm.cause


def test_a_scale_in_cooldown_blocks_the_next_scale_in() -> None:
    policy = replace(TARGET_20, scale_in_cooldown=300)
    last = LastActivities(scale_in_at=NOW)
    assert "scale-in cooldown" in decide(at(3), policy, LOW, last, NOW + 299).cause
    assert decide(at(3), policy, LOW, last, NOW + 299).desired is None
    assert decide(at(3), policy, LOW, last, NOW + 300).desired == 2


def test_after_a_scale_in_a_whole_period_is_measured_first() -> None:
    """With a cooldown shorter than a period the next decision would rest on points of the larger capacity."""
    last = LastActivities(scale_in_at=NOW + 5)
    assert decide(at(3), TARGET_20, LOW, last, NOW + 60).desired is None
    assert decide(at(3), TARGET_20, LOW, last, NOW + 119).desired is None
    assert decide(at(3), TARGET_20, LOW, last, NOW + 120).desired == 2


def test_a_scale_out_interrupts_a_scale_in_cooldown_and_ends_it() -> None:
    policy = replace(TARGET_20, scale_in_cooldown=3000)
    cooling = LastActivities(scale_in_at=NOW)
    assert decide(at(1), policy, [45.0] * 3, cooling, NOW + 1).desired == 3
    ended = LastActivities(scale_in_at=NOW, scale_out_at=NOW + 1, scaled_by=2, out_is_newer=True)
    assert decide(at(3), policy, LOW, ended, NOW + 200).desired == 2
    assert decide(at(3), policy, LOW, LastActivities(scale_in_at=NOW), NOW + 200).desired is None


def test_a_larger_scale_out_goes_on_during_the_cooldown_and_counts_what_was_added() -> None:
    policy = replace(TARGET_20, scale_out_cooldown=300)
    last = LastActivities(scale_out_at=NOW, scaled_by=2)
    enough = decide(at(3, maximum=9), policy, [60.0] * 3, last, NOW + 10)
    assert enough.desired is None
    assert "scale-out cooldown" in enough.cause
    assert decide(at(3, maximum=9), policy, [100.0] * 3, last, NOW + 10).desired == 5
    assert decide(at(3, maximum=9), policy, [60.0] * 3, last, NOW + 300).desired == 9


def test_points_from_before_the_last_scale_out_count_for_the_capacity_before_it() -> None:
    last = LastActivities(scale_out_at=NOW + 20, scaled_by=2)
    assert decide(at(3, maximum=9), TARGET_20, [60.0] * 3, last, NOW + 60).desired is None
    assert decide(at(3, maximum=9), TARGET_20, [60.0] * 3, last, NOW + 120).desired == 9


def test_no_scale_in_while_a_scale_out_cools_or_is_in_progress() -> None:
    policy = replace(TARGET_20, scale_out_cooldown=300)
    assert decide(at(3), policy, LOW, LastActivities(scale_out_at=NOW, scaled_by=2), NOW + 299).desired is None
    assert decide(at(3), policy, LOW, LastActivities(scale_out_at=NOW, scaled_by=2), NOW + 300).desired == 2
    assert decide(at(3, current=1), TARGET_20, LOW, NEVER, NOW).desired is None


def test_while_a_scale_out_is_in_progress_what_was_asked_for_counts() -> None:
    assert decide(at(3, maximum=9, current=1), TARGET_20, [60.0] * 3, NEVER, NOW).desired is None
    assert decide(at(3, maximum=9, current=1), TARGET_20, [100.0] * 3, NEVER, NOW).desired == 5


def test_disabled_scale_in() -> None:
    policy = replace(TARGET_20, disable_scale_in=True)
    assert decide(at(3), policy, LOW, NEVER, NOW).desired is None
    assert decide(at(1), policy, [45.0] * 3, NEVER, NOW).desired == 3


def test_out_from_zero() -> None:
    assert decide(at(0, minimum=0, maximum=9), TARGET_20, [45.0] * 3, NEVER, NOW).desired == 3


def test_high_resolution_metrics_are_looked_at_in_periods_of_ten_seconds() -> None:
    policy = replace(TARGET_20, period=10)
    assert points_needed(policy) == 92
    assert decide(at(3), policy, [1.0] * 15, NEVER, NOW).desired is None
    assert decide(at(3), policy, [1.0] * 90, NEVER, NOW).desired == 2


def test_the_alarms_that_it_makes() -> None:
    metric = TrackedMetric(
        "AWS/SageMaker", "InvocationsPerInstance", {"EndpointName": "dogs", "VariantName": "all"}, "Sum"
    )
    arn = "arn:aws:autoscaling:eu-central-1:123456789012:scalingPolicy:x:resource/sagemaker/endpoint/dogs/variant/all:p"
    high, low = alarms_of(20.0, metric, resource_id="endpoint/dogs/variant/all", policy_arn=arn, uuids=("u1", "u2"))
    assert high["AlarmName"] == "TargetTracking-endpoint/dogs/variant/all-AlarmHigh-u1"
    assert low["AlarmName"] == "TargetTracking-endpoint/dogs/variant/all-AlarmLow-u2"
    told = ("ComparisonOperator", "Threshold", "Period", "EvaluationPeriods", "AlarmActions", "Statistic")
    assert [high[key] for key in told] == ["GreaterThanThreshold", 20.0, 60, 3, [arn], "Sum"]
    assert [low[key] for key in told] == ["LessThanThreshold", 18.0, 60, 15, [arn], "Sum"]
    assert arn in high["AlarmDescription"]
    fine = replace(metric, period=10, unit="Count")
    (only,) = alarms_of(20.0, fine, resource_id="r", policy_arn=arn, uuids=("u1", "u2"), scale_in=False)
    assert (only["Period"], only["Statistic"], only["Unit"]) == (10, "Sum", "Count")


def test_several_policies_scale_out_if_any_asks_and_in_if_all_agree() -> None:
    up, more, down, least = Decision(4, "up"), Decision(6, "more"), Decision(2, "down"), Decision(1, "least")
    calm = Decision(None, "calm")
    three = at(3, maximum=5)
    both = combine(three, [Vote("a", up), Vote("b", more), Vote("c", down)], "c")
    assert (both.decision.desired, both.policy) == (5, "b")
    assert combine(three, [Vote("a", down), Vote("b", calm)], "a").decision.desired is None
    assert "b (calm)" in combine(three, [Vote("a", down), Vote("b", calm)], "a").decision.cause
    assert combine(three, [Vote("a", down), Vote("b", calm, must_agree=False)], "a").decision.desired == 2
    agreed = combine(three, [Vote("a", down), Vote("b", least)], "b")
    assert (agreed.decision.desired, agreed.policy) == (2, "a")
    full = decide(at(3), TARGET_20, [900.0] * 3, NEVER, NOW)
    told = combine(at(3), [Vote("a", calm), Vote("b", full)], "b")
    assert (told.policy, told.decision) == ("b", full)
    assert combine(three, [], "a").decision.desired is None


def test_the_policy_that_is_called_tells_its_own_reason() -> None:
    three = at(3)
    flaps, full = decide(three, TARGET_20, [16.0] * 17, NEVER, NOW), decide(three, TARGET_20, [900.0] * 3, NEVER, NOW)
    for caller, decision in (("alpha", flaps), ("zulu", full)):
        told = combine(three, [Vote("alpha", flaps), Vote("zulu", full)], caller)
        assert (told.policy, told.decision) == (caller, decision)


def test_step_scaling_waits_for_no_target_tracking() -> None:
    three, calm = at(3), Decision(None, "calm")
    step = Vote("step", Decision(1, "step"), must_agree=False, step=True)
    alone = combine(three, [Vote("a", calm), step], "step")
    assert (alone.decision.desired, alone.policy) == (1, "step")
    blocked = combine(three, [Vote("a", calm), Vote("b", Decision(2, "down")), step], "step")
    assert (blocked.decision.desired, blocked.policy) == (1, "step"), "what b asks for waits for a"
    agreed = combine(three, [Vote("b", Decision(2, "down")), step], "step")
    assert (agreed.decision.desired, agreed.policy) == (2, "b"), "of several capacities the largest"


def test_bounds_and_schedules() -> None:
    assert within_bounds(at(1, minimum=2)).desired == 2
    assert within_bounds(at(5)).desired == 3
    assert within_bounds(at(2)).desired is None
    assert within_bounds(at(1, minimum=2)).cause == "minimum capacity was set to 2"
    night = with_schedule(at(2), 0, 1)
    assert (night.minimum, night.maximum, within_bounds(night).desired) == (0, 1, 1)
    assert with_schedule(at(2), 5, None).maximum == 5
    assert with_schedule(at(2), None, 0).minimum == 0


COUNTS = st.integers(0, 20)
METRICS = st.lists(st.none() | st.floats(0, 1e6), max_size=20)
TIMES = st.none() | st.floats(NOW - 2000, NOW)
POLICIES = st.builds(
    TrackingPolicy,
    target=st.floats(0.01, 1e4),
    scale_out_cooldown=st.sampled_from([0.0, 30.0, 300.0]),
    scale_in_cooldown=st.sampled_from([0.0, 30.0, 300.0]),
    disable_scale_in=st.booleans(),
)
LASTS = st.builds(LastActivities, TIMES, TIMES, st.integers(0, 5), st.booleans())


@st.composite
def capacities(draw: Callable[[st.SearchStrategy[int]], int]) -> Capacity:
    low = draw(COUNTS)
    return Capacity(draw(COUNTS), draw(COUNTS), low, low + draw(COUNTS), bool(draw(st.integers(0, 1))))


@given(capacities(), POLICIES, METRICS, LASTS)
def test_never_outside_minimum_to_maximum(
    capacity: Capacity, policy: TrackingPolicy, history: list[float | None], last: LastActivities
) -> None:
    decision = decide(capacity, policy, history, last, NOW)
    assert decision.cause
    if decision.desired is not None:
        assert capacity.minimum <= decision.desired <= capacity.maximum
        assert decision.desired != capacity.desired
        assert decision.not_scaled is None
    together = combine(capacity, [Vote("p", decision)], "p").decision
    assert together.desired == decision.desired


@given(capacities(), POLICIES, METRICS, LASTS, st.floats(0, 1e6))
def test_monotone_in_the_metric(
    capacity: Capacity, policy: TrackingPolicy, history: list[float | None], last: LastActivities, more: float
) -> None:
    capacity = replace(capacity, desired=capacity.bounded(capacity.desired))
    higher = [None if value is None else value + more for value in history]
    low, high = (decide(capacity, policy, values, last, NOW).desired for values in (history, higher))
    assert (capacity.desired if low is None else low) <= (capacity.desired if high is None else high)


class Service:
    """A target whose changes are done `delay` seconds after they were asked for, under a load; decided every minute."""

    def __init__(self, policy: TrackingPolicy, capacity: Capacity, delay: float) -> None:
        self.policy, self.capacity, self.delay = policy, capacity, delay
        self.points: list[float | None] = []
        self.changes: list[tuple[float, int, int]] = []
        self.last = LastActivities()
        self.now = NOW

    def minute(self, load: float) -> None:
        """A minute's metric is the average over its seconds of what serves: `delay` of them at the old capacity."""
        after = self.capacity.desired
        old = self.delay if self.capacity.in_progress else 0.0
        share = (old / max(1, self.capacity.current) + (60 - old) / max(1, after)) / 60
        self.points.append(load * share)
        if self.capacity.in_progress:
            ended = self.now + self.delay
            if after > self.capacity.current:
                self.last = LastActivities(
                    ended, self.last.scale_in_at, after - self.capacity.current, out_is_newer=True
                )
            else:
                self.last = replace(self.last, scale_in_at=ended, out_is_newer=False)
        self.now += 60
        self.capacity = replace(self.capacity, current=after, in_progress=False)
        decision = decide(self.capacity, self.policy, self.points[-points_needed(self.policy) :], self.last, self.now)
        if decision.desired is not None:
            self.changes.append((self.now, self.capacity.desired, decision.desired))
            self.capacity = replace(self.capacity, desired=decision.desired, in_progress=True)


DELAYS = st.sampled_from([1.0, 20.0, 45.0, 59.0])
COOLDOWNS = st.sampled_from([0.0, 30.0, 300.0])


@settings(deadline=None, max_examples=60)
@given(st.floats(0, 300), st.integers(1, 12), COOLDOWNS, COOLDOWNS, DELAYS)
def test_no_flapping_on_a_constant_load(load: float, begin: int, out: float, inward: float, delay: float) -> None:
    service = Service(TrackingPolicy(20.0, out, inward), Capacity(begin, begin, 1, 12), delay)
    for _ in range(400):
        service.minute(load)
    directions = {after > before for _, before, after in service.changes}
    assert len(directions) <= 1, "it goes one way only"
    assert all(moment < NOW + 300 * 60 for moment, _, _ in service.changes), "and comes to rest"
    serving = service.capacity.current
    assert load / serving <= 20.0 or serving == 12
    assert serving == 1 or load / (serving - 1) > 18.0, "with no unit that could go"


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(0, 300), st.integers(1, 60)), min_size=1, max_size=8), COOLDOWNS, COOLDOWNS, DELAYS)
def test_never_two_scale_ins_inside_a_cooldown(
    loads: list[tuple[float, int]], out: float, inward: float, delay: float
) -> None:
    service = Service(TrackingPolicy(20.0, out, inward), Capacity(6, 6, 0, 12), delay)
    for load, minutes in loads:
        for _ in range(minutes):
            service.minute(load)
    ins = [(moment, index) for index, (moment, before, after) in enumerate(service.changes) if after < before]
    for (first, here), (second, there) in pairwise(ins):
        assert second >= first + delay + inward or there > here + 1, "unless a scale-out between them ended it"


@pytest.mark.parametrize("target", [0.1, 0.7, 3.3])
def test_rounding_noise_adds_no_unit(target: float) -> None:
    policy = TrackingPolicy(target)
    for wanted in range(2, 50):
        value = target * wanted / 1
        assert decide(at(1, maximum=99), policy, [value] * 3, NEVER, NOW).desired == wanted
