"""Endpoints from CreateEndpoint to DeleteEndpoint, their updates, and what is refused on the way."""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.cloud.hosting import HOLD, Hosting, Traffic, answering, begun
from tests.cloud_process import CloudProcess
from tests.waiting import wait_for


@pytest.fixture
def hosting(cloud: CloudProcess) -> Hosting:
    return Hosting(cloud)


def test_an_endpoint_lives_from_create_to_delete(hosting: Hosting) -> None:
    model = hosting.model("e", answering("here"))
    config = hosting.config("e", hosting.variant(model))
    arn = hosting.sagemaker.create_endpoint(
        EndpointName=hosting.name("e"), EndpointConfigName=config, Tags=[{"Key": "a", "Value": "b"}]
    )["EndpointArn"]
    described = hosting.settled(hosting.name("e"))
    assert described["EndpointArn"] == arn
    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == config
    variant = described["ProductionVariants"][0]
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (1, 1)
    assert (variant["CurrentWeight"], variant["DesiredWeight"]) == (1.0, 1.0)
    assert variant["DeployedImages"][0]["SpecifiedImage"].endswith("pytorch-inference:2.6.0-cpu-py312")
    assert hosting.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    listed = hosting.sagemaker.list_endpoints(NameContains=hosting.prefix, StatusEquals="InService")["Endpoints"]
    assert [endpoint["EndpointName"] for endpoint in listed] == [hosting.name("e")]
    assert hosting.invoke(hosting.name("e")) == "here"
    assert len(hosting.processes(hosting.name("e"))) == 1

    hosting.sagemaker.delete_model(ModelName=model)
    hosting.sagemaker.delete_endpoint_config(EndpointConfigName=config)
    assert hosting.invoke(hosting.name("e")) == "here"
    hosting.delete(hosting.name("e"))
    assert hosting.processes(hosting.name("e")) == []
    with pytest.raises(ClientError, match=f"Endpoint {hosting.name('e')} of account 123456789012 not found."):
        hosting.invoke(hosting.name("e"))


def test_names_that_are_taken_or_unknown(hosting: Hosting) -> None:
    endpoint = hosting.endpoint("e", answering("x"))
    with pytest.raises(ClientError, match='Cannot create already existing endpoint "arn:aws:sagemaker:us-east-1:'):
        hosting.create("e", hosting.name("e"))
    with pytest.raises(ClientError, match='Could not find endpoint configuration "arn:aws:sagemaker:us-east-1:'):
        hosting.create("other", "no-such-config")
    for call in (hosting.sagemaker.describe_endpoint, hosting.sagemaker.delete_endpoint):
        with pytest.raises(ClientError, match='Could not find endpoint "arn:aws:sagemaker:us-east-1:') as error:
            call(EndpointName="no-such-endpoint")
        assert error.value.response["Error"]["Code"] == "ValidationException"
    hosting.delete(endpoint)


def test_a_handler_that_cannot_load_fails_the_endpoint_and_says_why(hosting: Hosting) -> None:
    model = hosting.model(
        "e", "def model_fn(model_dir):\n    raise FileNotFoundError('model.pth is not in the archive')\n"
    )
    endpoint = hosting.create("e", hosting.config("e", hosting.variant(model)))
    described = hosting.settled(endpoint)
    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"].startswith(
        "The primary container for production variant AllTraffic did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )
    assert described["FailureReason"].endswith("FileNotFoundError: model.pth is not in the archive")
    assert hosting.processes(endpoint) == []
    events = hosting.cloud.client("logs").filter_log_events(logGroupName=f"/aws/sagemaker/Endpoints/{endpoint}")
    assert "FileNotFoundError: model.pth is not in the archive" in [event["message"] for event in events["events"]]
    with pytest.raises(ClientError, match="not found"):
        hosting.invoke(endpoint)
    hosting.delete(endpoint)


def test_model_data_that_is_no_archive_fails_the_endpoint(hosting: Hosting) -> None:
    model = hosting.model("e", answering("x"))
    hosting.s3.put_object(Bucket=hosting.bucket, Key="e/model.tar.gz", Body=b"no archive")
    described = hosting.settled(hosting.create("e", hosting.config("e", hosting.variant(model))))
    assert described["EndpointStatus"] == "Failed"
    assert "cannot be unpacked" in described["FailureReason"]
    hosting.delete(hosting.name("e"))


def test_model_data_that_has_gone_fails_the_endpoint(hosting: Hosting) -> None:
    model = hosting.model("e", answering("x"))
    hosting.s3.delete_object(Bucket=hosting.bucket, Key="e/model.tar.gz")
    described = hosting.settled(hosting.create("e", hosting.config("e", hosting.variant(model))))
    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"] == f"Could not find model data at s3://{hosting.bucket}/e/model.tar.gz."
    hosting.delete(hosting.name("e"))


