"""Target tracking: how many units keep a metric at its target, and when to change to them.

https://docs.aws.amazon.com/autoscaling/application/userguide/target-tracking-scaling-policy-overview.html: scale-out is
in proportion to the metric, as fast as it can, and in more gradually, within cooldowns, and not where the metric would
then cross the threshold of the reverse direction. AWS does not publish the arithmetic. Ours, chosen so that it rather
keeps too much than too little:

- scale-out: ceil(capacity x latest point / target), at least one more
- scale-in: ceil(capacity x highest point of the low alarm's periods / target), at most a quarter of the capacity (at
  least one unit) at a time; nothing while a change is under way or a scale-out cools down
- a point counts for the capacity at which it was measured: one that began before the last scale-out ended asks for
  units beyond the capacity before it, and no scale-in follows another before a whole period was measured in between
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sagehound.localcloud.scaling.alarm import ALARM, OK, evaluate
from sagehound.localcloud.scaling.decision import Capacity, Decision, LastActivities, at_max, at_min, flapping
from sagehound.localcloud.scaling.tracking_alarms import high_rule, low_rule

GRADUAL = 4
"""One scale-in removes at most 1/GRADUAL of the capacity, and at least one unit."""
_NOISE = 1e-9
"""3 x 0.7 / 0.7 is not exactly 3: what is above a whole number by less than this is that number."""


@dataclass(frozen=True, slots=True)
class TrackingPolicy:
    """A target tracking configuration, on a metric that falls as the capacity grows (invocations per instance,
    utilization), as AWS asks of it. `period` is 10 for high-resolution metrics."""

    target: float
    scale_out_cooldown: float = 300.0
    scale_in_cooldown: float = 300.0
    disable_scale_in: bool = False
    period: int = 60


def decide(
    capacity: Capacity,
    policy: TrackingPolicy,
    history: Sequence[float | None],
    last: LastActivities,
    now: float,
) -> Decision:
    """The new capacity, or why there is none. `history` are the metric's last complete periods, oldest first, None
    where there are no data: at least `points_needed(policy)` of them, or what there is."""
    found = [(age, value) for age, value in enumerate(reversed(history), 1) if value is not None]
    if not found:
        return Decision(None, "the metric has no data: its alarms have insufficient data, so nothing is scaled")
    high, low = high_rule(policy.target, policy.period), low_rule(policy.target, policy.period)
    age, latest = found[0]
    measured_since = (now // policy.period - age) * policy.period
    if evaluate(high, history, OK).state == ALARM:
        return _scale_out(capacity, policy, latest, measured_since, last, now)
    if evaluate(low, history, OK).state == ALARM:
        peak = max(value for value in history[-low.evaluation_range :] if value is not None)
        return _scale_in(capacity, policy, peak, measured_since, last, now)
    return Decision(
        None, f"the metric ({latest:g}) has not left the band of the target {policy.target:g} for long enough"
    )


def points_needed(policy: TrackingPolicy) -> int:
    """How many periods `decide` looks at."""
    return low_rule(policy.target, policy.period).evaluation_range


def _units(base: int, value: float, target: float) -> int:
    """So many units bring `value` per unit of `base` to the target; from zero units it counts as that of one."""
    return math.ceil(max(1, base) * value / target - _NOISE)


def _scale_out(
    capacity: Capacity, policy: TrackingPolicy, value: float, since: float, last: LastActivities, now: float
) -> Decision:
    why = f"the metric ({value:g}) is above the target {policy.target:g}"
    cools = last.scale_out_cools(policy.scale_out_cooldown, now)
    base = min(capacity.current, capacity.desired) if capacity.in_progress else capacity.desired
    if cools or (last.scale_out_at is not None and since < last.scale_out_at):
        # "The capacity that has been added by the previous scale out event that initiated the cooldown is calculated
        # as part of the desired capacity for the next scale out": only what is wanted beyond it is added.
        base = min(base, max(0, capacity.desired - last.scaled_by))
    wanted = max(base + 1, _units(base, value, policy.target))
    if capacity.desired >= capacity.maximum:
        return at_max(capacity, why)
    if wanted <= capacity.desired:
        waiting = "the scale-out cooldown lasts" if cools else "the last scale-out takes effect"
        return Decision(None, f"{why}, and what was added already is enough ({wanted}) while {waiting}")
    desired = capacity.bounded(wanted)
    return Decision(desired, f"{why}: {base} unit(s) become {wanted}" + _limited(wanted, desired))


def _scale_in(
    capacity: Capacity, policy: TrackingPolicy, peak: float, since: float, last: LastActivities, now: float
) -> Decision:
    why = f"the metric (at most {peak:g}) is below 90 % of the target {policy.target:g}"
    if policy.disable_scale_in:
        return Decision(None, f"{why}, and scale-in is disabled")
    if capacity.desired <= capacity.minimum:
        return at_min(capacity, why)
    waiting = _waits(capacity, policy, since, last, now)
    if waiting:
        return Decision(None, f"{why}, and {waiting}")
    base = capacity.desired
    wanted = _units(base, peak, policy.target)
    if wanted >= base:
        return flapping(capacity, f"{why}, but {base - 1} unit(s) would bring it above the target")
    desired = capacity.bounded(max(wanted, base - max(1, base // GRADUAL)))
    return Decision(desired, f"{why}: {base} unit(s) become {desired}")


def _waits(capacity: Capacity, policy: TrackingPolicy, since: float, last: LastActivities, now: float) -> str:
    """What a scale-in has to wait for; "" for nothing."""
    if capacity.in_progress:
        return "a scaling activity is in progress"
    if last.scale_in_cools(policy.scale_in_cooldown, now):
        return "the scale-in cooldown lasts"
    if last.scale_out_cools(policy.scale_out_cooldown, now):
        return "the scale-out cooldown lasts"
    if last.scale_in_at is not None and since < last.scale_in_at:
        return "no whole period has been measured since the last scale-in"
    return ""


def _limited(wanted: int, desired: int) -> str:
    return "" if wanted == desired else f", limited to {desired}"
