"""The metric that a target tracking policy follows, and the alarms on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagehound.localcloud.scaling.tracking import TrackingPolicy
from sagehound.localcloud.scaling.tracking_alarms import TrackedMetric, alarms_of
from sagehound.localcloud.services.application_autoscaling.dimensions import Dimension

Record = dict[str, Any]
_PERIOD = 60
_OF_ONE_METRIC = ("Namespace", "MetricName", "Dimensions", "Statistic", "ExtendedStatistic", "Period", "Unit")


def alarms(dimension: Dimension, policy: Record, action: str, uuids: tuple[str, str]) -> list[Record]:
    """The alarms of a policy as PutMetricAlarm takes them."""
    configuration = policy["TargetTrackingScalingPolicyConfiguration"]
    made = alarms_of(
        configuration["TargetValue"],
        _metric(dimension, policy["ResourceId"], configuration),
        resource_id=policy["ResourceId"],
        policy_arn=action,
        uuids=uuids,
        scale_in=not configuration.get("DisableScaleIn", False),
    )
    queries = configuration.get("CustomizedMetricSpecification", {}).get("Metrics")
    if queries is None:
        return made
    computed = [_query(query) for query in queries]
    return [{**_without_metric(alarm), "Metrics": computed} for alarm in made]


def tracking_policy(dimension: Dimension, configuration: Mapping[str, Any]) -> TrackingPolicy:
    """A configuration as the decision takes it. Every metric counts as falling when the capacity grows, which AWS asks
    of metrics of target tracking."""
    predefined = configuration.get("PredefinedMetricSpecification")
    return TrackingPolicy(
        configuration["TargetValue"],
        configuration.get("ScaleOutCooldown", dimension.cooldown),
        configuration.get("ScaleInCooldown", dimension.cooldown),
        configuration.get("DisableScaleIn", False),
        period=dimension.metrics[predefined["PredefinedMetricType"]].period if predefined else _PERIOD,
    )


def _metric(dimension: Dimension, resource_id: str, configuration: Mapping[str, Any]) -> TrackedMetric:
    if "PredefinedMetricSpecification" in configuration:
        known = dimension.metrics[configuration["PredefinedMetricSpecification"]["PredefinedMetricType"]]
        named = dimension.metric_dimensions(resource_id)
        return TrackedMetric(known.namespace, known.name, named, known.statistic, period=known.period)
    custom = configuration["CustomizedMetricSpecification"]
    named = {one["Name"]: one["Value"] for one in custom.get("Dimensions", [])}
    # What is computed has no name of its own: `alarms` puts the queries in the place of these.
    names = custom.get("Namespace", ""), custom.get("MetricName", "")
    return TrackedMetric(*names, named, custom.get("Statistic", "Average"), custom.get("Unit", ""))


def _query(query: Mapping[str, Any]) -> Record:
    """A query of a policy as alarms have them: the period is a minute."""
    if "MetricStat" not in query:
        return dict(query)
    return {**query, "MetricStat": {**query["MetricStat"], "Period": _PERIOD}}


def _without_metric(alarm: Record) -> Record:
    return {member: value for member, value in alarm.items() if member not in _OF_ONE_METRIC}
