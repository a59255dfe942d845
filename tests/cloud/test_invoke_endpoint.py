"""InvokeEndpoint: what passes through, what comes back, and what an error looks like."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from botocore.exceptions import ClientError

from tests.cloud.hosting import HOLD, Hosting, answering, begun
from tests.cloud.log_lines import messages_in
from tests.cloud_process import CloudProcess
from tests.waiting import wait_for

MIRROR = """
import json
def model_fn(model_dir): return None
def transform_fn(model, data, content_type, accept, context):
    if data == b"fail": raise ValueError("no such breed")
    if data == b"refuse":
        context.set_response_status(400)
        return "no picture", "text/plain"
    context.set_response_header(0, "X-Amzn-SageMaker-Custom-Attributes", "back")
    sent = [context.get_request_header(0, "X-Amzn-SageMaker-" + name) for name in ("Custom-Attributes", "Inference-Id")]
    return json.dumps([len(data), content_type, accept, *sent])
"""


@pytest.fixture(scope="module")
def hosting(cloud: CloudProcess) -> Hosting:
    return Hosting(cloud)


@pytest.fixture(scope="module")
def mirror(hosting: Hosting) -> str:
    return hosting.endpoint("mirror", MIRROR)


def test_headers_go_there_and_come_back(hosting: Hosting, mirror: str) -> None:
    answer = hosting.runtime.invoke_endpoint(
        EndpointName=mirror,
        Body=b"\x00" * 100_000,
        ContentType="image/jpeg",
        Accept="application/x-mine",
        CustomAttributes="there",
        InferenceId="id-1",
    )
    assert json.loads(answer["Body"].read()) == [100_000, "image/jpeg", "application/x-mine", "there", "id-1"]
    assert answer["ContentType"] == "application/x-mine"
    assert answer["CustomAttributes"] == "back"
    assert answer["InvokedProductionVariant"] == "AllTraffic"


@pytest.mark.local_only
def test_nobody_gets_around_the_permission_by_the_port_of_the_model_server(hosting: Hosting, mirror: str) -> None:
    homes = (hosting.cloud.data_dir / "sagemaker" / "endpoints").glob(f"{mirror}.*/home")
    address = f"http://127.0.0.1:{int((next(homes) / 'port').read_text())}/invocations"
    for headers in ({}, {"x-key": ""}, {"x-key": "guessed"}, {"x-key": "\u00e9"}):
        assert requests.post(address, b"in", headers=headers, timeout=30).status_code == 403
    assert json.loads(hosting.invoke(mirror, b"in"))[0] == 2


def test_an_exception_of_the_handler_is_a_model_error(hosting: Hosting, mirror: str) -> None:
    with pytest.raises(hosting.runtime.exceptions.ModelError) as refused:
        hosting.invoke(mirror, b"fail")
    answer = refused.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert answer["OriginalStatusCode"] == 500
    assert answer["OriginalMessage"].startswith("no such breed\nTraceback (most recent call last)")
    group = f"/aws/sagemaker/Endpoints/{mirror}"
    assert answer["LogStreamArn"] == f"arn:aws:logs:us-east-1:123456789012:log-group:{group}"
    message = answer["Error"]["Message"]
    assert message.startswith('Received server error (500) from primary with message "no such breed\n')
    assert message.endswith(
        "See https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#logEventViewer:group="
        f"{group} in account 123456789012 for more information."
    )
    logs = hosting.cloud.client("logs")
    wait_for(lambda: _line_of(logs, group, "ValueError: no such breed"), "the traceback is in the log")


def test_a_status_of_the_handler_is_told(hosting: Hosting, mirror: str) -> None:
    with pytest.raises(hosting.runtime.exceptions.ModelError, match="Received client error") as refused:
        hosting.invoke(mirror, b"refuse")
    assert refused.value.response["OriginalStatusCode"] == 400
    assert refused.value.response["OriginalMessage"] == "no picture"


def test_an_unknown_endpoint_is_a_validation_error(hosting: Hosting) -> None:
    with pytest.raises(ClientError) as refused:
        hosting.invoke("no-such-endpoint")
    assert refused.value.response["Error"] == {
        "Code": "ValidationError",
        "Message": "Endpoint no-such-endpoint of account 123456789012 not found.",
    }


def test_a_body_above_the_limit_is_refused(hosting: Hosting, mirror: str) -> None:
    limit = 6 * 1024 * 1024
    assert json.loads(hosting.invoke(mirror, b"x" * limit))[0] == limit
    with pytest.raises(ClientError) as refused:
        hosting.invoke(mirror, b"x" * (limit + 1))
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


@pytest.mark.parametrize(
    ("member", "value"), [("TargetModel", "a.tar.gz"), ("InferenceComponentName", "c"), ("SessionId", "NEW_SESSION")]
)
def test_what_is_not_done_is_said_by_name(hosting: Hosting, mirror: str, member: str, value: str) -> None:
    with pytest.raises(ClientError, match=f"InvokeEndpoint with {member}"):
        hosting.invoke(mirror, b"", **{member: value})


def test_operations_that_are_not_there_say_so(hosting: Hosting, mirror: str) -> None:
    with pytest.raises(ClientError, match="does not implement sagemaker-runtime:InvokeEndpointWithResponseStream"):
        hosting.runtime.invoke_endpoint_with_response_stream(EndpointName=mirror, Body=b"x")


def test_a_full_queue_is_service_unavailable_at_once(hosting: Hosting, tmp_path: Path) -> None:
    endpoint = hosting.endpoint("full", HOLD, {"TS_JOB_QUEUE_SIZE": "0"})
    answers: list[str] = []
    body = f"{tmp_path}/go"
    caller = threading.Thread(target=lambda: answers.append(hosting.invoke(endpoint, body)))
    caller.start()
    wait_for(lambda: begun(tmp_path) == 1)
    with pytest.raises(hosting.runtime.exceptions.ServiceUnavailable):
        hosting.invoke(endpoint, body)
    assert begun(tmp_path) == 1
    Path(body).touch()
    caller.join(60)
    assert answers == ["done"]
    hosting.delete(endpoint)


def test_requests_go_to_the_instance_with_the_fewest_in_flight(hosting: Hosting, tmp_path: Path) -> None:
    endpoint = hosting.endpoint("two", HOLD, InitialInstanceCount=2)
    body = f"{tmp_path}/go"
    with ThreadPoolExecutor(2) as callers:
        answers = [callers.submit(hosting.invoke, endpoint, body) for _ in range(2)]
        # Each instance runs one request at a time: two that have begun are on two instances.
        wait_for(lambda: begun(tmp_path) == 2)
        assert not any(answer.done() for answer in answers)
        Path(body).touch()
        assert [answer.result(60) for answer in answers] == ["done", "done"]
    hosting.delete(endpoint)


def test_a_handler_that_takes_too_long_is_a_model_error(hosting: Hosting, tmp_path: Path) -> None:
    endpoint = hosting.endpoint("slow", HOLD, {"SAGEMAKER_MODEL_SERVER_TIMEOUT": "0.3"})
    with pytest.raises(hosting.runtime.exceptions.ModelError, match="did not answer in time") as refused:
        hosting.invoke(endpoint, f"{tmp_path}/never")
    assert refused.value.response["OriginalStatusCode"] == 504
    (tmp_path / "now").touch()
    # The stuck handler holds the only worker until the server is started again: this one waits, then is answered.
    wait_for(lambda: _answers(hosting, endpoint, f"{tmp_path}/now"))
    hosting.delete(endpoint)


def test_invocations_are_counted(hosting: Hosting) -> None:
    endpoint = hosting.endpoint("counted", answering("x"))
    for _ in range(7):
        hosting.invoke(endpoint)
    cloudwatch = hosting.cloud.client("cloudwatch")

    def total(metric: str) -> float:
        now = datetime.now(UTC)
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=[{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": "AllTraffic"}],
            StartTime=now - timedelta(minutes=10),
            EndTime=now + timedelta(minutes=1),
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(point["Sum"] for point in points))

    wait_for(lambda: total("Invocations") == 7)
    assert total("InvocationsPerInstance") == 7
    assert total("Invocation5XXErrors") == 0
    assert total("ModelLatency") > total("OverheadLatency") > 0
    hosting.delete(endpoint)


def _answers(hosting: Hosting, endpoint: str, body: str) -> bool:
    try:
        return hosting.invoke(endpoint, body) == "done"
    except ClientError:
        return False


def _line_of(logs: object, group: str, line: str) -> bool:
    return line in "\n".join(messages_in(logs, group)).splitlines()
