"""Scaling policies: what they answer, the alarms of target tracking, and what AWS refuses."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sagehound.localcloud.errors import AwsError
from tests.cloud.autoscaling import UTILIZATION, Scaling
from tests.cloud.lambda_functions import refusal
from tests.cloud.scaling_world import TARGET, World
from tests.cloud_process import CloudProcess

METRIC = {
    "Namespace": "Dogs",
    "MetricName": "Queue",
    "Dimensions": [{"Name": "Kennel", "Value": "1"}],
    "Statistic": "Average",
}


@pytest.fixture(scope="module")
def scaling(cloud: CloudProcess) -> Scaling:
    """A registered function without provisioned concurrency."""
    scaling = Scaling(cloud)
    scaling.register(0, 3)
    return scaling


def test_target_tracking_makes_two_alarms_and_deletes_them(scaling: Scaling) -> None:
    made = scaling.track(0.5, ScaleOutCooldown=30, ScaleInCooldown=60)
    prefix = f"arn:aws:autoscaling:us-east-1:{scaling.cloud.account_id}:scalingPolicy:"
    assert made["PolicyARN"].startswith(prefix)
    assert made["PolicyARN"].endswith(f":resource/lambda/{scaling.resource_id}:policyName/follow")
    alarms = scaling.alarms()
    assert sorted(alarms) == ["High", "Low"]
    assert {(one["AlarmName"], one["AlarmARN"]) for one in made["Alarms"]} == {
        (alarm["AlarmName"], alarm["AlarmArn"]) for alarm in alarms.values()
    }
    high, low = alarms["High"], alarms["Low"]
    for alarm in (high, low):
        assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/Lambda", "ProvisionedConcurrencyUtilization")
        assert alarm["Statistic"] == "Average"
        assert alarm["AlarmActions"][0].startswith(made["PolicyARN"])
        assert alarm["Dimensions"] == [
            {"Name": "FunctionName", "Value": scaling.function},
            {"Name": "Resource", "Value": f"{scaling.function}:{scaling.version}"},
        ]
    numbers = [(one["EvaluationPeriods"], one["Period"], one["ComparisonOperator"]) for one in (high, low)]
    assert numbers == [(3, 60, "GreaterThanThreshold"), (15, 60, "LessThanThreshold")]
    assert (high["Threshold"], low["Threshold"]) == (0.5, 0.45)
    (policy,) = described(scaling)
    assert policy.pop("CreationTime")
    assert policy == {
        "PolicyARN": made["PolicyARN"],
        "PolicyName": "follow",
        **scaling.target,
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": 0.5,
            "PredefinedMetricSpecification": UTILIZATION,
            "ScaleOutCooldown": 30,
            "ScaleInCooldown": 60,
        },
        "Alarms": made["Alarms"],
    }
    assert refusal(scaling.track, name="other") == (
        "ValidationException",
        "Only one TargetTrackingScaling policy for a given metric specification is allowed.",
    )
    again = scaling.track(0.8, DisableScaleIn=True)
    assert again["PolicyARN"] == made["PolicyARN"]
    assert {name: alarm["Threshold"] for name, alarm in scaling.alarms().items()} == {"High": 0.8}
    scaling.client.delete_scaling_policy(**scaling.target, PolicyName="follow")
    assert scaling.alarms() == {}
    assert described(scaling) == []


def test_a_customized_metric_is_what_the_alarms_look_at(scaling: Scaling) -> None:
    per_kennel = [
        {"Id": "m1", "MetricStat": {"Metric": {"Namespace": "Dogs", "MetricName": "Wait"}, "Stat": "p90"}},
        {"Id": "m2", "MetricStat": {"Metric": {"Namespace": "Dogs", "MetricName": "Kennels"}, "Stat": "Maximum"}},
    ]
    queries = [*({**query, "ReturnData": False} for query in per_kennel), {"Id": "e1", "Expression": "m1 / m2"}]
    configurations: dict[str, Any] = {
        "math": {"CustomizedMetricSpecification": {"Metrics": queries}, "TargetValue": 3.0},
        "queue": {"CustomizedMetricSpecification": METRIC, "TargetValue": 7.0},
    }
    for name, configuration in configurations.items():
        scaling.client.put_scaling_policy(
            **scaling.target,
            PolicyName=name,
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=configuration,
        )
    math, queue = described(scaling)
    assert math["TargetTrackingScalingPolicyConfiguration"] == configurations["math"]
    names = [policy["Alarms"][0]["AlarmName"] for policy in (math, queue)]
    found = {one["AlarmName"]: one for one in scaling.cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]}
    first, second = found[names[0]], found[names[1]]
    assert [query["Id"] for query in first["Metrics"]] == ["m1", "m2", "e1"]
    assert [query["MetricStat"]["Period"] for query in first["Metrics"][:2]] == [60, 60]
    assert (first["Threshold"], first["EvaluationPeriods"]) == (3.0, 3)
    assert (second["Dimensions"], second["Statistic"]) == (METRIC["Dimensions"], "Average")
    for name in configurations:
        scaling.client.delete_scaling_policy(**scaling.target, PolicyName=name)


def test_deregistering_a_target_deletes_its_policies_and_their_alarms(cloud: CloudProcess) -> None:
    scaling = Scaling(cloud)
    scaling.register(0, 3)
    scaling.track()
    at = {"Schedule": "rate(1 day)", "ScalableTargetAction": {"MinCapacity": 1}}
    scaling.client.put_scheduled_action(**scaling.target, ScheduledActionName="early", **at)
    scaling.client.deregister_scalable_target(**scaling.target)
    assert scaling.alarms() == {}
    assert described(scaling) == []
    scaling.register(0, 3)
    left = scaling.client.describe_scheduled_actions(ServiceNamespace="lambda", ResourceId=scaling.resource_id)
    assert left["ScheduledActions"] == []


@pytest.mark.parametrize("target", [0.0, -1.0, 2.0**361, 0.95])
def test_a_target_value_that_makes_no_sense(scaling: Scaling, target: float) -> None:
    code, message = refusal(scaling.track, target=target)
    assert code == "ValidationException"
    assert "TargetValue" in message


def test_configurations_that_are_refused(scaling: Scaling) -> None:
    def refused(**configuration: Any) -> tuple[str, str]:
        return refusal(
            scaling.client.put_scaling_policy,
            **scaling.target,
            PolicyName="no",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={"TargetValue": 0.5, **configuration},
        )

    invocations = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    assert refused(PredefinedMetricSpecification=invocations) == (
        "ValidationException",
        "Scalable dimension lambda:function:ProvisionedConcurrency only supports the following predefined metric "
        "types: LambdaProvisionedConcurrencyUtilization",
    )
    both = {"PredefinedMetricSpecification": UTILIZATION, "CustomizedMetricSpecification": METRIC}
    assert "Exactly one of" in refused(**both)[1]
    assert "Exactly one of" in refused()[1]
    assert refused(PredefinedMetricSpecification={**UTILIZATION, "ResourceLabel": "app/a"})[0] == "ValidationException"
    assert "ScaleInCooldown" in refused(PredefinedMetricSpecification=UTILIZATION, ScaleInCooldown=-1)[1]
    half = {name: value for name, value in METRIC.items() if name != "Statistic"}
    assert "Statistic" in refused(CustomizedMetricSpecification=half)[1]
    code, message = refused(CustomizedMetricSpecification={"Metrics": [{"Id": "e1", "Expression": "m1/2"}]})
    assert code == "ValidationException"
    assert message.startswith("CloudWatch does not take the alarms of this policy: ")
    put = scaling.client.put_scaling_policy
    assert refusal(put, **scaling.target, PolicyName="no")[0] == "ValidationException"
    assert "must specify" in refusal(put, **scaling.target, PolicyName="no", PolicyType="TargetTrackingScaling")[1]
    steps = {"AdjustmentType": "ChangeInCapacity", "StepAdjustments": [{"ScalingAdjustment": 1}]}
    asked = {"PolicyName": "no", "StepScalingPolicyConfiguration": steps}
    assert "not supported" in refusal(put, **scaling.target, PolicyType="StepScaling", **asked)[1]
    assert "not supported" in refusal(put, **scaling.target, PolicyName="no", PolicyType="PredictiveScaling")[1]
    assert described(scaling) == []


def test_a_dimension_is_asked_for_with_its_resource(scaling: Scaling) -> None:
    dimension = {"ServiceNamespace": "lambda", "ScalableDimension": scaling.target["ScalableDimension"]}
    for what in ("scalable_targets", "scaling_policies", "scaling_activities", "scheduled_actions"):
        code, message = refusal(getattr(scaling.client, f"describe_{what}"), **dimension)
        assert code == "ValidationException"
        assert message == "If you specify a scalable dimension, you must also specify a resource ID."


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A resource that steps can scale, registered from 1 to 4."""
    world = World(tmp_path / "cloud.sqlite")
    world("RegisterScalableTarget", **TARGET, MinCapacity=1, MaxCapacity=4)
    yield world
    world.store.close()


