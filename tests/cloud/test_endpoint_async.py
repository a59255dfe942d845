"""Asynchronous endpoints: requests whose input, result and failure lie in S3, in a queue that survives the server."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from tests.cloud.hosting import HOLD, Hosting, answering, begun, permissions
from tests.cloud_process import CloudProcess
from tests.waiting import wait_for

UPPER = """
def model_fn(model_dir): return None
def transform_fn(model, data, content_type, accept, context):
    if data == b"fail": raise ValueError("asked to fail")
    mine = context.get_request_header(0, "X-Amzn-SageMaker-Custom-Attributes")
    return f"{data.decode().upper()} {content_type} {mine}", accept
"""
MANY = "THREAD_SAFE = True\n" + HOLD


@pytest.fixture
def hosting(cloud: CloudProcess) -> Hosting:
    return _allowed(Hosting(cloud))


def _allowed(hosting: Hosting) -> Hosting:
    """A role that may write below out/ and failed/."""
    policy = permissions(hosting.bucket)
    resources = [f"arn:aws:s3:::{hosting.bucket}/{prefix}/*" for prefix in ("out", "failed")]
    policy["Statement"].append({"Effect": "Allow", "Action": "s3:PutObject", "Resource": resources})
    hosting.cloud.client("iam").put_role_policy(
        RoleName=hosting.prefix, PolicyName="hosting", PolicyDocument=json.dumps(policy)
    )
    return hosting


def _config(hosting: Hosting, **client: int) -> dict[str, Any]:
    return {
        "ClientConfig": client,
        "OutputConfig": {
            "S3OutputPath": f"s3://{hosting.bucket}/out/",
            "S3FailurePath": f"s3://{hosting.bucket}/failed",
        },
    }


def _endpoint(hosting: Hosting, code: str, config: dict[str, Any] | None = None) -> str:
    """An asynchronous endpoint in service."""
    model = hosting.model("e", code, {"SAGEMAKER_MODEL_SERVER_WORKERS": "4"})
    hosting.sagemaker.create_endpoint_config(
        EndpointConfigName=hosting.name("e"),
        ProductionVariants=[hosting.variant(model)],
        AsyncInferenceConfig=config or _config(hosting),
    )
    endpoint = hosting.create("e", hosting.name("e"))
    assert hosting.settled(endpoint)["EndpointStatus"] == "InService"
    return endpoint


def _ask(hosting: Hosting, endpoint: str, **members: Any) -> dict[str, Any]:
    asked: dict[str, Any] = hosting.runtime.invoke_endpoint_async(EndpointName=endpoint, **members)
    assert asked["ResponseMetadata"]["HTTPStatusCode"] == 202
    return asked


def _input(hosting: Hosting, body: bytes) -> str:
    hosting.s3.put_object(Bucket=hosting.bucket, Key="in/1", Body=body, ContentType="x/stored")
    return f"s3://{hosting.bucket}/in/1"


def _found(hosting: Hosting, location: str) -> tuple[str, str] | None:
    """The text and the type of an object, once it is there."""
    place = urlsplit(location)
    try:
        found = hosting.s3.get_object(Bucket=place.netloc, Key=place.path[1:])
    except hosting.s3.exceptions.NoSuchKey:
        return None
    return found["Body"].read().decode(), found["ContentType"]


def _result(hosting: Hosting, asked: dict[str, Any]) -> str:
    """The text of a result, once it is there."""
    text: str = wait_for(lambda: _found(hosting, asked["OutputLocation"]))[0]
    return text


def test_a_request_from_s3_has_its_result_in_s3(hosting: Hosting) -> None:
    endpoint = _endpoint(hosting, UPPER)
    assert hosting.settled(endpoint)["AsyncInferenceConfig"] == _config(hosting)
    asked = _ask(
        hosting,
        endpoint,
        InputLocation=_input(hosting, b"dog"),
        ContentType="a/b",
        Accept="text/plain",
        CustomAttributes="mine",
        InferenceId="my own",
    )
    assert asked["InferenceId"] == "my own"
    assert asked["OutputLocation"].startswith(f"s3://{hosting.bucket}/out/")
    assert asked["OutputLocation"].endswith(".out")
    assert wait_for(lambda: _found(hosting, asked["OutputLocation"])) == ("DOG a/b mine", "text/plain")
    assert asked["FailureLocation"].startswith(f"s3://{hosting.bucket}/failed/")
    assert _found(hosting, asked["FailureLocation"]) is None
    # SDK v2 says the type of its input with the object alone.
    hosting.s3.put_object(Bucket=hosting.bucket, Key="in/typed", Body=b"cat", ContentType="c/d")
    typed = _ask(hosting, endpoint, InputLocation=f"s3://{hosting.bucket}/in/typed", CustomAttributes="mine")
    assert _result(hosting, typed) == "CAT c/d mine"
    # The SDK says the type of its input where it puts it into S3, and nowhere else.
    unsaid = _ask(hosting, endpoint, InputLocation=_input(hosting, b"dog"))
    assert _result(hosting, unsaid) == "DOG x/stored None"


def test_an_input_in_the_request_itself_and_a_name_for_its_result(hosting: Hosting) -> None:
    endpoint = _endpoint(hosting, UPPER)
    asked = _ask(
        hosting, endpoint, Body=b"cat", ContentType="a/b", Filename="mine.txt", S3OutputPathExtension="some/where"
    )
    assert asked["OutputLocation"] == f"s3://{hosting.bucket}/out/some/where/mine.txt"
    assert wait_for(lambda: _found(hosting, asked["OutputLocation"])) == ("CAT a/b None", "application/json")
    for wrong in ({}, {"Body": b"x", "InputLocation": f"s3://{hosting.bucket}/x"}):
        with pytest.raises(ClientError, match="Exactly one of Body and InputLocation"):
            _ask(hosting, endpoint, **wrong)
    with pytest.raises(ClientError, match="128000"):
        _ask(hosting, endpoint, Body=b"x" * 128_001)


def test_failures_are_objects_too(hosting: Hosting) -> None:
    endpoint = _endpoint(hosting, UPPER)
    failed = _ask(hosting, endpoint, InputLocation=_input(hosting, b"fail"))
    said, _ = wait_for(lambda: _found(hosting, failed["FailureLocation"]))
    assert said.startswith('Received server error (500) from primary with message "asked to fail\nTraceback')
    assert _found(hosting, failed["OutputLocation"]) is None
    missing = _ask(hosting, endpoint, InputLocation=f"s3://{hosting.bucket}/nothing")
    assert "nothing could not be read" in wait_for(lambda: _found(hosting, missing["FailureLocation"]))[0]
    denied = _ask(hosting, endpoint, InputLocation=f"s3://{hosting.bucket}-other/nothing")
    assert (
        "is not authorized to perform: s3:GetObject" in wait_for(lambda: _found(hosting, denied["FailureLocation"]))[0]
    )
    events = hosting.cloud.client("logs").filter_log_events(
        logGroupName=f"/aws/sagemaker/Endpoints/{endpoint}", logStreamNamePrefix="AllTraffic/data-log"
    )["events"]
    assert any(missing["InferenceId"] in event["message"] for event in events)


def test_the_role_writes_the_results(hosting: Hosting) -> None:
    config = _config(hosting)
    config["OutputConfig"]["S3OutputPath"] = f"s3://{hosting.bucket}/elsewhere"
    endpoint = _endpoint(hosting, UPPER, config)
    asked = _ask(hosting, endpoint, Body=b"x")
    said, _ = wait_for(lambda: _found(hosting, asked["FailureLocation"]))
    assert "is not authorized to perform: s3:PutObject" in said


def test_an_instance_has_no_more_at_a_time_than_it_may(hosting: Hosting, tmp_path: Path) -> None:
    endpoint = _endpoint(hosting, MANY, _config(hosting, MaxConcurrentInvocationsPerInstance=2))
    gate = tmp_path / "gate"
    asked = [_ask(hosting, endpoint, Body=str(gate)) for _ in range(3)]
    wait_for(lambda: begun(tmp_path) == 2)
    hosting.settled(endpoint)
    assert begun(tmp_path) == 2
    gate.touch()
    for one in asked:
        assert _result(hosting, one) == "done"
    assert begun(tmp_path) == 3


def test_accepted_requests_survive_a_killed_server(own_cloud: CloudProcess, tmp_path: Path) -> None:
    hosting = _allowed(Hosting(own_cloud))
    endpoint = _endpoint(hosting, HOLD, _config(hosting, MaxConcurrentInvocationsPerInstance=1))
    gate = tmp_path / "gate"
    asked = [_ask(hosting, endpoint, Body=str(gate)) for _ in range(4)]
    wait_for(lambda: begun(tmp_path) == 1)
    own_cloud.restart(kill=True)
    gate.touch()
    for one in asked:
        assert _result(hosting, one) == "done"
    hosting.delete(endpoint)


def test_what_waits_for_too_long_expires(fast_cloud: CloudProcess, tmp_path: Path) -> None:
    hosting = _allowed(Hosting(fast_cloud))
    endpoint = _endpoint(hosting, HOLD, _config(hosting, MaxConcurrentInvocationsPerInstance=1))
    gate = tmp_path / "gate"
    first = _ask(hosting, endpoint, Body=str(gate))
    wait_for(lambda: begun(tmp_path) == 1)
    second = _ask(hosting, endpoint, Body=str(gate), RequestTTLSeconds=60)
    backlog = wait_for(lambda: _backlog(fast_cloud, endpoint))
    assert backlog == 2.0
    asked = _now(hosting)
    wait_for(lambda: (_now(hosting) - asked).total_seconds() > 60)
    gate.touch()
    assert wait_for(lambda: _found(hosting, first["OutputLocation"]))[0] == "done"
    assert "has expired" in wait_for(lambda: _found(hosting, second["FailureLocation"]))[0]
    assert begun(tmp_path) == 1
    wait_for(
        lambda: {"ExpiredRequests", "InvocationFailures", "InvocationsProcesssed"} <= _metrics(fast_cloud, endpoint)
    )
    # Of what other endpoints have, AWS counts nothing that is about a caller who waits.
    assert not {"Invocations", "InvocationsPerInstance", "OverheadLatency"} & _metrics(fast_cloud, endpoint)
    assert {"ModelLatency", "ApproximateAgeOfOldestRequest"} <= _metrics(fast_cloud, endpoint)


def _metrics(cloud: CloudProcess, endpoint: str) -> set[str]:
    """The names of the metrics that the endpoint has."""
    dimensions = [{"Name": "EndpointName", "Value": endpoint}]
    listed = cloud.client("cloudwatch").list_metrics(Namespace="AWS/SageMaker", Dimensions=dimensions)
    return {metric["MetricName"] for metric in listed["Metrics"]}


def _now(hosting: Hosting) -> datetime.datetime:
    """What time it is by the clock of the cloud."""
    hosting.s3.put_object(Bucket=hosting.bucket, Key="clock", Body=b"")
    moment: datetime.datetime = hosting.s3.head_object(Bucket=hosting.bucket, Key="clock")["LastModified"]
    return moment


def _backlog(cloud: CloudProcess, endpoint: str) -> float:
    now = datetime.datetime.now(datetime.UTC)
    found = cloud.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName="ApproximateBacklogSize",
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}],
        StartTime=now - datetime.timedelta(days=1),
        EndTime=now + datetime.timedelta(days=5),  # the clock of this cloud runs ahead
        Period=86400,
        Statistics=["Maximum"],
    )
    return max((point["Maximum"] for point in found["Datapoints"]), default=0.0)


def test_each_kind_of_endpoint_has_its_own_operation(hosting: Hosting) -> None:
    endpoint = _endpoint(hosting, UPPER)
    with pytest.raises(ClientError, match="use InvokeEndpointAsync"):
        hosting.invoke(endpoint, b"x")
    model = hosting.name("e")
    plain = hosting.create("plain", hosting.config("plain", hosting.variant(model)))
    hosting.settled(plain)
    with pytest.raises(ClientError, match="use InvokeEndpoint"):
        _ask(hosting, plain, Body=b"x")
    with pytest.raises(ClientError, match="Endpoint nowhere of account 123456789012 not found"):
        _ask(hosting, "nowhere", Body=b"x")
    # An update gives the endpoint the other kind.
    hosting.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=plain)
    assert "AsyncInferenceConfig" not in hosting.settled(endpoint)
    assert hosting.invoke(endpoint, b"x").startswith("X ")


@pytest.mark.parametrize(
    ("output", "beside", "words"),
    [
        ({"S3FailurePath": "s3://b/f"}, {}, "S3OutputPath is required"),
        ({"S3OutputPath": "http://b/f"}, {}, "Invalid S3OutputPath|pattern"),
        (
            {
                "S3OutputPath": "s3://b/o",
                "NotificationConfig": {"SuccessTopic": "arn:aws:sns:us-east-1:123456789012:t"},
            },
            {},
            "do not have NotificationConfig",
        ),
        (
            {"S3OutputPath": "s3://b/o"},
            {
                "DataCaptureConfig": {
                    "InitialSamplingPercentage": 1,
                    "DestinationS3Uri": "s3://b/c",
                    "CaptureOptions": [{"CaptureMode": "Input"}],
                }
            },
            "do not have DataCaptureConfig together with AsyncInferenceConfig",
        ),
    ],
)
def test_what_is_not_done_is_refused(
    hosting: Hosting, output: dict[str, Any], beside: dict[str, Any], words: str
) -> None:
    with pytest.raises(ClientError, match=words):
        hosting.sagemaker.create_endpoint_config(
            EndpointConfigName=hosting.name("c"),
            ProductionVariants=[hosting.variant(hosting.model("m", answering("x")))],
            AsyncInferenceConfig={"OutputConfig": output},
            **beside,
        )


def test_an_asynchronous_endpoint_has_one_variant(hosting: Hosting) -> None:
    model = hosting.model("m", answering("x"))
    with pytest.raises(ClientError, match="do not have AsyncInferenceConfig with more than one production variant"):
        hosting.sagemaker.create_endpoint_config(
            EndpointConfigName=hosting.name("c"),
            ProductionVariants=[hosting.variant(model), hosting.variant(model, VariantName="other")],
            AsyncInferenceConfig=_config(hosting),
        )


def test_a_serverless_endpoint_is_not_asynchronous(hosting: Hosting) -> None:
    variant = {
        "VariantName": "v",
        "ModelName": hosting.model("m", answering("x")),
        "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 1},
    }
    with pytest.raises(ClientError, match="AsyncInferenceConfig and ServerlessConfig cannot be specified together"):
        hosting.sagemaker.create_endpoint_config(
            EndpointConfigName=hosting.name("c"),
            ProductionVariants=[variant],
            AsyncInferenceConfig=_config(hosting),
        )
