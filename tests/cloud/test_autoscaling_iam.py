"""Who may scale what: by dimension, by target, by its tags, and only who may use the target's service and alarms."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cloud.autoscaling import DIMENSION, UTILIZATION, Scaling
from tests.cloud.lambda_callers import allow, caller, refused
from tests.cloud.lambda_functions import refusal
from tests.cloud_process import CloudProcess

SERVICE = "application-autoscaling"
BEYOND = allow(["lambda:*ProvisionedConcurrencyConfig", "cloudwatch:*Alarm*"], "*")
DENIED = ("AccessDeniedException", 400)
BOUNDS = {"MinCapacity": 0, "MaxCapacity": 1}


@pytest.fixture(scope="module")
def scaling(cloud: CloudProcess) -> Scaling:
    """A function of this module, registered by whoever may."""
    return Scaling(cloud)


def user(scaling: Scaling, *statements: dict[str, Any]) -> Any:
    return caller(scaling.cloud, *statements, service=SERVICE)


def targets(scaling: Scaling) -> str:
    """The ARNs of all targets."""
    return f"arn:aws:{SERVICE}:us-east-1:{scaling.cloud.account_id}:scalable-target/*"


def tracking(scaling: Scaling) -> dict[str, Any]:
    """A request for a policy."""
    configuration = {"TargetValue": 0.5, "PredefinedMetricSpecification": UTILIZATION}
    return {
        **scaling.target,
        "PolicyName": "follow",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": configuration,
    }


def test_by_dimension(scaling: Scaling) -> None:
    def only(dimension: str) -> Any:
        condition = {"StringEquals": {f"{SERVICE}:scalable-dimension": dimension}}
        return user(scaling, allow(f"{SERVICE}:*", targets(scaling), Condition=condition), BEYOND)

    variants = only("sagemaker:variant:DesiredInstanceCount")
    code, message = refusal(variants.register_scalable_target, **scaling.target, **BOUNDS)
    assert code == "AccessDeniedException"
    assert f"is not authorized to perform: {SERVICE}:RegisterScalableTarget on resource: {targets(scaling)}" in message
    functions = only(DIMENSION)
    functions.register_scalable_target(**scaling.target, **BOUNDS)
    functions.deregister_scalable_target(**scaling.target)
    assert refused(functions.describe_scalable_targets, ServiceNamespace="lambda") == DENIED
    user(scaling, allow(f"{SERVICE}:Describe*", "*")).describe_scalable_targets(ServiceNamespace="lambda")


def test_by_target(scaling: Scaling) -> None:
    other = Scaling(scaling.cloud)
    mine, theirs = scaling.register(0, 1), other.register(0, 1)
    client = user(scaling, allow(f"{SERVICE}:*", mine), BEYOND)
    at = {"ScheduledActionName": "early", "Schedule": "rate(1 day)", "ScalableTargetAction": {"MinCapacity": 0}}
    changes: list[tuple[str, dict[str, Any]]] = [
        ("register_scalable_target", BOUNDS),
        ("put_scaling_policy", tracking(scaling)),
        ("delete_scaling_policy", {"PolicyName": "follow"}),
        ("put_scheduled_action", at),
        ("delete_scheduled_action", {"ScheduledActionName": "early"}),
        ("deregister_scalable_target", {}),
    ]
    for operation, members in changes:
        assert refused(getattr(client, operation), **{**members, **other.target}) == DENIED
    for operation, members in changes:
        getattr(client, operation)(**{**members, **scaling.target})
    assert refused(client.register_scalable_target, **scaling.target, **BOUNDS) == DENIED
    assert other.register(0, 1) == theirs
    other.client.deregister_scalable_target(**other.target)


def test_by_tag(scaling: Scaling) -> None:
    arn = scaling.register(0, 1, Tags={"keep": "yes"})
    kept = {"StringEquals": {"aws:ResourceTag/keep": "yes"}}
    deny = {"Effect": "Deny", "Action": f"{SERVICE}:*", "Resource": "*", "Condition": kept}
    client = user(scaling, allow(f"{SERVICE}:*", "*"), deny, BEYOND)
    for operation, members in (
        ("register_scalable_target", BOUNDS),
        ("put_scaling_policy", tracking(scaling)),
        ("deregister_scalable_target", {}),
    ):
        assert "explicit deny" in refusal(getattr(client, operation), **{**members, **scaling.target})[1]
    assert refused(client.untag_resource, ResourceARN=arn, TagKeys=["keep"]) == DENIED
    owner = user(scaling, allow(f"{SERVICE}:*", "*", Condition=kept))
    owner.untag_resource(ResourceARN=arn, TagKeys=["keep"])
    assert refused(owner.tag_resource, ResourceARN=arn, Tags={"keep": "yes"}) == DENIED
    client.deregister_scalable_target(**scaling.target)


@pytest.mark.parametrize(
    "missing",
    ["cloudwatch:PutMetricAlarm", "cloudwatch:DescribeAlarms", "cloudwatch:DeleteAlarms",
     "lambda:PutProvisionedConcurrencyConfig"],
)  # fmt: skip
def test_whoever_configures_scaling_may_use_the_alarms_and_what_is_scaled(scaling: Scaling, missing: str) -> None:
    deny = {"Effect": "Deny", "Action": missing, "Resource": "*"}
    client = user(scaling, allow("*", "*"), deny)
    code, message = refusal(client.register_scalable_target, **scaling.target, **BOUNDS)
    assert code == "AccessDeniedException"
    assert f"is not authorized to perform: {missing} on resource: " in message
    scaling.register(0, 1)
    assert refused(client.put_scaling_policy, **tracking(scaling)) == DENIED
    client.deregister_scalable_target(**scaling.target)


def test_the_alarms_of_target_tracking_are_enough(scaling: Scaling) -> None:
    alarms = f"arn:aws:cloudwatch:us-east-1:{scaling.cloud.account_id}:alarm:TargetTracking-*"
    function = f"arn:aws:lambda:us-east-1:{scaling.cloud.account_id}:{scaling.resource_id}"
    client = user(
        scaling,
        allow(f"{SERVICE}:*", targets(scaling)),
        allow("cloudwatch:*Alarm*", alarms),
        allow("lambda:*ProvisionedConcurrencyConfig", function),
    )
    client.register_scalable_target(**scaling.target, **BOUNDS)
    client.put_scaling_policy(**tracking(scaling))
    assert sorted(scaling.alarms()) == ["High", "Low"]
    client.deregister_scalable_target(**scaling.target)
    assert scaling.alarms() == {}
