"""What each scaling policy of a target decides by itself, from the values that its alarm looks at."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.scaling.combine import Vote
from sagehound.localcloud.scaling.decision import Capacity, Decision, LastActivities
from sagehound.localcloud.scaling.step import Step, StepPolicy, decide_step
from sagehound.localcloud.scaling.tracking import decide, points_needed
from sagehound.localcloud.services.application_autoscaling.dimensions import DIMENSIONS
from sagehound.localcloud.services.application_autoscaling.needs import Alarms
from sagehound.localcloud.services.application_autoscaling.policy_checks import CONFIGURATIONS, STEP, TRACKING
from sagehound.localcloud.services.application_autoscaling.tracked import tracking_policy

Record = dict[str, Any]
_STEP_COOLDOWN = 300


class Votes:
    """Reads the values and asks the pure functions."""

    def __init__(self, alarms: Alarms) -> None:
        self._alarms = alarms

    def tracking(self, region: str, policy: Record, capacity: Capacity, last: LastActivities, now: float) -> Vote:
        """What a target tracking policy decides."""
        told = tracking_policy(DIMENSIONS[policy["ScalableDimension"]], policy[CONFIGURATIONS[TRACKING]])
        name = policy["Alarms"][0]["AlarmName"]
        values = self._alarms.values(region, name, points_needed(told), now)
        decision = _gone(name) if values is None else decide(capacity, told, values, last, now)
        return Vote(policy["PolicyName"], decision, must_agree=not told.disable_scale_in)

    def step(
        self, region: str, policy: Record, alarm_name: str, capacity: Capacity, last: LastActivities, now: float
    ) -> Vote:
        """What a step scaling policy decides once the alarm calls it."""
        alarm = self._alarms.describe(region, alarm_name)
        values = self._alarms.values(region, alarm_name, alarm["EvaluationPeriods"], now) if alarm else None
        if alarm is None or values is None:
            decision = _gone(alarm_name)
        else:
            decision = decide_step(capacity, _step_policy(policy), alarm["Threshold"], values, last, now)
        return Vote(policy["PolicyName"], decision, must_agree=False, step=True)


def _gone(alarm_name: str) -> Decision:
    return Decision(None, f"the alarm {alarm_name} is not there any more")


def _step_policy(policy: Record) -> StepPolicy:
    configuration = policy[CONFIGURATIONS[STEP]]
    steps = tuple(
        Step(one["ScalingAdjustment"], one.get("MetricIntervalLowerBound"), one.get("MetricIntervalUpperBound"))
        for one in configuration["StepAdjustments"]
    )
    return StepPolicy(
        configuration["AdjustmentType"],
        steps,
        configuration.get("Cooldown", _STEP_COOLDOWN),
        configuration.get("MinAdjustmentMagnitude", 0),
        configuration.get("MetricAggregationType", "Average"),
    )
