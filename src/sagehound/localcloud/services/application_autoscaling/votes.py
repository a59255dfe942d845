"""What each scaling policy of a target decides by itself, from the metric that it looks at."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.scaling.combine import Vote
from sagehound.localcloud.scaling.decision import Capacity, Decision, LastActivities
from sagehound.localcloud.scaling.step import Step, StepPolicy, decide_step
from sagehound.localcloud.scaling.tracking import decide
from sagehound.localcloud.scaling.tracking_alarms import TrackedMetric
from sagehound.localcloud.services.application_autoscaling.dimensions import DIMENSIONS
from sagehound.localcloud.services.application_autoscaling.needs import Alarms, Metrics
from sagehound.localcloud.services.application_autoscaling.policy_checks import CONFIGURATIONS, STEP, TRACKING
from sagehound.localcloud.services.application_autoscaling.tracked import (
    history,
    tracked_metric,
    tracking_history,
    tracking_policy,
)

Record = dict[str, Any]
_STEP_COOLDOWN = 300


class Votes:
    """Reads the metrics and asks the pure functions."""

    def __init__(self, alarms: Alarms, metrics: Metrics) -> None:
        self._alarms = alarms
        self._metrics = metrics

    def tracking(self, region: str, policy: Record, capacity: Capacity, last: LastActivities, now: float) -> Vote:
        """What a target tracking policy decides."""
        dimension = DIMENSIONS[policy["ScalableDimension"]]
        configuration = policy[CONFIGURATIONS[TRACKING]]
        metric = tracked_metric(dimension, policy["ResourceId"], configuration)
        told = tracking_policy(dimension, configuration, metric.period)
        values = tracking_history(self._metrics, region, metric, told, now)
        decision = decide(capacity, told, values, last, now)
        return Vote(policy["PolicyName"], decision, must_agree=not told.disable_scale_in)

    def step(
        self, region: str, policy: Record, alarm_name: str, capacity: Capacity, last: LastActivities, now: float
    ) -> Vote:
        """What a step scaling policy decides once the alarm calls it."""
        alarm = self._alarms.describe(region, alarm_name)
        if alarm is None:
            decision = Decision(None, f"the alarm {alarm_name} is not there any more")
        else:
            metric = _metric_of(alarm)
            values = history(self._metrics, region, metric, alarm["EvaluationPeriods"], now)
            decision = decide_step(capacity, _step_policy(policy), alarm["Threshold"], values, last, now)
        return Vote(policy["PolicyName"], decision, must_agree=False)


def _metric_of(alarm: Record) -> TrackedMetric:
    return TrackedMetric(
        alarm["Namespace"],
        alarm["MetricName"],
        {one["Name"]: one["Value"] for one in alarm.get("Dimensions", [])},
        alarm.get("Statistic") or alarm["ExtendedStatistic"],
        period=alarm["Period"],
    )


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
