"""Scalable targets: registered, changed, described, tagged and deregistered, and what AWS refuses."""

from __future__ import annotations

import pytest

from tests.cloud.autoscaling import DIMENSION, Scaling
from tests.cloud.lambda_callers import wait_for
from tests.cloud.lambda_functions import refusal, unique
from tests.cloud_process import CloudProcess


@pytest.fixture(scope="module")
def scaling(cloud: CloudProcess) -> Scaling:
    """A function of this module; each test deregisters what it registers."""
    return Scaling(cloud)


def test_a_target_below_its_minimum_scales_out_at_once_and_in_when_the_maximum_falls(scaling: Scaling) -> None:
    arn = scaling.register(2, 3)
    assert arn.startswith("arn:aws:application-autoscaling:us-east-1:123456789012:scalable-target/")
    scaling.reaches(2)
    done = wait_for(lambda: [one for one in scaling.activities() if one["StatusCode"] == "Successful"])
    assert done[0]["Description"] == "Setting desired concurrency to 2."
    assert done[0]["Cause"] == "minimum capacity was set to 2"
    assert done[0]["StatusMessage"] == (
        "Successfully set desired concurrency to 2. Change successfully fulfilled by lambda."
    )
    assert done[0]["EndTime"] >= done[0]["StartTime"]
    scaling.client.register_scalable_target(**scaling.target, MinCapacity=0, MaxCapacity=1)
    scaling.reaches(1)
    assert scaling.activities()[0]["Cause"] == "maximum capacity was set to 1"
    scaling.client.deregister_scalable_target(**scaling.target)
    assert scaling.capacity() == (1, 1)


def test_describing_a_target(scaling: Scaling) -> None:
    arn = scaling.register(0, 4, SuspendedState={"DynamicScalingInSuspended": True}, Tags={"of": "dogs"})
    found = scaling.client.describe_scalable_targets(ServiceNamespace="lambda", ResourceIds=[scaling.resource_id])
    (target,) = found["ScalableTargets"]
    created = target.pop("CreationTime")
    assert target == {
        **scaling.target,
        "MinCapacity": 0,
        "MaxCapacity": 4,
        "RoleARN": "arn:aws:iam::123456789012:role/aws-service-role/lambda.application-autoscaling.amazonaws.com/"
        "AWSServiceRoleForApplicationAutoScaling_LambdaConcurrency",
        "SuspendedState": {
            "DynamicScalingInSuspended": True,
            "DynamicScalingOutSuspended": False,
            "ScheduledScalingSuspended": False,
        },
        "ScalableTargetARN": arn,
    }
    assert scaling.register(0, 5) == arn
    (target,) = scaling.client.describe_scalable_targets(
        ServiceNamespace="lambda", ResourceIds=[scaling.resource_id], ScalableDimension=DIMENSION
    )["ScalableTargets"]
    assert (target["CreationTime"], target["MaxCapacity"]) == (created, 5)
    assert target["SuspendedState"]["DynamicScalingInSuspended"] is True
    scaling.client.deregister_scalable_target(**scaling.target)
    left = scaling.client.describe_scalable_targets(ServiceNamespace="lambda", ResourceIds=[scaling.resource_id])
    assert left["ScalableTargets"] == []


def test_tags(scaling: Scaling) -> None:
    arn = scaling.register(0, 2, Tags={"of": "dogs", "for": "now"})
    scaling.client.tag_resource(ResourceARN=arn, Tags={"for": "ever", "by": "me"})
    scaling.client.untag_resource(ResourceARN=arn, TagKeys=["of", "nothing"])
    assert scaling.client.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"for": "ever", "by": "me"}
    code, message = refusal(scaling.client.register_scalable_target, **scaling.target, Tags={"a": "b"})
    assert (code, message.partition(" To ")[0]) == (
        "ValidationException",
        "The scalable target that you tried to tag already exists.",
    )
    many = {f"key-{number}": "" for number in range(49)}
    assert refusal(scaling.client.tag_resource, ResourceARN=arn, Tags=many)[0] == "TooManyTagsException"
    scaling.client.deregister_scalable_target(**scaling.target)
    assert refusal(scaling.client.list_tags_for_resource, ResourceARN=arn)[0] == "ResourceNotFoundException"


