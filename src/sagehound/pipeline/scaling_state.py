"""Scaling as AWS has it now: bounds and capacity, policies, their alarms, and the last activities with their causes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sagehound.pipeline.clients import Clients

_ALARMS_AT_ONCE = 100  # DescribeAlarms takes no more names
_SHOWN_ACTIVITIES = 3
_SHOWN_REASON = 100
_ALARM = re.compile(r"TargetTracking-\S+-(Alarm(?:High|Low))-[0-9a-f-]{36}")


@dataclass(frozen=True)
class ScalingState:
    """One scalable target with everything that hangs on it."""

    target: dict[str, Any]
    policies: list[dict[str, Any]] = field(default_factory=list)
    alarms: list[dict[str, Any]] = field(default_factory=list)
    scheduled: list[dict[str, Any]] = field(default_factory=list)
    activities: list[dict[str, Any]] = field(default_factory=list)
    """The newest first, those that did not scale among them."""

    @property
    def resource_id(self) -> str:
        """What is scaled."""
        return str(self.target["ResourceId"])

    @property
    def suspended(self) -> list[str]:
        """What of the scaling somebody has suspended."""
        return sorted(name for name, is_so in self.target.get("SuspendedState", {}).items() if is_so)

    def lines(self) -> list[str]:
        """As a person reads it."""
        bounds = f"{self.target['MinCapacity']} to {self.target['MaxCapacity']}"
        lines = [f"{self.resource_id}  {bounds}"]
        if self.suspended:
            lines.append(f"  suspended: {', '.join(self.suspended)}")
        lines += [f"  policy {policy_words(one)}" for one in self.policies]
        lines += [f"  alarm {alarm_words(one)}" for one in self.alarms]
        lines += [f"  schedule {one['ScheduledActionName']}  {one['Schedule']}" for one in self.scheduled]
        shown = self.activities[:_SHOWN_ACTIVITIES]
        lines += [f"  {activity_words(one)}" for one in shown] or ["  nothing has scaled yet"]
        return lines

    def as_dict(self) -> dict[str, Any]:
        """For machines (``--json``), with AWS's own members."""
        return {
            "resource_id": self.resource_id,
            "min_capacity": self.target["MinCapacity"],
            "max_capacity": self.target["MaxCapacity"],
            "suspended": self.suspended,
            "policies": self.policies,
            "alarms": [
                {key: one.get(key) for key in ("AlarmName", "StateValue", "StateReason", "Threshold")}
                for one in self.alarms
            ],
            "scheduled": [one["ScheduledActionName"] for one in self.scheduled],
            "activities": self.activities,
        }


def read_state(clients: Clients, place: dict[str, str]) -> ScalingState | None:
    """What there is of a target; None where it is not registered. Raises botocore's ClientError."""
    target = target_of(clients, place)
    if target is None:
        return None
    scaling = clients.autoscaling
    policies = scaling.describe_scaling_policies(**place)["ScalingPolicies"]
    return ScalingState(
        target,
        policies,
        alarms_of(clients, policies),
        scaling.describe_scheduled_actions(**place)["ScheduledActions"],
        scaling.describe_scaling_activities(**place, IncludeNotScaledActivities=True)["ScalingActivities"],
    )


def target_of(clients: Clients, place: dict[str, str]) -> dict[str, Any] | None:
    """The scalable target at a place, or None."""
    found: list[dict[str, Any]] = clients.autoscaling.describe_scalable_targets(
        ServiceNamespace=place["ServiceNamespace"],
        ResourceIds=[place["ResourceId"]],
        ScalableDimension=place["ScalableDimension"],
    )["ScalableTargets"]
    return found[0] if found else None


def alarms_of(clients: Clients, policies: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The alarms of policies, high ones first."""
    names = [alarm["AlarmName"] for policy in policies for alarm in policy.get("Alarms", [])]
    found: list[dict[str, Any]] = []
    for begin in range(0, len(names), _ALARMS_AT_ONCE):
        some = names[begin : begin + _ALARMS_AT_ONCE]
        found += clients.cloudwatch.describe_alarms(AlarmNames=some, MaxRecords=_ALARMS_AT_ONCE)["MetricAlarms"]
    return sorted(found, key=lambda alarm: -float(alarm.get("Threshold", 0.0)))


def policy_words(policy: dict[str, Any]) -> str:
    """NAME  target 20 of METRIC, cooldowns 30 s out and 30 s in; or what other kind it is."""
    tracking = policy.get("TargetTrackingScalingPolicyConfiguration")
    if tracking is None:
        return f"{policy['PolicyName']}  {policy['PolicyType']}"
    metric = tracking.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType")
    metric = metric or tracking.get("CustomizedMetricSpecification", {}).get("MetricName", "a metric of its own")
    out, back = tracking.get("ScaleOutCooldown", 300), tracking.get("ScaleInCooldown", 300)
    return (
        f"{policy['PolicyName']}  target {tracking['TargetValue']:g} of {metric}, "
        f"cooldowns {out} s out and {back} s in" + (", no scale-in" if tracking.get("DisableScaleIn") else "")
    )


def alarm_words(alarm: dict[str, Any]) -> str:
    """AlarmHigh OK  above 20 for 3 x 60 s (why it is in that state)."""
    kind = next((kind for kind in ("AlarmHigh", "AlarmLow") if kind in alarm["AlarmName"]), alarm["AlarmName"])
    side = "above" if "Greater" in alarm["ComparisonOperator"] else "below"
    rule = f"{side} {alarm['Threshold']:g} for {alarm['EvaluationPeriods']} x {alarm['Period']} s"
    reason = alarm.get("StateReason", "")
    if len(reason) > _SHOWN_REASON:
        reason = reason[:_SHOWN_REASON].rsplit(" ", 1)[0] + " ..."
    return f"{kind} {alarm['StateValue']}  {rule}" + (f" ({reason})" if reason else "")


def activity_words(activity: dict[str, Any]) -> str:
    """12:03:40 Successful  Setting desired instance count to 3. (its cause, or why it was not done)."""
    began: datetime = activity["StartTime"]
    told = f"{began:%H:%M:%S} {activity['StatusCode']}  {activity.get('Description', '').rstrip('.')}"
    reasons = [reason["Code"] for reason in activity.get("NotScaledReasons", [])]
    why = ", ".join(reasons) or cause_words(activity.get("Cause", ""))
    message = activity.get("StatusMessage", "") if activity["StatusCode"] == "Failed" else ""
    return told + "".join(f"; {part}" for part in (why, message) if part)


def cause_words(cause: str) -> str:
    """A cause without the long names of target tracking's alarms: AlarmHigh says as much."""
    return _ALARM.sub(r"\1", cause)