def test_requirements_of_the_code_are_installed_first(hosting: Hosting) -> None:
    code = "import sys\ndef model_fn(d): return ' '.join(sys.path)\ndef transform_fn(m, d, c, a): return m\n"
    good = hosting.model("good", code, **{"code/requirements.txt": b"numpy\n"})
    bad = hosting.model("bad", code, **{"code/requirements.txt": b"./no-such-package\n"})
    endpoint = hosting.create("good", hosting.config("good", hosting.variant(good)))
    failing = hosting.create("bad", hosting.config("bad", hosting.variant(bad)))
    assert hosting.settled(endpoint)["EndpointStatus"] == "InService"
    assert "/environments/" in hosting.invoke(endpoint)
    described = hosting.settled(failing)
    assert described["EndpointStatus"] == "Failed"
    assert "InstallRequirementsError" in described["FailureReason"]
    hosting.delete(endpoint)
    hosting.delete(failing)


def test_quotas_of_the_settings_hold(tmp_path: Path) -> None:
    quotas = json.dumps({"ml.m5.large for endpoint usage": 2})
    cloud = CloudProcess(tmp_path / "data", "--quotas", quotas).start()
    try:
        hosting = Hosting(cloud)
        endpoint = hosting.endpoint("e", answering("x"))
        with pytest.raises(ClientError) as refused:
            hosting.create("two", hosting.config("two", hosting.variant(hosting.name("e"), InitialInstanceCount=2)))
        assert refused.value.response["Error"]["Code"] == "ResourceLimitExceeded"
        assert refused.value.response["Error"]["Message"].startswith(
            "The account-level service limit 'ml.m5.large for endpoint usage' is 2 Instances, with current utilization "
            "of 1 Instances and a request delta of 2 Instances."
        )
        desired = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 3}]
        with pytest.raises(ClientError, match="a request delta of 2 Instances"):
            hosting.sagemaker.update_endpoint_weights_and_capacities(
                EndpointName=endpoint, DesiredWeightsAndCapacities=desired
            )
        hosting.delete(endpoint)
    finally:
        cloud.stop()


def test_an_endpoint_that_is_being_created_can_neither_answer_nor_be_changed(hosting: Hosting, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    code = f"""
import os, time
def model_fn(model_dir):
    while not os.path.exists({str(gate)!r}): time.sleep(0.01)
def transform_fn(m, d, c, a): return "loaded"
"""
    endpoint = hosting.create("e", hosting.config("e", hosting.variant(hosting.model("e", code))))
    described = hosting.sagemaker.describe_endpoint(EndpointName=endpoint)
    assert described["EndpointStatus"] == "Creating"
    assert described["PendingDeploymentSummary"]["ProductionVariants"][0]["CurrentInstanceCount"] == 0
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        hosting.sagemaker.delete_endpoint(EndpointName=endpoint)
    with pytest.raises(ClientError, match="not found"):
        hosting.invoke(endpoint)
    gate.touch()
    assert hosting.settled(endpoint)["EndpointStatus"] == "InService"
    assert hosting.invoke(endpoint) == "loaded"
    hosting.delete(endpoint)


def test_the_container_is_told_what_aws_tells_it(hosting: Hosting) -> None:
    code = """
import json, os
def model_fn(model_dir):
    return {"model_dir": model_dir, "files": sorted(os.listdir(model_dir)), "environment": dict(os.environ)}
def transform_fn(model, data, content_type, accept): return json.dumps(model)
"""
    endpoint = hosting.endpoint("e", code, {"MY_OWN": "value", "SAGEMAKER_PROGRAM": "inference.py"})
    told = json.loads(hosting.invoke(endpoint))
    assert told["files"] == ["code"]
    environment = told["environment"]
    assert environment["MY_OWN"] == "value"
    assert environment["AWS_REGION"] == "us-east-1"
    assert environment["AWS_ENDPOINT_URL"] == hosting.cloud.endpoint_url
    assert environment["SAGEMAKER_SUBMIT_DIRECTORY"].endswith("/opt/ml/model/code")
    assert "AWS_ACCESS_KEY_ID" not in environment
    assert "PYTEST_CURRENT_TEST" not in environment
    hosting.delete(endpoint)


def test_the_container_acts_as_its_execution_role(hosting: Hosting) -> None:
    code = """
import boto3
def model_fn(model_dir): return None
def transform_fn(model, data, content_type, accept):
    return boto3.client("sts").get_caller_identity()["Arn"]
"""
    endpoint = hosting.endpoint("e", code)
    assert hosting.invoke(endpoint).startswith(f"arn:aws:sts::123456789012:assumed-role/{hosting.prefix}/")
    hosting.delete(endpoint)


def test_variants_share_the_traffic_by_weight(hosting: Hosting) -> None:
    one = hosting.variant(hosting.model("a", answering("a")), VariantName="A", InitialVariantWeight=3.0)
    two = hosting.variant(hosting.model("b", answering("b")), VariantName="B", InitialVariantWeight=1.0)
    endpoint = hosting.create("e", hosting.config("e", one, two))
    hosting.settled(endpoint)
    answers = Counter(hosting.invoke(endpoint) for _ in range(400))
    # 300 expected of A; five standard deviations to either side.
    assert 256 < answers["a"] < 344
    assert answers["a"] + answers["b"] == 400
    assert {hosting.invoke(endpoint, TargetVariant="B") for _ in range(10)} == {"b"}
    with pytest.raises(ClientError, match="Variant C not found for Request"):
        hosting.invoke(endpoint, TargetVariant="C")

    hosting.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint,
        DesiredWeightsAndCapacities=[
            {"VariantName": "A", "DesiredWeight": 0.0},
            {"VariantName": "B", "DesiredWeight": 1.0, "DesiredInstanceCount": 2},
        ],
    )
    described = hosting.settled(endpoint)
    counts = {variant["VariantName"]: variant["CurrentInstanceCount"] for variant in described["ProductionVariants"]}
    assert counts == {"A": 1, "B": 2}
    assert {hosting.invoke(endpoint) for _ in range(20)} == {"b"}
    assert len(hosting.processes(endpoint)) == 3
    hosting.delete(endpoint)


