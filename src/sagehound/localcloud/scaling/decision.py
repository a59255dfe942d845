"""What a scaling decision is made from and what it says: capacity, last activities, the decision and its reasons."""

from __future__ import annotations

from dataclasses import dataclass

FLAPPING = "AutoScalingAnticipatedFlapping"
UNSCALABLE = "TargetServicePutResourceAsUnscalable"
AT_MAX = "AlreadyAtMaxCapacity"
AT_MIN = "AlreadyAtMinCapacity"
AT_DESIRED = "AlreadyAtDesiredCapacity"


@dataclass(frozen=True, slots=True)
class Capacity:
    """Of a scalable target: what serves, what was asked for, the bounds, and whether a change is under way."""

    current: int
    desired: int
    minimum: int
    maximum: int
    in_progress: bool = False

    def bounded(self, count: int) -> int:
        """`count` brought into minimum..maximum."""
        return max(self.minimum, min(self.maximum, count))


@dataclass(frozen=True, slots=True)
class LastActivities:
    """When the last scale-out and scale-in of a target ended (seconds since 1970; None: never), how many units the
    scale-out added, which count as capacity during its cooldown, and whether it came after the scale-in: a clock that
    was set back does not tell."""

    scale_out_at: float | None = None
    scale_in_at: float | None = None
    scaled_by: int = 0
    out_is_newer: bool = False

    def scale_out_cools(self, cooldown: float, now: float) -> bool:
        """Whether the scale-out cooldown lasts."""
        return self.scale_out_at is not None and now < self.scale_out_at + cooldown

    def scale_in_cools(self, cooldown: float, now: float) -> bool:
        """Whether the scale-in cooldown lasts. A scale-out ends it: "the scale-in cooldown period stops and doesn't
        complete" (API_TargetTrackingScalingPolicyConfiguration)."""
        return self.scale_in_at is not None and not self.out_is_newer and now < self.scale_in_at + cooldown


@dataclass(frozen=True, slots=True)
class NotScaledReason:
    """Why nothing was done, as DescribeScalingActivities tells it (API_NotScaledReason)."""

    code: str
    current_capacity: int | None = None
    max_capacity: int | None = None
    min_capacity: int | None = None

    def members(self) -> dict[str, str | int]:
        """The same with AWS's names, without what is not known."""
        named = {
            "Code": self.code,
            "CurrentCapacity": self.current_capacity,
            "MaxCapacity": self.max_capacity,
            "MinCapacity": self.min_capacity,
        }
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Decision:
    """`desired` is the new capacity, None for no change; `cause` says why in one sentence; `not_scaled` is the reason
    that AWS has a code for, None where AWS records nothing (a cooldown, no data, within the target)."""

    desired: int | None
    cause: str
    not_scaled: NotScaledReason | None = None


def cause_of_alarm(alarm_name: str, policy_name: str) -> str:
    """The Cause of an activity that an alarm brought about, in AWS's words."""
    return f"monitor alarm {alarm_name} in state ALARM triggered policy {policy_name}"


def at_max(capacity: Capacity, why: str) -> Decision:
    """Nothing done: the maximum is reached."""
    reason = NotScaledReason(AT_MAX, capacity.desired, max_capacity=capacity.maximum)
    return Decision(None, f"{why}; already at the maximum capacity of {capacity.maximum}", reason)


def at_min(capacity: Capacity, why: str) -> Decision:
    """Nothing done: the minimum is reached."""
    reason = NotScaledReason(AT_MIN, capacity.desired, min_capacity=capacity.minimum)
    return Decision(None, f"{why}; already at the minimum capacity of {capacity.minimum}", reason)


def flapping(capacity: Capacity, why: str) -> Decision:
    """Nothing done: it would have to be undone at once."""
    return Decision(None, why, NotScaledReason(FLAPPING, capacity.desired))


def unscalable(capacity: Capacity, why: str) -> Decision:
    """Nothing done: the service does not let its resource be scaled now."""
    return Decision(None, why, NotScaledReason(UNSCALABLE, capacity.desired))


def at_desired(capacity: Capacity, why: str) -> Decision:
    """Nothing done: the computed capacity is the present one."""
    return Decision(None, why, NotScaledReason(AT_DESIRED, capacity.desired))
