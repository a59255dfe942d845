"""Variants of endpoints as something that scales: their counts, what is refused, and the metrics to scale on."""

from __future__ import annotations

import os
import signal
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud.hosting import HOLD, Hosting, answering, begun
from tests.cloud_process import CloudProcess
from tests.waiting import wait_for

BUSY = """
import time
def model_fn(model_dir): return None
def transform_fn(model, data, content_type, accept):
    until = time.process_time() + 0.05
    while time.process_time() < until: pass
    return "x"
"""
GATED = """
import os, time
GATE = {gate!r}
def model_fn(model_dir):
    # The first instance to come loads at once, the second too; the third waits for the test.
    for number in range(3):
        try:
            os.close(os.open(GATE + "." + str(number), os.O_CREAT | os.O_EXCL))
            break
        except FileExistsError:
            continue
    while number == 2 and not os.path.exists(GATE): time.sleep(0.01)
    return str(number)
def transform_fn(model, data, content_type, accept): return model, "text/plain"
"""


@pytest.fixture
def hosting(cloud: CloudProcess) -> Hosting:
    return Hosting(cloud)


def target(endpoint: str, variant: str = "AllTraffic") -> dict[str, str]:
    """The variant as Application Auto Scaling calls it."""
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/{variant}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }


def register(hosting: Hosting, endpoint: str, minimum: int, maximum: int, variant: str = "AllTraffic") -> None:
    hosting.cloud.client("application-autoscaling").register_scalable_target(
        **target(endpoint, variant), MinCapacity=minimum, MaxCapacity=maximum
    )


def counts(hosting: Hosting, endpoint: str) -> tuple[str, int, int]:
    """Status, current and desired instances."""
    described = hosting.sagemaker.describe_endpoint(EndpointName=endpoint)
    variant = described["ProductionVariants"][0]
    return described["EndpointStatus"], variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]


def points(
    hosting: Hosting, namespace: str, metric: str, dimensions: dict[str, str], period: int = 60
) -> list[dict[str, Any]]:
    """Every datapoint of a metric of an endpoint, in order."""
    now = datetime.now(UTC)
    found = hosting.cloud.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(hours=3),  # a fast clock is ahead of ours
        Period=period,
        Statistics=["Sum", "Average", "Minimum", "Maximum", "SampleCount"],
    )["Datapoints"]
    return sorted(found, key=lambda point: point["Timestamp"])


def test_a_registered_variant_is_brought_inside_its_bounds(hosting: Hosting) -> None:
    endpoint = hosting.endpoint("e", answering("x"))
    register(hosting, endpoint, 2, 3)
    wait_for(lambda: counts(hosting, endpoint) == ("InService", 2, 2))
    register(hosting, endpoint, 1, 1)
    wait_for(lambda: counts(hosting, endpoint) == ("InService", 1, 1))
    assert len(hosting.processes(endpoint)) == 1
    activities = hosting.cloud.client("application-autoscaling").describe_scaling_activities(
        ServiceNamespace="sagemaker", ResourceId=target(endpoint)["ResourceId"]
    )["ScalingActivities"]
    assert {activity["Description"] for activity in activities} == {
        "Setting desired instance count to 2.",
        "Setting desired instance count to 1.",
    }
    wait_for(lambda: _statuses(hosting, endpoint) == {"Successful"})
    hosting.delete(endpoint)


def test_what_cannot_be_scaled_is_refused(hosting: Hosting) -> None:
    endpoint = hosting.endpoint("e", answering("x"))
    with pytest.raises(ClientError, match=f'Could not find endpoint "arn:aws:sagemaker:.*:endpoint/{endpoint}-no"'):
        register(hosting, f"{endpoint}-no", 1, 2)
    with pytest.raises(ClientError, match=r'The variant name\(s\) "Other" is/are not present'):
        register(hosting, endpoint, 1, 2, variant="Other")
    with pytest.raises(ClientError, match="ValidationException"):
        register(hosting, endpoint, 0, 2)
    assert counts(hosting, endpoint) == ("InService", 1, 1)
    burstable = hosting.create("t", hosting.config("t", hosting.variant(hosting.name("e"), InstanceType="ml.t2.large")))
    with pytest.raises(ClientError) as refused:
        register(hosting, burstable, 1, 2)
    assert refused.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": "Unsupported instance type: ml.t2.large. Autoscaling of burstable instance families such as T2 is "
        "not currently supported for SageMaker.",
    }
    hosting.settled(burstable)
    hosting.delete(burstable)
    hosting.delete(endpoint)


def test_an_endpoint_that_is_being_deleted_is_refused(hosting: Hosting, tmp_path: Path) -> None:
    endpoint = hosting.endpoint("e", HOLD)
    caller = threading.Thread(target=hosting.invoke, args=(endpoint, f"{tmp_path}/go"))
    caller.start()
    wait_for(lambda: begun(tmp_path) == 1)
    hosting.sagemaker.delete_endpoint(EndpointName=endpoint)
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        register(hosting, endpoint, 1, 2)
    (tmp_path / "go").touch()
    caller.join(60)
    hosting.gone(endpoint)
    with pytest.raises(ClientError, match="Could not find endpoint"):
        register(hosting, endpoint, 1, 2)