def test_an_update_under_live_traffic_loses_no_request(hosting: Hosting) -> None:
    endpoint = hosting.endpoint("e", answering("old"))
    config = hosting.config("new", hosting.variant(hosting.model("new", answering("new"))))
    old = hosting.processes(endpoint)
    with Traffic(hosting, endpoint) as traffic:
        wait_for(lambda: traffic.answers["old"] > 20)
        hosting.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
        with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
            hosting.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
        described = hosting.settled(endpoint)
        wait_for(lambda: traffic.answers["new"] > 20)
    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == config
    assert set(traffic.answers) == {"old", "new"}
    assert set(hosting.processes(endpoint)).isdisjoint(old)
    assert hosting.invoke(endpoint) == "new"
    hosting.delete(endpoint)


def test_an_update_that_fails_is_rolled_back(hosting: Hosting) -> None:
    endpoint = hosting.endpoint("e", answering("old"))
    config = hosting.config(
        "bad", hosting.variant(hosting.model("bad", "def model_fn(d): raise ValueError('broken')\n"))
    )
    with Traffic(hosting, endpoint, threads=1) as traffic:
        hosting.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
        described = hosting.settled(endpoint)
    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == hosting.name("e")
    assert described["FailureReason"].endswith("ValueError: broken")
    assert set(traffic.answers) == {"old"}
    assert len(hosting.processes(endpoint)) == 1
    hosting.delete(endpoint)


def test_an_update_may_retain_counts_and_weights(hosting: Hosting) -> None:
    endpoint = hosting.endpoint("e", answering("old"), InitialInstanceCount=2)
    config = hosting.config("new", hosting.variant(hosting.model("new", answering("new"))))
    hosting.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config, RetainAllVariantProperties=True)
    described = hosting.settled(endpoint)
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    with pytest.raises(ClientError, match=r"do not have TrafficRoutingConfiguration\.Type LINEAR"):
        hosting.sagemaker.update_endpoint(
            EndpointName=endpoint,
            EndpointConfigName=config,
            DeploymentConfig={
                "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {"Type": "LINEAR", "WaitIntervalInSeconds": 1}}
            },
        )
    hosting.delete(endpoint)


def test_the_old_fleet_waits_for_its_termination(own_cloud: CloudProcess) -> None:
    hosting = Hosting(own_cloud)
    endpoint = hosting.endpoint("e", answering("old"))
    config = hosting.config("new", hosting.variant(hosting.model("new", answering("new"))))
    policy = {"TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}}
    hosting.sagemaker.update_endpoint(
        EndpointName=endpoint,
        EndpointConfigName=config,
        DeploymentConfig={"BlueGreenUpdatePolicy": {**policy, "TerminationWaitInSeconds": 3600}},
    )
    wait_for(lambda: hosting.invoke(endpoint) == "new")
    for _ in range(2):
        described = hosting.sagemaker.describe_endpoint(EndpointName=endpoint)
        assert described["EndpointStatus"] == "Updating"
        assert described["LastDeploymentConfig"]["BlueGreenUpdatePolicy"]["TerminationWaitInSeconds"] == 3600
        assert len(hosting.processes(endpoint)) == 2
        own_cloud.restart(kill=True)
        assert hosting.invoke(endpoint) == "new"


def test_deleting_lets_running_invocations_finish(hosting: Hosting, tmp_path: Path) -> None:
    endpoint = hosting.endpoint("e", HOLD)
    answers: list[str] = []
    body = f"{tmp_path}/go"
    caller = threading.Thread(target=lambda: answers.append(hosting.invoke(endpoint, body)))
    caller.start()
    wait_for(lambda: begun(tmp_path) == 1)
    hosting.sagemaker.delete_endpoint(EndpointName=endpoint)
    with pytest.raises(ClientError, match="not found"):
        hosting.invoke(endpoint)
    Path(body).touch()
    caller.join(60)
    assert answers == ["done"]
    hosting.gone(endpoint)
