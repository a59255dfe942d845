"""Application Auto Scaling: which permissions an operation needs, on the scalable target that it names and beyond."""

from __future__ import annotations

from sagehound.localcloud.authorization.check import Check, Value, request_tags, tag_keys
from sagehound.localcloud.authorization.needs import ScalableTargets
from sagehound.localcloud.call import Call, Request
from sagehound.localcloud.state import arns

_PREFIX = "application-autoscaling"
_CONFIGURING = ("RegisterScalableTarget", "PutScalingPolicy")
_ALARMS = ("DescribeAlarms", "PutMetricAlarm", "DeleteAlarms")
_SCALED = {
    "sagemaker": ("DescribeEndpoint", "UpdateEndpointWeightsAndCapacities"),
    "lambda": (
        "GetProvisionedConcurrencyConfig",
        "PutProvisionedConcurrencyConfig",
        "DeleteProvisionedConcurrencyConfig",
    ),
}


class AutoScalingChecks:
    """The permissions that a call needs. `targets` knows the ARN of what is registered, and so its tags."""

    def __init__(self, targets: ScalableTargets) -> None:
        self._targets = targets

    def __call__(self, call: Call, params: Request) -> list[Check]:
        action = f"{_PREFIX}:{call.operation}"
        if call.operation.startswith("Describe"):
            return [Check(action)]
        keys: dict[str, Value] = request_tags(params.get("Tags")) | tag_keys(params.get("TagKeys"))
        if "ResourceARN" in params:
            return [Check(action, params["ResourceARN"], keys)]
        keys[f"{_PREFIX}:service-namespace"] = params["ServiceNamespace"]
        keys[f"{_PREFIX}:scalable-dimension"] = params["ScalableDimension"]
        # What is not registered yet has no name: an ARN of one target is not about it.
        arn = self._targets.arn_of(call.region, params) or _arn(call, _PREFIX, "scalable-target/*")
        found = [Check(action, arn, keys)]
        return found + _beyond(call, params) if call.operation in _CONFIGURING else found


def _beyond(call: Call, params: Request) -> list[Check]:
    """What whoever configures scaling must be allowed in the target's service and in CloudWatch.

    https://docs.aws.amazon.com/autoscaling/application/userguide/security_iam_permission_validation.html
    """
    namespace, resource_id = params["ServiceNamespace"], params["ResourceId"]
    scaled = _arn(call, namespace, resource_id.partition("/variant/")[0])
    alarms = _arn(call, "cloudwatch", f"alarm:TargetTracking-{resource_id}-*")
    return [
        *(Check(f"{namespace}:{operation}", scaled) for operation in _SCALED.get(namespace, ())),
        *(Check(f"cloudwatch:{operation}", alarms) for operation in _ALARMS),
    ]


def _arn(call: Call, service: str, resource: str) -> str:
    return arns.make(service, call.region, call.account_id, resource)