def test_a_new_instance_serves_as_soon_as_it_is_healthy(hosting: Hosting, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    endpoint = hosting.endpoint("e", GATED.format(gate=str(gate)))
    hosting.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint,
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 3}],
    )
    wait_for(lambda: counts(hosting, endpoint) == ("Updating", 2, 3))
    wait_for(lambda: hosting.invoke(endpoint) == "1")
    assert counts(hosting, endpoint)[0] == "Updating"
    for call, members in (
        (hosting.sagemaker.update_endpoint, {"EndpointConfigName": endpoint}),
        (
            hosting.sagemaker.update_endpoint_weights_and_capacities,
            {"DesiredWeightsAndCapacities": [{"VariantName": "AllTraffic", "DesiredInstanceCount": 1}]},
        ),
    ):
        with pytest.raises(ClientError, match='Cannot update in-progress endpoint "arn:aws:sagemaker:'):
            call(EndpointName=endpoint, **members)
    gate.touch()
    assert hosting.settled(endpoint)["ProductionVariants"][0]["CurrentInstanceCount"] == 3
    hosting.delete(endpoint)


def test_no_variant_scales_to_zero(hosting: Hosting) -> None:
    endpoint = hosting.endpoint("e", answering("x"))
    with pytest.raises(ClientError, match="DesiredInstanceCount of variant AllTraffic must be at least 1"):
        hosting.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=endpoint,
            DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 0}],
        )
    assert counts(hosting, endpoint) == ("InService", 1, 1)
    hosting.delete(endpoint)


def test_metrics_that_are_not_published_are_refused(hosting: Hosting) -> None:
    model = hosting.model("m", answering("x"))
    variant = hosting.variant(model)
    with pytest.raises(ClientError, match="MetricPublishFrequencyInSeconds must be one of 10, 30, 60"):
        _config(hosting, "a", variant, MetricPublishFrequencyInSeconds=7)
    with pytest.raises(ClientError, match="do not have MetricsConfig with EnableDetailedObservability"):
        _config(hosting, "b", variant, EnableDetailedObservability=True)


def test_an_endpoint_follows_its_concurrency_out_and_in(fast_cloud: CloudProcess, tmp_path: Path) -> None:
    """The whole loop: samples, alarms, policy, instances; six requests at a time want three instances of two."""
    hosting = Hosting(fast_cloud)
    endpoint = hosting.endpoint("e", HOLD)
    register(hosting, endpoint, 1, 3)
    hosting.cloud.client("application-autoscaling").put_scaling_policy(
        **target(endpoint),
        PolicyName="concurrency",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 2.0,
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantConcurrentRequestsPerModelHighResolution"
            },
            "ScaleInCooldown": 30,
            "ScaleOutCooldown": 30,
        },
    )
    callers = [threading.Thread(target=hosting.invoke, args=(endpoint, f"{tmp_path}/go")) for _ in range(6)]
    for caller in callers:
        caller.start()
    wait_for(lambda: counts(hosting, endpoint) == ("InService", 3, 3), "out")
    (tmp_path / "go").touch()
    for caller in callers:
        caller.join(60)
    wait_for(lambda: counts(hosting, endpoint) == ("InService", 1, 1), "and in again")
    wait_for(lambda: _statuses(hosting, endpoint) == {"Successful"})


def test_requests_on_their_way_are_sampled_on_each_instance(fast_cloud: CloudProcess, tmp_path: Path) -> None:
    """Three requests on two instances: two at one of them, of which one is in its queue."""
    hosting = Hosting(fast_cloud)
    endpoint = hosting.endpoint("e", HOLD, InitialInstanceCount=2)
    callers = [threading.Thread(target=hosting.invoke, args=(endpoint, f"{tmp_path}/go")) for _ in range(3)]
    for caller in callers:
        caller.start()

    def samples() -> list[tuple[float, float, float, float]]:
        found = points(
            hosting,
            "AWS/SageMaker",
            "ConcurrentRequestsPerModel",
            dimensions={"EndpointName": endpoint, "VariantName": "AllTraffic"},
            period=10,
        )
        return [(point["SampleCount"], point["Sum"], point["Average"], point["Maximum"]) for point in found]

    wait_for(lambda: (2.0, 3.0, 1.5, 2.0) in samples(), "three requests at a time on two instances")
    (tmp_path / "go").touch()
    for caller in callers:
        caller.join(60)
    wait_for(lambda: samples()[-1] == (2.0, 0.0, 0.0, 0.0), "and none when they have been answered")