def put_steps(world: World, **configuration: Any) -> dict[str, Any]:
    """Put the policy "steps"; its configuration as it is then."""
    named = {**TARGET, "PolicyName": "steps", "PolicyType": "StepScaling"}
    world("PutScalingPolicy", **named, **({"StepScalingPolicyConfiguration": configuration} if configuration else {}))
    (policy,) = world("DescribeScalingPolicies", ServiceNamespace="sagemaker")["ScalingPolicies"]
    return dict(policy["StepScalingPolicyConfiguration"])


async def test_what_an_update_does_not_name_stays(world: World) -> None:
    steps = [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 50}]
    percent = {"AdjustmentType": "PercentChangeInCapacity", "StepAdjustments": steps, "MinAdjustmentMagnitude": 2}
    assert put_steps(world, **percent) == percent
    assert put_steps(world) == percent
    assert put_steps(world, Cooldown=60) == {**percent, "Cooldown": 60}
    exact = {"AdjustmentType": "ExactCapacity", "StepAdjustments": steps, "Cooldown": 60}
    assert put_steps(world, AdjustmentType="ExactCapacity") == exact
    world.track("Wait", 5.0)
    world("PutScalingPolicy", **TARGET, PolicyName="wait", PolicyType="TargetTrackingScaling")
    policies = world("DescribeScalingPolicies", ServiceNamespace="sagemaker", PolicyNames=["wait"])["ScalingPolicies"]
    assert policies[0]["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 5.0


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        ({"Cooldown": 60}, "AdjustmentType must be specified"),
        ({"AdjustmentType": "ExactCapacity", "StepAdjustments": [{"ScalingAdjustment": -1}]}, "must not be negative"),
    ],
)
async def test_steps_that_are_refused(world: World, configuration: dict[str, Any], words: str) -> None:
    with pytest.raises(AwsError, match=words):
        put_steps(world, **configuration)
    assert world("DescribeScalingPolicies", ServiceNamespace="sagemaker")["ScalingPolicies"] == []


@pytest.mark.parametrize("after", ["x", None, [1], {"a": 1}])
async def test_a_token_that_somebody_made_up(world: World, after: object) -> None:
    for minimum in (2, 3):
        world("RegisterScalableTarget", **TARGET, MinCapacity=minimum)
    asked = {"ServiceNamespace": "sagemaker", "MaxResults": 1}
    token = world("DescribeScalingActivities", **asked)["NextToken"]
    assert len(world("DescribeScalingActivities", **asked, NextToken=token)["ScalingActivities"]) == 1
    fingerprint, _ = json.loads(base64.urlsafe_b64decode(token))
    made_up = base64.urlsafe_b64encode(json.dumps([fingerprint, after]).encode()).decode()
    with pytest.raises(AwsError, match="The specified next token is invalid") as caught:
        world("DescribeScalingActivities", **asked, NextToken=made_up)
    assert caught.value.code == "InvalidNextTokenException"


def described(scaling: Scaling) -> list[dict[str, Any]]:
    """The policies of the function."""
    found = scaling.client.describe_scaling_policies(ServiceNamespace="lambda", ResourceId=scaling.resource_id)
    return list(found["ScalingPolicies"])
