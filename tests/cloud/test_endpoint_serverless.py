"""Serverless endpoints: containers that come with the requests, one for each at a time, and go when nobody asks."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud.hosting import HOLD, Hosting, answering, begun
from tests.cloud_process import CloudProcess
from tests.waiting import wait_for

CONFIG = {"MemorySizeInMB": 2048, "MaxConcurrency": 2}


@pytest.fixture
def hosting(cloud: CloudProcess) -> Hosting:
    return Hosting(cloud)


def variant(model: str, **config: int) -> dict[str, Any]:
    """A serverless production variant, as the SDKs send it."""
    return {"VariantName": "AllTraffic", "ModelName": model, "ServerlessConfig": {**CONFIG, **config}}


def serverless(hosting: Hosting, code: str, **config: int) -> str:
    """A serverless endpoint in service."""
    endpoint = hosting.create("e", hosting.config("e", variant(hosting.model("e", code), **config)))
    assert hosting.settled(endpoint)["EndpointStatus"] == "InService"
    return endpoint


def in_background(call: Callable[[], str], answers: list[str]) -> threading.Thread:
    thread = threading.Thread(target=lambda: answers.append(call()))
    thread.start()
    return thread


def test_a_serverless_endpoint_has_no_instances_and_answers(hosting: Hosting) -> None:
    endpoint = serverless(hosting, answering("here"))
    (described,) = hosting.settled(endpoint)["ProductionVariants"]
    assert described["CurrentInstanceCount"] == 0
    assert "DesiredInstanceCount" not in described
    assert described["CurrentServerlessConfig"] == described["DesiredServerlessConfig"] == CONFIG
    assert hosting.invoke(endpoint) == "here"
    hosting.delete(endpoint)
    assert hosting.processes(endpoint) == []


def test_each_request_at_a_time_has_a_container_and_more_than_allowed_are_throttled(
    hosting: Hosting, tmp_path: Path
) -> None:
    endpoint = serverless(hosting, HOLD)
    gate, answers = tmp_path / "gate", list[str]()
    threads = [in_background(lambda: hosting.invoke(endpoint, str(gate)), answers) for _ in range(2)]
    wait_for(lambda: begun(tmp_path) == 2)
    assert len(hosting.processes(endpoint)) == 2
    with pytest.raises(ClientError, match="MaxConcurrency") as refused:
        hosting.invoke(endpoint, str(gate))
    error = refused.value.response
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == ("ThrottlingException", 429)
    gate.touch()
    for thread in threads:
        thread.join()
    assert answers == ["done", "done"]
    assert hosting.invoke(endpoint, str(gate)) == "done"
    assert begun(tmp_path) == 3
    assert len(hosting.processes(endpoint)) == 2


def test_what_is_idle_ends_and_the_next_request_waits_for_a_cold_start(fast_cloud: CloudProcess) -> None:
    hosting = Hosting(fast_cloud)
    code = "import time\ntime.sleep(1.5)\n" + answering("cold")
    endpoint = serverless(hosting, code)
    wait_for(lambda: not hosting.processes(endpoint))
    assert hosting.settled(endpoint)["EndpointStatus"] == "InService"
    assert hosting.invoke(endpoint) == "cold"
    # All that this endpoint was ever asked: the wait for the container is overhead, not the model's time.
    latency = wait_for(lambda: _latency(fast_cloud, endpoint, "OverheadLatency"))
    assert latency >= 1.5e6
    assert _latency(fast_cloud, endpoint, "ModelLatency") < latency


def _latency(cloud: CloudProcess, endpoint: str, metric: str) -> float:
    now = datetime.datetime.now(datetime.UTC)
    found = cloud.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": "AllTraffic"}],
        StartTime=now - datetime.timedelta(days=1),
        EndTime=now + datetime.timedelta(days=5),  # the clock of this cloud runs ahead
        Period=86400,
        Statistics=["Maximum"],
    )
    return max((point["Maximum"] for point in found["Datapoints"]), default=0.0)


def test_a_model_that_cannot_be_loaded_fails_the_endpoint(hosting: Hosting) -> None:
    model = hosting.model("e", "def model_fn(d): raise ValueError('no weights')\n")
    described = hosting.settled(hosting.create("e", hosting.config("e", variant(model))))
    assert described["EndpointStatus"] == "Failed"
    assert "ValueError: no weights" in described["FailureReason"]


def test_a_container_that_cannot_start_any_more_is_told_to_who_asks(fast_cloud: CloudProcess, tmp_path: Path) -> None:
    hosting = Hosting(fast_cloud)
    broken = tmp_path / "broken"
    code = f"import os\nif os.path.exists({str(broken)!r}): raise ValueError('broken now')\n" + answering("x")
    endpoint = serverless(hosting, code)
    broken.touch()
    wait_for(lambda: not hosting.processes(endpoint))
    with pytest.raises(ClientError, match="broken now"):
        hosting.invoke(endpoint)
    broken.unlink()
    assert hosting.invoke(endpoint) == "x"


def test_containers_that_end_are_replaced_and_never_more_than_allowed(hosting: Hosting) -> None:
    crashing = """
import os
def model_fn(model_dir): return None
def transform_fn(model, data, content_type, accept):
    if data == b"crash": os._exit(1)
    return "x", "text/plain"
