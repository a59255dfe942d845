"""The metric that a target tracking policy follows, and its last values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagehound.localcloud.scaling.tracking import TrackingPolicy, points_needed
from sagehound.localcloud.scaling.tracking_alarms import TrackedMetric
from sagehound.localcloud.services.application_autoscaling.dimensions import Dimension
from sagehound.localcloud.services.application_autoscaling.needs import Metrics

_PERIOD = 60


def tracked_metric(dimension: Dimension, resource_id: str, configuration: Mapping[str, Any]) -> TrackedMetric:
    """The metric of a configuration that has passed its checks."""
    if "PredefinedMetricSpecification" in configuration:
        known = dimension.metrics[configuration["PredefinedMetricSpecification"]["PredefinedMetricType"]]
        named = dimension.metric_dimensions(resource_id)
        return TrackedMetric(known.namespace, known.name, named, known.statistic, period=known.period)
    custom = configuration["CustomizedMetricSpecification"]
    if "Metrics" in custom:
        stat = custom["Metrics"][0]["MetricStat"]
        metric = stat["Metric"]
        return TrackedMetric(
            metric["Namespace"], metric["MetricName"], _dimensions(metric), stat["Stat"], stat.get("Unit", "")
        )
    return TrackedMetric(
        custom["Namespace"], custom["MetricName"], _dimensions(custom), custom["Statistic"], custom.get("Unit", "")
    )


def tracking_policy(dimension: Dimension, configuration: Mapping[str, Any], period: int = _PERIOD) -> TrackingPolicy:
    """A configuration as the decision takes it. Every metric counts as falling when the capacity grows, which AWS asks
    of metrics of target tracking."""
    return TrackingPolicy(
        configuration["TargetValue"],
        configuration.get("ScaleOutCooldown", dimension.cooldown),
        configuration.get("ScaleInCooldown", dimension.cooldown),
        configuration.get("DisableScaleIn", False),
        period=period,
    )


def history(metrics: Metrics, region: str, metric: TrackedMetric, count: int, now: float) -> list[float | None]:
    """The values of the last `count` periods that have ended, oldest first; None where there are no data."""
    end = int(now // metric.period * metric.period)
    start = end - count * metric.period
    found = metrics.read(region, metric.namespace, metric.name, dict(metric.dimensions), start, end, metric.period)
    values: list[float | None] = []
    for begin in range(start, end, metric.period):
        period = found.get(begin)
        values.append(period.statistic(metric.statistic) if period is not None else None)
    return values


def tracking_history(
    metrics: Metrics, region: str, metric: TrackedMetric, policy: TrackingPolicy, now: float
) -> list[float | None]:
    """What the decision of target tracking looks at."""
    return history(metrics, region, metric, points_needed(policy), now)


def _dimensions(metric: Mapping[str, Any]) -> dict[str, str]:
    return {one["Name"]: one["Value"] for one in metric.get("Dimensions", [])}
