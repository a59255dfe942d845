"""The two alarms that target tracking makes and manages for a policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sagehound.localcloud.scaling.alarm import AlarmRule

HIGH_PERIODS = 3
LOW_SECONDS = 900
"""The low alarm looks back a quarter of an hour: 15 periods of 60 s, 90 of 10 s."""
LOW_SHARE = 0.9
"""The low alarm's threshold as a share of the target: between the two nothing is done."""


@dataclass(frozen=True, slots=True)
class TrackedMetric:
    """The metric of a policy as an alarm names it."""

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    statistic: str = "Average"
    unit: str = ""
    period: int = 60


def high_rule(target: float, period: int = 60) -> AlarmRule:
    """Above the target for three periods."""
    return AlarmRule("GreaterThanThreshold", target, HIGH_PERIODS, HIGH_PERIODS, period=period)


def low_rule(target: float, period: int = 60) -> AlarmRule:
    """Below nine tenths of the target for a quarter of an hour."""
    periods = LOW_SECONDS // period
    return AlarmRule("LessThanThreshold", LOW_SHARE * target, periods, periods, period=period)


def alarms_of(
    target: float,
    metric: TrackedMetric,
    *,
    resource_id: str,
    policy_arn: str,
    uuids: tuple[str, str],
    scale_in: bool = True,
) -> list[dict[str, Any]]:
    """The high and the low alarm as PutMetricAlarm takes them; the low one is left out where scale-in is disabled."""
    pairs = [("AlarmHigh", high_rule(target, metric.period), uuids[0])]
    if scale_in:
        pairs.append(("AlarmLow", low_rule(target, metric.period), uuids[1]))
    return [
        _alarm(f"TargetTracking-{resource_id}-{kind}-{uuid}", rule, metric, policy_arn) for kind, rule, uuid in pairs
    ]


def _alarm(name: str, rule: AlarmRule, metric: TrackedMetric, policy_arn: str) -> dict[str, Any]:
    alarm: dict[str, Any] = {
        "AlarmName": name,
        "AlarmDescription": f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy_arn}.",
        "ActionsEnabled": True,
        "OKActions": [],
        "AlarmActions": [policy_arn],
        "InsufficientDataActions": [],
        "Namespace": metric.namespace,
        "MetricName": metric.name,
        "Dimensions": [{"Name": key, "Value": value} for key, value in metric.dimensions.items()],
        "Statistic": metric.statistic,
        "Period": metric.period,
        "EvaluationPeriods": rule.evaluation_periods,
        "Threshold": rule.threshold,
        "ComparisonOperator": rule.comparison,
    }
    return {**alarm, "Unit": metric.unit} if metric.unit else alarm
