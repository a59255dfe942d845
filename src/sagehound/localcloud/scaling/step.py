"""Step scaling: the adjustment of the interval that a metric has reached beyond its alarm's threshold.

https://docs.aws.amazon.com/autoscaling/application/userguide/step-scaling-policy-overview.html (intervals, rounding,
cooldowns). AWS does not say to how many of the "most recent metric data points" MetricAggregationType is applied; here
to those that are passed in: the periods that the alarm evaluates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sagehound.localcloud.scaling.decision import (
    Capacity,
    Decision,
    LastActivities,
    at_desired,
    at_max,
    at_min,
)

CHANGE, EXACT, PERCENT = "ChangeInCapacity", "ExactCapacity", "PercentChangeInCapacity"


@dataclass(frozen=True, slots=True)
class Step:
    """An adjustment and its interval, relative to the alarm's threshold; None: without end."""

    adjustment: int
    lower: float | None = None
    upper: float | None = None

    def holds(self, beyond: float) -> bool:
        """Whether the metric is in the interval: above the threshold the lower bound is inclusive and the upper one
        exclusive, below it the other way round."""
        lower = -math.inf if self.lower is None else self.lower
        upper = math.inf if self.upper is None else self.upper
        above, below = lower <= beyond < upper, lower < beyond <= upper
        return above or below if beyond == 0 else (above if beyond > 0 else below)


@dataclass(frozen=True, slots=True)
class StepPolicy:
    """A step scaling configuration."""

    adjustment_type: str
    steps: tuple[Step, ...]
    cooldown: float = 300.0
    min_adjustment_magnitude: int = 0
    aggregation: str = "Average"


def decide_step(
    capacity: Capacity,
    policy: StepPolicy,
    threshold: float,
    history: Sequence[float | None],
    last: LastActivities,
    now: float,
) -> Decision:
    """The new capacity once the policy's alarm is in ALARM, or why there is none."""
    values = [value for value in history if value is not None]
    if not values:
        return Decision(None, "the metric has no data, so no step can be chosen and nothing is scaled")
    metric = _aggregate(policy.aggregation, values)
    step = next((one for one in policy.steps if one.holds(metric - threshold)), None)
    if step is None:
        return Decision(None, f"no step adjustment holds for the metric ({metric:g}) at the threshold {threshold:g}")
    cools = last.scale_out_cools(policy.cooldown, now)
    adjusted = adjust(policy, step.adjustment, capacity.desired)
    why = f"the metric ({metric:g}) is at {metric - threshold:+g} from the threshold {threshold:g}"
    if adjusted == capacity.desired:
        return at_desired(capacity, f"{why}: the step leaves the capacity at {adjusted}")
    if adjusted < capacity.desired:
        return _scale_in(capacity, policy, adjusted, last, now, why)
    if capacity.desired >= capacity.maximum:
        return at_max(capacity, why)
    if cools:
        # What the last scale-out added counts: the step is taken from the capacity before it.
        adjusted = adjust(policy, step.adjustment, max(0, capacity.desired - last.scaled_by))
        if adjusted <= capacity.desired:
            return Decision(None, f"{why}, and the scale-out cooldown lasts with enough added already")
    return Decision(
        capacity.bounded(adjusted), f"{why}: {capacity.desired} unit(s) become {capacity.bounded(adjusted)}"
    )


def adjust(policy: StepPolicy, adjustment: int, base: int) -> int:
    """`base` changed as the adjustment type says; percentages are rounded as AWS rounds them."""
    if policy.adjustment_type == EXACT:
        return adjustment
    change = float(adjustment)
    if policy.adjustment_type == PERCENT:
        change = round_change(base * adjustment / 100)
        if change and abs(change) < policy.min_adjustment_magnitude:
            change = math.copysign(policy.min_adjustment_magnitude, change)
        elif not change and adjustment and policy.min_adjustment_magnitude:
            change = math.copysign(policy.min_adjustment_magnitude, adjustment)
    return max(0, base + int(change))


def round_change(change: float) -> int:
    """Towards zero, but what is between 0 and 1 becomes 1 and what is between 0 and -1 becomes -1."""
    if 0 < abs(change) < 1:
        return 1 if change > 0 else -1
    return math.trunc(change)


def _aggregate(aggregation: str, values: list[float]) -> float:
    if aggregation == "Minimum":
        return min(values)
    return max(values) if aggregation == "Maximum" else math.fsum(values) / len(values)


def _scale_in(
    capacity: Capacity, policy: StepPolicy, adjusted: int, last: LastActivities, now: float, why: str
) -> Decision:
    if capacity.desired <= capacity.minimum:
        return at_min(capacity, why)
    if capacity.in_progress:
        return Decision(None, f"{why}, and a scaling activity is in progress")
    if last.scale_in_cools(policy.cooldown, now):
        return Decision(None, f"{why}, and the scale-in cooldown lasts")
    desired = capacity.bounded(adjusted)
    return Decision(desired, f"{why}: {capacity.desired} unit(s) become {desired}")
