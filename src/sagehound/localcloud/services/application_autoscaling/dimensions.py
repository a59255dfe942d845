"""What can be scaled: the dimensions of this cloud, their resource ids, metrics and words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sagehound.localcloud.errors import validation
from sagehound.localcloud.scaling import resource_ids


@dataclass(frozen=True, slots=True)
class Predefined:
    """A predefined metric: what it is in CloudWatch, and which targets make sense for it."""

    namespace: str
    name: str
    statistic: str
    period: int = 60
    lowest: float = 0.0
    highest: float = 0.0
    """The least and the greatest target value; 0 and 0: any above 0."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """One scalable dimension."""

    namespace: str
    name: str
    resource: re.Pattern[str]
    """Of a resource id; its groups are named as the dimensions of the metrics."""
    quantity: str
    """What activities call the capacity: "Setting desired instance count to 2."."""
    role: str
    """Of the service-linked role."""
    cooldown: float
    """Default of ScaleInCooldown and ScaleOutCooldown."""
    has_steps: bool
    metrics: Mapping[str, Predefined]
    goes_with_resource: bool = False
    """Whether a target is deregistered when its resource is deleted."""

    def metric_dimensions(self, resource_id: str) -> dict[str, str]:
        """The dimensions in CloudWatch of a resource's metrics."""
        found = self.resource.fullmatch(resource_id)
        assert found is not None
        named = found.groupdict()
        if "Qualifier" in named:
            return {"FunctionName": named["FunctionName"], "Resource": f"{named['FunctionName']}:{named['Qualifier']}"}
        return named

    def role_arn(self, account_id: str) -> str:
        """The service-linked role that AWS would make."""
        service = f"{self.namespace}.application-autoscaling.amazonaws.com"
        return f"arn:aws:iam::{account_id}:role/aws-service-role/{service}/AWSServiceRoleFor{self.role}"


VARIANT = Dimension(
    "sagemaker",
    "sagemaker:variant:DesiredInstanceCount",
    resource_ids.VARIANT,
    "desired instance count",
    "ApplicationAutoScaling_SageMakerEndpoint",
    300.0,
    True,
    {
        "SageMakerVariantInvocationsPerInstance": Predefined("AWS/SageMaker", "InvocationsPerInstance", "Sum"),
        "SageMakerVariantConcurrentRequestsPerModelHighResolution": Predefined(
            "AWS/SageMaker", "ConcurrentRequestsPerModel", "Maximum", 10
        ),
    },
    goes_with_resource=True,
)
FUNCTION = Dimension(
    "lambda",
    "lambda:function:ProvisionedConcurrency",
    resource_ids.FUNCTION,
    "desired concurrency",
    "ApplicationAutoScaling_LambdaConcurrency",
    0.0,
    False,
    {
        "LambdaProvisionedConcurrencyUtilization": Predefined(
            "AWS/Lambda", "ProvisionedConcurrencyUtilization", "Average", lowest=0.1, highest=0.9
        ),
    },
)
DIMENSIONS = {dimension.name: dimension for dimension in (VARIANT, FUNCTION)}
_UNSUPPORTED = "Unsupported service namespace, resource type or scalable dimension"


def dimension_of(request: Mapping[str, Any]) -> Dimension:
    """What a request wants to scale; refused when the three do not fit together, or when this cloud does not scale
    it, which is said by name."""
    namespace, name = request["ServiceNamespace"], request["ScalableDimension"]
    if name.partition(":")[0] != namespace:
        raise validation(_UNSUPPORTED)
    dimension = DIMENSIONS.get(name)
    if dimension is None:
        ours = " and ".join(DIMENSIONS)
        raise validation(f"{_UNSUPPORTED}: the local cloud scales {ours}, and has no {name}.")
    if dimension.resource.fullmatch(request["ResourceId"]) is None:
        raise validation(_UNSUPPORTED)
    return dimension
