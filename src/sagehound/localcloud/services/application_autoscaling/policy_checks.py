"""What PutScalingPolicy refuses, in AWS's words where they are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from sagehound.localcloud.errors import validation
from sagehound.localcloud.services.application_autoscaling.dimensions import Dimension
from sagehound.localcloud.services.application_autoscaling.errors import limit_exceeded

TRACKING, STEP = "TargetTrackingScaling", "StepScaling"
CONFIGURATIONS = {
    TRACKING: "TargetTrackingScalingPolicyConfiguration",
    STEP: "StepScalingPolicyConfiguration",
    "PredictiveScaling": "PredictiveScalingPolicyConfiguration",
}
_SMALLEST, _LARGEST = 2.0**-360, 2.0**360
_MOST_STEPS = 20
_COOLDOWNS = ("ScaleOutCooldown", "ScaleInCooldown")


def check_type(
    dimension: Dimension, request: Mapping[str, Any], policy_type: str, before: Mapping[str, Any] | None
) -> Mapping[str, Any]:
    """The one configuration that the policy's type needs; that of `before` where an update says nothing of it."""
    if policy_type == "PredictiveScaling":
        raise validation(f"Predictive scaling policies are not supported for scalable dimension {dimension.name}.")
    if policy_type == STEP and not dimension.has_steps:
        raise validation(f"Step scaling policies are not supported for scalable dimension {dimension.name}.")
    wanted = CONFIGURATIONS[policy_type]
    others = [member for member in CONFIGURATIONS.values() if member in request and member != wanted]
    if others:
        raise validation(f"{others[0]} cannot be specified for a policy of type {policy_type}.")
    if wanted in request:
        found: Mapping[str, Any] = request[wanted]
        return _updated(before, found) if policy_type == STEP and before else found
    if before is None:
        raise validation(f"You must specify {wanted} for a policy of type {policy_type}.")
    return before


def check_tracking(dimension: Dimension, configuration: Mapping[str, Any]) -> None:
    """Refuse a target value, a metric or a cooldown that makes no sense."""
    target = configuration["TargetValue"]
    if not _SMALLEST <= target <= _LARGEST:
        raise validation(
            f"Invalid TargetValue {target:g}: it must be greater than 0 and in the range 8.515920e-109 to 1.174271e+108"
            " (Base 10) or 2^-360 to 2^360 (Base 2)."
        )
    for member in _COOLDOWNS:
        if configuration.get(member, 0) < 0:
            raise validation(f"{member} must not be negative.")
    predefined = configuration.get("PredefinedMetricSpecification")
    customized = configuration.get("CustomizedMetricSpecification")
    if (predefined is None) == (customized is None):
        raise validation(
            "Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must be specified."
        )
    if predefined is not None:
        _check_predefined(dimension, predefined, target)
    if customized is not None:
        _check_customized(customized)


def check_steps(configuration: Mapping[str, Any]) -> None:
    """Refuse steps that overlap or leave gaps."""
    if "AdjustmentType" not in configuration:
        raise validation("AdjustmentType must be specified.")
    steps = configuration.get("StepAdjustments", [])
    if not steps:
        raise validation("At least one StepAdjustment must be specified.")
    if len(steps) > _MOST_STEPS:
        raise limit_exceeded("step adjustments per step scaling policy", _MOST_STEPS)
    if "MinAdjustmentMagnitude" in configuration and configuration["AdjustmentType"] != "PercentChangeInCapacity":
        raise validation("MinAdjustmentMagnitude can only be specified with AdjustmentType PercentChangeInCapacity.")
    if configuration.get("Cooldown", 0) < 0:
        raise validation("Cooldown must not be negative.")
    if configuration["AdjustmentType"] == "ExactCapacity" and any(step["ScalingAdjustment"] < 0 for step in steps):
        raise validation("ScalingAdjustment must not be negative with AdjustmentType ExactCapacity.")
    _check_intervals(steps)


def check_single_metric(configuration: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> None:
    """Two policies that track one metric would pull at the same capacity."""
    metrics = ("PredefinedMetricSpecification", "CustomizedMetricSpecification")
    wanted = [configuration.get(member) for member in metrics]
    if any([other.get(member) for member in metrics] == wanted for other in others):
        raise validation("Only one TargetTrackingScaling policy for a given metric specification is allowed.")


def _updated(before: Mapping[str, Any], steps: Mapping[str, Any]) -> Mapping[str, Any]:
    """A configuration of steps with what an update names: "AdjustmentType is required if you are adding a new step
    scaling policy configuration". A new type does not inherit the magnitude, which only one type has."""
    left = {"MinAdjustmentMagnitude"} if "AdjustmentType" in steps else set()
    return {**{member: value for member, value in before.items() if member not in left}, **steps}


def _check_predefined(dimension: Dimension, specification: Mapping[str, Any], target: float) -> None:
    name = specification["PredefinedMetricType"]
    metric = dimension.metrics.get(name)
    if metric is None:
        raise validation(
            f"Scalable dimension {dimension.name} only supports the following predefined metric types: "
            f"{', '.join(dimension.metrics)}"
        )
    if "ResourceLabel" in specification:
        raise validation(f"ResourceLabel cannot be specified for predefined metric type {name}.")
    if metric.highest and not metric.lowest <= target <= metric.highest:
        raise validation(
            f"Invalid TargetValue {target:g}: for predefined metric type {name} it must be between {metric.lowest:g}"
            f" and {metric.highest:g}."
        )


def _check_customized(specification: Mapping[str, Any]) -> None:
    if "Metrics" not in specification:
        missing = [name for name in ("MetricName", "Namespace", "Statistic") if name not in specification]
        if missing:
            raise validation(f"CustomizedMetricSpecification must have {', '.join(missing)}.")
        return
    if any(name in specification for name in ("MetricName", "Namespace", "Statistic", "Dimensions", "Unit")):
        raise validation("CustomizedMetricSpecification cannot have Metrics together with the members of one metric.")


def _check_intervals(steps: Sequence[Mapping[str, Any]]) -> None:
    lower, upper = "MetricIntervalLowerBound", "MetricIntervalUpperBound"
    for bound, word in ((lower, "lower"), (upper, "upper")):
        if sum(bound not in step for step in steps) > 1:
            raise validation(f"At most one StepAdjustment may have an unspecified {word} bound.")
    infinity = float("inf")
    ordered = sorted((step.get(lower, -infinity), step.get(upper, infinity)) for step in steps)
    for low, high in ordered:
        if low >= high:
            raise validation("StepAdjustment lower bound must be less than its upper bound.")
    for (_, high), (low, _) in pairwise(ordered):
        if low < high:
            raise validation("StepAdjustment intervals can't overlap.")
        if low > high:
            raise validation("StepAdjustment intervals can't have gaps between them.")
    if -infinity < ordered[0][0] < 0:
        raise validation("There must be a StepAdjustment with an unspecified lower bound if one has a negative one.")
    if 0 < ordered[-1][1] < infinity:
        raise validation("There must be a StepAdjustment with an unspecified upper bound if one has a positive one.")
