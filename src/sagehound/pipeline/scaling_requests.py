"""What scaling asks of AWS: scalable targets with their bounds, and the target tracking policy on each."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from sagehound.errors import StepFailed
from sagehound.settings import ScaleSettings

INVOCATIONS = "SageMakerVariantInvocationsPerInstance"
CONCURRENCY = "SageMakerVariantConcurrentRequestsPerModelHighResolution"
CPU = "CPUUtilization"
UTILIZATION = "LambdaProvisionedConcurrencyUtilization"
_BURSTABLE = re.compile(r"ml\.t\d")
_LEAST_SHARE, _MOST_SHARE = 0.1, 0.9
"""Bounds that AWS has for the utilization of provisioned concurrency."""


@dataclass(frozen=True)
class Tracked:
    """A scalable target and what its target tracking policy keeps to."""

    subject: str
    """As people say it: endpoint NAME, function NAME:ALIAS."""
    namespace: str
    resource_id: str
    dimension: str
    minimum: int
    maximum: int
    metric: str
    target: float
    scale_in_cooldown: int
    scale_out_cooldown: int
    customized: dict[str, Any] = field(default_factory=dict)
    """CustomizedMetricSpecification, for a metric that is none of the predefined ones."""

    @property
    def place(self) -> dict[str, str]:
        """The members by which every request of Application Auto Scaling names the target."""
        return {
            "ServiceNamespace": self.namespace,
            "ResourceId": self.resource_id,
            "ScalableDimension": self.dimension,
        }

    def configuration(self) -> dict[str, Any]:
        """TargetTrackingScalingPolicyConfiguration."""
        metric = (
            {"CustomizedMetricSpecification": self.customized}
            if self.customized
            else {"PredefinedMetricSpecification": {"PredefinedMetricType": self.metric}}
        )
        return {
            "TargetValue": self.target,
            **metric,
            "ScaleInCooldown": self.scale_in_cooldown,
            "ScaleOutCooldown": self.scale_out_cooldown,
            "DisableScaleIn": False,
        }


def endpoint_tracked(endpoint: str, variant: str, settings: ScaleSettings) -> Tracked:
    """The instances behind an endpoint's variant; raises StepFailed for bounds and targets that mean nothing."""
    check_endpoint_bounds(settings)
    customized: dict[str, Any] = {}
    if settings.metric == CPU:
        customized = {
            "Namespace": "/aws/sagemaker/Endpoints",
            "MetricName": CPU,
            "Dimensions": [
                {"Name": "EndpointName", "Value": endpoint},
                {"Name": "VariantName", "Value": variant},
            ],
            "Statistic": "Average",
            "Unit": "Percent",
        }
    return Tracked(
        subject=f"endpoint {endpoint}",
        namespace="sagemaker",
        resource_id=endpoint_resource(endpoint, variant),
        dimension="sagemaker:variant:DesiredInstanceCount",
        minimum=settings.min_capacity,
        maximum=settings.max_capacity,
        metric=settings.metric,
        target=settings.target,
        scale_in_cooldown=settings.scale_in_cooldown,
        scale_out_cooldown=settings.scale_out_cooldown,
        customized=customized,
    )


def function_tracked(function: str, alias: str, settings: ScaleSettings) -> Tracked:
    """The environments of a function's alias that are kept ready; raises StepFailed as `endpoint_tracked` does."""
    check_function_bounds(settings)
    return Tracked(
        subject=f"function {function}:{alias}",
        namespace="lambda",
        resource_id=function_resource(function, alias),
        dimension="lambda:function:ProvisionedConcurrency",
        minimum=settings.function_min,
        maximum=settings.function_max,
        metric=UTILIZATION,
        target=settings.function_target,
        scale_in_cooldown=settings.scale_in_cooldown,
        scale_out_cooldown=settings.scale_out_cooldown,
    )


def endpoint_resource(endpoint: str, variant: str) -> str:
    """ResourceId of a production variant."""
    return f"endpoint/{endpoint}/variant/{variant}"


def function_resource(function: str, alias: str) -> str:
    """ResourceId of a function's alias."""
    return f"function:{function}:{alias}"


def is_burstable(instance_type: str) -> bool:
    """Whether AWS scales no instances of this type: ml.t2.medium, and not ml.trn1.2xlarge."""
    return _BURSTABLE.match(instance_type) is not None


def check_variant(endpoint: dict[str, Any], config: dict[str, Any], variant: str) -> str:
    """Refuse, before AWS does, what cannot scale: a variant that is not there, without instances, or burstable.

    ``endpoint`` and ``config`` are DescribeEndpoint's and DescribeEndpointConfig's answers. The type of the variant's
    instances.
    """
    name = endpoint["EndpointName"]
    if endpoint["EndpointStatus"] in ("Deleting", "Failed"):
        raise StepFailed("scale", f"endpoint {name} is {endpoint['EndpointStatus']}", "`sagehound deploy` makes it.")
    variants = {one["VariantName"]: one for one in config["ProductionVariants"]}
    if variant not in variants:
        raise StepFailed(
            "scale",
            f"endpoint {name} has no variant {variant}, only {', '.join(variants)}",
            "Name one of them: --set deploy.variant_name=...",
        )
    kind = str(variants[variant].get("InstanceType", ""))
    if not kind:
        raise StepFailed(
            "scale", f"variant {variant} of endpoint {name} has no instances of its own", "Serverless scales by itself."
        )
    if is_burstable(kind):
        raise StepFailed(
            "scale",
            f"variant {variant} of endpoint {name} runs on {kind}, and AWS scales no burstable instances",
            "Deploy it on another type: --set deploy.instance_type=ml.m5.large, then `sagehound deploy`.",
        )
    return kind


def check_endpoint_bounds(settings: ScaleSettings) -> None:
    """Refuse bounds and a target of the endpoint that mean nothing; raises StepFailed."""
    if settings.min_capacity < 1:
        raise StepFailed(
            "scale",
            f"scale.min_capacity {settings.min_capacity}: a variant of an endpoint keeps at least one instance",
            "Give 1 or more; `sagehound delete` takes an endpoint away that nobody asks.",
        )
    _check(settings.min_capacity, settings.max_capacity, settings.target, ("min_capacity", "max_capacity", "target"))


def check_function_bounds(settings: ScaleSettings) -> None:
    """Refuse bounds and a target of the function that mean nothing; raises StepFailed."""
    keys = ("function_min", "function_max", "function_target")
    _check(settings.function_min, settings.function_max, settings.function_target, keys)
    if not _LEAST_SHARE <= settings.function_target <= _MOST_SHARE:
        raise StepFailed(
            "scale",
            f"scale.function_target {settings.function_target:g}: AWS keeps to a share of {_LEAST_SHARE:g} to "
            f"{_MOST_SHARE:g} of the environments",
            "0.7 leaves room for the minutes that scaling takes.",
        )


def _check(minimum: int, maximum: int, target: float, keys: tuple[str, str, str]) -> None:
    low, high, aim = (f"scale.{key}" for key in keys)
    if minimum > maximum:
        raise StepFailed(
            "scale", f"{low} {minimum} is above {high} {maximum}", "The least is at most as much as the most."
        )
    if target <= 0:
        raise StepFailed(
            "scale",
            f"{aim} {target:g}: nothing can be kept at or below 0",
            "Give a value of the metric above 0; `sagehound scale --from-load FILE` finds one.",
        )