def test_requests_that_wait_for_an_instance_count_too(fast_cloud: CloudProcess, tmp_path: Path) -> None:
    """The only instance has been killed, and its successor loads its model: who calls now waits, and is answered."""
    hosting = Hosting(fast_cloud)
    gate = tmp_path / "gate"
    gate.touch()
    load = f"def model_fn(model_dir):\n    while not os.path.exists({str(gate)!r}): time.sleep(0.01)"
    endpoint = hosting.endpoint("e", HOLD.replace("def model_fn(model_dir): return None", load))
    (killed,) = hosting.processes(endpoint)
    gate.unlink()
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: set(hosting.processes(endpoint)) - {killed}, "another one has been started")
    assert counts(hosting, endpoint) == ("InService", 1, 1)
    callers = [threading.Thread(target=hosting.invoke, args=(endpoint, f"{tmp_path}/go")) for _ in range(4)]
    for caller in callers:
        caller.start()
    dimensions = {"EndpointName": endpoint, "VariantName": "AllTraffic"}
    wait_for(
        lambda: any(
            point["Maximum"] == 4.0
            for point in points(hosting, "AWS/SageMaker", "ConcurrentRequestsPerModel", dimensions, period=10)
        ),
        "four requests wait",
    )
    assert begun(tmp_path) == 0
    gate.touch()
    (tmp_path / "go").touch()
    for caller in callers:
        caller.join(60)
    assert begun(tmp_path) == 4


def test_a_minute_without_invocations_is_a_zero(fast_cloud: CloudProcess) -> None:
    hosting = Hosting(fast_cloud)
    endpoint = hosting.endpoint("e", answering("x"))
    hosting.invoke(endpoint)
    dimensions = {"EndpointName": endpoint, "VariantName": "AllTraffic"}

    def sums() -> list[float]:
        return [point["Sum"] for point in points(hosting, "AWS/SageMaker", "InvocationsPerInstance", dimensions)]

    wait_for(lambda: sums()[-2:] == [0.0, 0.0])
    assert sum(sums()) == 1.0


def test_what_instances_use_is_measured(fast_cloud: CloudProcess) -> None:
    """One busy and, with enhanced metrics, every instance for itself."""
    hosting = Hosting(fast_cloud)
    variant = hosting.variant(hosting.model("busy", BUSY), InitialInstanceCount=2)
    endpoint = hosting.create("e", _config(hosting, "busy", variant, EnableEnhancedMetrics=True))
    assert hosting.settled(endpoint)["EndpointStatus"] == "InService"
    stop = threading.Event()

    def call() -> None:
        while not stop.is_set():
            hosting.invoke(endpoint)

    caller = threading.Thread(target=call)
    caller.start()
    dimensions = {"EndpointName": endpoint, "VariantName": "AllTraffic"}
    try:
        wait_for(lambda: _used(hosting, "CPUUtilization", dimensions) > 5.0, "a core is busy for some of the time")
    finally:
        stop.set()
        caller.join(60)
    assert 0.0 < _used(hosting, "MemoryUtilization", dimensions) < 100.0
    assert 0.0 < _used(hosting, "DiskUtilization", dimensions) <= 100.0
    listed = hosting.cloud.client("cloudwatch").list_metrics(
        Namespace="/aws/sagemaker/Endpoints", MetricName="CPUUtilization"
    )["Metrics"]
    instances = {
        dimension["Value"]
        for metric in listed
        for dimension in metric["Dimensions"]
        if dimension["Name"] == "InstanceId"
    }
    assert len(instances) == 2
    for instance in instances:
        assert points(hosting, "/aws/sagemaker/Endpoints", "CPUUtilization", {**dimensions, "InstanceId": instance})
        assert points(hosting, "AWS/SageMaker", "Invocations", {**dimensions, "InstanceId": instance})


def test_invocations_are_shared_by_the_instances_in_service(hosting: Hosting) -> None:
    endpoint = hosting.endpoint("e", answering("x"), InitialInstanceCount=2)
    for _ in range(8):
        hosting.invoke(endpoint)
    dimensions = {"EndpointName": endpoint, "VariantName": "AllTraffic"}

    def total(metric: str) -> float:
        return sum(float(point["Sum"]) for point in points(hosting, "AWS/SageMaker", metric, dimensions))

    wait_for(lambda: total("Invocations") == 8)
    assert total("InvocationsPerInstance") == 4
    hosting.delete(endpoint)


def _used(hosting: Hosting, metric: str, dimensions: dict[str, str]) -> float:
    """The highest average of the variant so far."""
    found = points(hosting, "/aws/sagemaker/Endpoints", metric, dimensions)
    return max((float(point["Average"]) for point in found), default=0.0)


def _config(hosting: Hosting, name: str, variant: dict[str, Any], **metrics: Any) -> str:
    hosting.sagemaker.create_endpoint_config(
        EndpointConfigName=hosting.name(name), ProductionVariants=[variant], MetricsConfig=metrics
    )
    return hosting.name(name)


def _statuses(hosting: Hosting, endpoint: str) -> set[str]:
    answer = hosting.cloud.client("application-autoscaling").describe_scaling_activities(
        ServiceNamespace="sagemaker", ResourceId=target(endpoint)["ResourceId"]
    )
    return {activity["StatusCode"] for activity in answer["ScalingActivities"]}