"""
    endpoint = serverless(hosting, crashing, MaxConcurrency=1)
    for _ in range(4):
        with pytest.raises(ClientError, match="ended while it was working"):
            hosting.invoke(endpoint, b"crash")
    assert hosting.invoke(endpoint, b"x") == "x"
    wait_for(lambda: len(hosting.processes(endpoint)) == 1)


def test_a_new_weight_leaves_the_containers_alone(hosting: Hosting, tmp_path: Path) -> None:
    endpoint = serverless(hosting, HOLD)
    before = hosting.processes(endpoint)
    hosting.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint, DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredWeight": 2.0}]
    )
    assert hosting.settled(endpoint)["ProductionVariants"][0]["CurrentWeight"] == 2.0
    (tmp_path / "go").touch()
    assert hosting.invoke(endpoint, str(tmp_path / "go")) == "done"
    assert hosting.processes(endpoint) == before


@pytest.mark.parametrize("kill", [False, True])
def test_containers_of_a_server_that_ended(own_cloud: CloudProcess, kill: bool) -> None:
    hosting = Hosting(own_cloud)
    endpoint = serverless(hosting, answering("x"))
    before = hosting.processes(endpoint)
    assert len(before) == 1
    own_cloud.restart(kill=kill)
    assert hosting.settled(endpoint)["EndpointStatus"] == "InService"
    # Those of a killed server live and are adopted; a server that was stopped has ended them, and none is started.
    assert hosting.processes(endpoint) == (before if kill else [])
    assert hosting.invoke(endpoint) == "x"
    assert len(hosting.processes(endpoint)) == 1
    hosting.delete(endpoint)
    assert hosting.processes(endpoint) == []


def test_an_endpoint_becomes_serverless_and_has_instances_again(hosting: Hosting) -> None:
    endpoint = hosting.endpoint("e", answering("instance"))
    config = hosting.config("s", variant(hosting.model("s", answering("serverless"))))
    hosting.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config, RetainAllVariantProperties=True)
    assert "CurrentServerlessConfig" in hosting.settled(endpoint)["ProductionVariants"][0]
    assert hosting.invoke(endpoint) == "serverless"
    hosting.sagemaker.update_endpoint(
        EndpointName=endpoint, EndpointConfigName=endpoint, RetainAllVariantProperties=True
    )
    assert hosting.settled(endpoint)["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    assert hosting.invoke(endpoint) == "instance"
    assert len(hosting.processes(endpoint)) == 1


def test_a_request_that_waits_for_a_cold_start_is_answered_by_the_update(hosting: Hosting, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    started = f"import os, time\nopen({str(tmp_path)!r} + f'/started-{{time.monotonic_ns()}}', 'w').close()\n"
    waits = f"{started}while os.path.exists({str(gate)!r}): time.sleep(0.01)\n"
    endpoint = serverless(hosting, waits + HOLD)
    # One request has the only container, the next one's does not get ready.
    answers = list[str]()
    busy = in_background(lambda: hosting.invoke(endpoint, str(tmp_path / "go")), answers)
    wait_for(lambda: begun(tmp_path) == 1)
    gate.touch()
    waiting = in_background(lambda: hosting.invoke(endpoint, "x"), answers)
    wait_for(lambda: len(list(tmp_path.glob("started-*"))) == 2)
    config = hosting.config("s", variant(hosting.model("s", answering("updated"))))
    hosting.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    waiting.join()
    assert answers == ["updated"]
    (tmp_path / "go").touch()
    busy.join()
    assert answers == ["updated", "done"]
    hosting.settled(endpoint)
    assert len(hosting.processes(endpoint)) == 1


def test_serverless_variants_have_no_instance_count_to_change(hosting: Hosting) -> None:
    endpoint = serverless(hosting, answering("x"))
    with pytest.raises(ClientError, match="is serverless"):
        hosting.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=endpoint,
            DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 2}],
        )
    with pytest.raises(ClientError, match="no DesiredInstanceCount"):
        hosting.cloud.client("application-autoscaling").register_scalable_target(
            ServiceNamespace="sagemaker",
            ResourceId=f"endpoint/{endpoint}/variant/AllTraffic",
            ScalableDimension="sagemaker:variant:DesiredInstanceCount",
            MinCapacity=1,
            MaxCapacity=2,
        )


@pytest.mark.parametrize(
    ("members", "config", "words"),
    [
        ({"InstanceType": "ml.m5.large"}, {}, "InstanceType cannot be specified together with ServerlessConfig"),
        ({"InitialInstanceCount": 1}, {}, "InitialInstanceCount cannot be specified together"),
        ({}, {"MemorySizeInMB": 1500}, "MemorySizeInMB must be one of"),
        ({}, {"ProvisionedConcurrency": 1}, "do not have ProvisionedConcurrency"),
    ],
)
def test_what_does_not_go_together_with_serverless_is_refused(
    hosting: Hosting, members: dict[str, Any], config: dict[str, int], words: str
) -> None:
    with pytest.raises(ClientError, match=words):
        hosting.config("e", {**variant(hosting.model("e", answering("x")), **config), **members})


def test_a_serverless_configuration_has_one_variant_and_no_data_capture(hosting: Hosting) -> None:
    model = hosting.model("e", answering("x"))
    with pytest.raises(ClientError, match="has one production variant"):
        hosting.config("e", variant(model), hosting.variant(model, VariantName="other"))
    with pytest.raises(ClientError, match="DataCaptureConfig is not supported for serverless endpoints"):
        hosting.sagemaker.create_endpoint_config(
            EndpointConfigName=hosting.name("e"),
            ProductionVariants=[variant(model)],
            DataCaptureConfig={
                "InitialSamplingPercentage": 1,
                "DestinationS3Uri": f"s3://{hosting.bucket}/x",
                "CaptureOptions": [{"CaptureMode": "Input"}],
            },
        )
