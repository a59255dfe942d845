"""Endpoints that scale by themselves: target tracking on their invocations, and steps on a metric of one's own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cloud.hosting import Hosting, Traffic, answering
from tests.cloud.lambda_callers import wait_for
from tests.cloud.lambda_functions import refusal
from tests.cloud_process import CloudProcess


class Variant:
    """The only variant of an endpoint, as Application Auto Scaling has it."""

    def __init__(self, cloud: CloudProcess) -> None:
        self.hosting = Hosting(cloud)
        self.endpoint = self.hosting.endpoint("dogs", answering("x"))
        self.client = cloud.client("application-autoscaling")
        self.cloudwatch = cloud.client("cloudwatch")
        self.target = {
            "ServiceNamespace": "sagemaker",
            "ResourceId": f"endpoint/{self.endpoint}/variant/AllTraffic",
            "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        }

    def counts(self) -> tuple[int, int]:
        """(in service, asked for)."""
        (variant,) = self.hosting.sagemaker.describe_endpoint(EndpointName=self.endpoint)["ProductionVariants"]
        return variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]

    def reaches(self, count: int) -> None:
        """Wait until so many instances are asked for and in service."""
        wait_for(lambda: self.counts() == (count, count), f"{count} instances")

    def activities(self, **members: Any) -> list[dict[str, Any]]:
        """The newest first."""
        found = self.client.describe_scaling_activities(ServiceNamespace="sagemaker", **members)
        return list(found["ScalingActivities"])

    def step(self, name: str, adjustments: list[dict[str, float]], kind: str = "ChangeInCapacity") -> str:
        """Put a step scaling policy; its ARN."""
        answer = self.client.put_scaling_policy(
            **self.target,
            PolicyName=name,
            PolicyType="StepScaling",
            StepScalingPolicyConfiguration={
                "AdjustmentType": kind,
                "StepAdjustments": adjustments,
                "Cooldown": 0,
                "MetricAggregationType": "Maximum",
            },
        )
        assert answer["Alarms"] == []
        return str(answer["PolicyARN"])

    def alarm(self, name: str, action: str, comparison: str, threshold: float) -> None:
        """An alarm on the queue of dogs that calls a policy."""
        self.cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="Dogs",
            MetricName="Queue",
            Statistic="Maximum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=threshold,
            ComparisonOperator=comparison,
            AlarmActions=[action],
        )


def test_traffic_takes_an_endpoint_from_one_to_three_and_back_without_a_lost_request(fast_cloud: CloudProcess) -> None:
    variant = Variant(fast_cloud)
    variant.client.register_scalable_target(**variant.target, MinCapacity=1, MaxCapacity=3)
    configuration = {
        "TargetValue": 10.0,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
        "ScaleInCooldown": 30,
        "ScaleOutCooldown": 30,
    }
    variant.client.put_scaling_policy(
        **variant.target,
        PolicyName="follow",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=configuration,
    )
    with Traffic(variant.hosting, variant.endpoint, threads=1) as traffic:
        variant.reaches(3)
        wait_for(lambda: variant.activities()[0]["StatusCode"] == "Successful", "the end of the scale-out")
    out = variant.activities()[0]
    assert out["Description"] == "Setting desired instance count to 3."
    assert out["Cause"].startswith(f"monitor alarm TargetTracking-{variant.target['ResourceId']}-AlarmHigh-")
    assert out["Cause"].endswith(" in state ALARM triggered policy follow")
    assert out["StatusMessage"] == (
        "Successfully set desired instance count to 3. Change successfully fulfilled by sagemaker."
    )
    variant.reaches(1)
    assert set(traffic.answers) == {"x"}
    assert "-AlarmLow-" in variant.activities()[0]["Cause"]


def test_steps_follow_the_alarms_that_call_them(fast_cloud: CloudProcess) -> None:
    variant = Variant(fast_cloud)
    variant.client.register_scalable_target(**variant.target, MinCapacity=1, MaxCapacity=3)
    more = variant.step(
        "more",
        [
            {"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 50.0, "ScalingAdjustment": 1},
            {"MetricIntervalLowerBound": 50.0, "ScalingAdjustment": 2},
        ],
    )
    one = variant.step("one", [{"MetricIntervalUpperBound": 0.0, "ScalingAdjustment": 1}], "ExactCapacity")
    variant.alarm("many-dogs", more, "GreaterThanOrEqualToThreshold", 100)
    variant.alarm("no-dogs", one, "LessThanThreshold", 10)
    policies = variant.client.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    named = {policy["PolicyName"]: [alarm["AlarmName"] for alarm in policy["Alarms"]] for policy in policies}
    assert named == {"more": ["many-dogs"], "one": ["no-dogs"]}

    def queue(length: float, count: int) -> None:
        """Tell the length until the variant has so many instances."""

        def told() -> bool:
            variant.cloudwatch.put_metric_data(Namespace="Dogs", MetricData=[{"MetricName": "Queue", "Value": length}])
            return variant.counts() == (count, count)

        wait_for(told, f"{count} instances")

    queue(160.0, 3)
    assert variant.activities()[0]["Cause"] == "monitor alarm many-dogs in state ALARM triggered policy more"
    assert variant.activities()[0]["Description"] == "Setting desired instance count to 3."
    queue(1.0, 1)
    assert variant.activities()[0]["Cause"] == "monitor alarm no-dogs in state ALARM triggered policy one"


def test_a_minimum_waits_for_the_end_of_an_update(fast_cloud: CloudProcess) -> None:
    variant = Variant(fast_cloud)
    sagemaker = variant.hosting.sagemaker
    variant.client.register_scalable_target(**variant.target, MinCapacity=1, MaxCapacity=3)
    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=variant.endpoint,
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 2}],
    )
    variant.client.register_scalable_target(**variant.target, MinCapacity=3)
    variant.reaches(3)
    wait_for(lambda: variant.activities()[0]["StatusCode"] == "Successful", "the activity")
    assert variant.activities()[0]["Cause"] == "minimum capacity was set to 3"


def test_what_of_endpoints_cannot_be_scaled(cloud: CloudProcess) -> None:
    hosting = Hosting(cloud)
    client = cloud.client("application-autoscaling")
    burstable = hosting.endpoint("small", answering("x"), InstanceType="ml.t2.medium")
    bounds = {"MinCapacity": 1, "MaxCapacity": 2}

    def target(endpoint: str) -> dict[str, str]:
        return {
            "ServiceNamespace": "sagemaker",
            "ResourceId": f"endpoint/{endpoint}/variant/AllTraffic",
            "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        }

    code, message = refusal(client.register_scalable_target, **target(burstable), **bounds)
    assert code == "ValidationException"
    assert "ml.t2.medium" in message
    hosting.delete(burstable)
    for endpoint in (burstable, hosting.name("none")):
        assert refusal(client.register_scalable_target, **target(endpoint), **bounds)[0] == "ValidationException"
    code, message = refusal(
        client.register_scalable_target, **target(hosting.name("none")), MinCapacity=0, MaxCapacity=2
    )
    assert (code, message) == ("ValidationException", "Minimum capacity cannot be less than 1")


def test_an_endpoint_that_is_deleted_takes_its_target_along(fast_cloud: CloudProcess) -> None:
    variant = Variant(fast_cloud)
    variant.client.register_scalable_target(**variant.target, MinCapacity=1, MaxCapacity=3)
    variant.client.put_scaling_policy(
        **variant.target,
        PolicyName="follow",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 10.0,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
        },
    )
    prefix = f"TargetTracking-{variant.target['ResourceId']}-"
    assert len(variant.cloudwatch.describe_alarms(AlarmNamePrefix=prefix)["MetricAlarms"]) == 2
    variant.hosting.delete(variant.endpoint)
    targets = variant.client.describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[variant.target["ResourceId"]]
    )
    assert targets["ScalableTargets"] == []
    assert variant.cloudwatch.describe_alarms(AlarmNamePrefix=prefix)["MetricAlarms"] == []
    code, _ = refusal(variant.step, name="more", adjustments=[{"ScalingAdjustment": 1}])
    assert code == "ObjectNotFoundException"


def test_an_update_keeps_the_instance_type_of_a_scalable_target(cloud: CloudProcess) -> None:
    variant = Variant(cloud)
    hosting, update = variant.hosting, variant.hosting.sagemaker.update_endpoint
    variant.client.register_scalable_target(**variant.target, MinCapacity=1, MaxCapacity=3)
    model = hosting.model("better", answering("y"))
    larger = hosting.config("larger", hosting.variant(model, InstanceType="ml.m5.xlarge"))
    other = hosting.config("other", hosting.variant(model, VariantName="Other"))
    for config in (larger, other):
        code, message = refusal(update, EndpointName=variant.endpoint, EndpointConfigName=config)
        assert code == "ValidationException"
        assert 'The variant "AllTraffic" is registered with Application Auto Scaling' in message
    same = hosting.config("same", hosting.variant(model))
    update(EndpointName=variant.endpoint, EndpointConfigName=same)
    hosting.settled(variant.endpoint)
    assert hosting.invoke(variant.endpoint) == "y"
    variant.client.deregister_scalable_target(**variant.target)
    update(EndpointName=variant.endpoint, EndpointConfigName=larger)
    hosting.settled(variant.endpoint)


@pytest.mark.parametrize(
    ("adjustments", "kind", "said"),
    [
        ([], "ChangeInCapacity", "At least one StepAdjustment"),
        ([{"ScalingAdjustment": 1}, {"ScalingAdjustment": 2}], "ChangeInCapacity", "unspecified lower bound"),
        (
            [
                {"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 10.0, "ScalingAdjustment": 1},
                {"MetricIntervalLowerBound": 20.0, "ScalingAdjustment": 2},
            ],
            "ChangeInCapacity",
            "gaps",
        ),
        (
            [
                {"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 10.0, "ScalingAdjustment": 1},
                {"MetricIntervalLowerBound": 5.0, "ScalingAdjustment": 2},
            ],
            "PercentChangeInCapacity",
            "overlap",
        ),
    ],
)
def test_steps_that_are_refused(steps: Variant, adjustments: list[dict[str, float]], kind: str, said: str) -> None:
    code, message = refusal(steps.step, name="no", adjustments=adjustments, kind=kind)
    assert code == "ValidationException"
    assert said in message


@pytest.fixture(scope="module")
def steps(cloud: CloudProcess) -> Variant:
    """A registered endpoint."""
    variant = Variant(cloud)
    variant.client.register_scalable_target(**variant.target, MinCapacity=1, MaxCapacity=3)
    return variant