def test_pages(cloud: CloudProcess) -> None:
    scaling = Scaling(cloud)
    client = scaling.bench.client
    for name in "abc":
        client.create_alias(FunctionName=scaling.function, Name=name, FunctionVersion=scaling.version)
    targets = [{**scaling.target, "ResourceId": f"function:{scaling.function}:{name}"} for name in "abc"]
    for target in targets:
        scaling.client.register_scalable_target(**target, MinCapacity=0, MaxCapacity=1)
    asked = {"ServiceNamespace": "lambda", "ResourceIds": [target["ResourceId"] for target in targets]}
    first = scaling.client.describe_scalable_targets(**asked, MaxResults=2)
    second = scaling.client.describe_scalable_targets(**asked, MaxResults=2, NextToken=first["NextToken"])
    found = [target["ResourceId"] for target in first["ScalableTargets"] + second["ScalableTargets"]]
    assert found == asked["ResourceIds"]
    assert "NextToken" not in second
    describe = scaling.client.describe_scalable_targets
    other = {"ServiceNamespace": "lambda", "NextToken": first["NextToken"]}
    assert refusal(describe, **other)[0] == "InvalidNextTokenException"
    assert refusal(describe, **asked, MaxResults=51)[0] == "ValidationException"
    for target in targets:
        scaling.client.deregister_scalable_target(**target)


def test_what_cannot_be_registered(scaling: Scaling) -> None:
    register = scaling.client.register_scalable_target
    bounds = {"MinCapacity": 1, "MaxCapacity": 2}
    unsupported = "Unsupported service namespace, resource type or scalable dimension"
    assert refusal(register, **scaling.target, MinCapacity=3, MaxCapacity=2) == (
        "ValidationException",
        "Maximum capacity cannot be less than minimum capacity",
    )
    assert refusal(register, **scaling.target, MinCapacity=-1, MaxCapacity=2)[1] == (
        "Minimum capacity cannot be less than 0"
    )
    assert "MaxCapacity" in refusal(register, **scaling.target, MinCapacity=1)[1]
    unknown = {**scaling.target, "ScalableDimension": "lambda:function:Memory"}
    code, message = refusal(register, **unknown, **bounds)
    assert code == "ValidationException"
    assert "'lambda:function:Memory' at 'scalableDimension' failed to satisfy constraint" in message
    mismatch = {**scaling.target, "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}
    assert refusal(register, **mismatch, **bounds) == ("ValidationException", unsupported)
    type_ = {**scaling.target, "ResourceId": "endpoint/a/variant/b"}
    assert refusal(register, **type_, **bounds) == ("ValidationException", unsupported)
    elsewhere = {
        "ServiceNamespace": "ecs",
        "ResourceId": "service/a/b",
        "ScalableDimension": "ecs:service:DesiredCount",
    }
    code, message = refusal(register, **elsewhere, **bounds)
    assert code == "ValidationException"
    assert message.startswith(unsupported)
    assert "ecs:service:DesiredCount" in message
    gone = {**scaling.target, "ResourceId": f"function:{unique()}:1"}
    code, message = refusal(register, **gone, **bounds)
    assert code == "ValidationException"
    assert "Function not found" in message
    latest = {**scaling.target, "ResourceId": f"function:{scaling.function}:$LATEST"}
    assert refusal(register, **latest, **bounds)[0] == "ValidationException"
    assert scaling.client.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"] == []


def test_what_is_not_registered_has_nothing(scaling: Scaling) -> None:
    named = f"service namespace: lambda, resource ID: {scaling.resource_id}, scalable dimension: {DIMENSION}"
    assert refusal(scaling.client.deregister_scalable_target, **scaling.target) == (
        "ObjectNotFoundException",
        f"No scalable target found for {named}",
    )
    assert refusal(scaling.track) == ("ObjectNotFoundException", f"No scalable target registered for {named}")
    assert refusal(scaling.client.delete_scaling_policy, **scaling.target, PolicyName="no") == (
        "ObjectNotFoundException",
        f"No scaling policy found for {named}, policy name: no",
    )
    assert refusal(scaling.client.delete_scheduled_action, **scaling.target, ScheduledActionName="no")[0] == (
        "ObjectNotFoundException"
    )
