"""Data capture: what endpoints were asked and have answered lies in S3, written with their role's rights."""

from __future__ import annotations

import base64
import datetime
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud.hosting import Hosting, answering, permissions
from tests.cloud_process import CloudProcess
from tests.waiting import wait_for

ECHO = """
def model_fn(model_dir): return None
def transform_fn(model, data, content_type, accept):
    if data == b"fail": raise ValueError("asked to fail")
    return data, accept
"""
"""Answers what it is asked, in the type that the caller accepts."""


def allow_writing(hosting: Hosting, *prefixes: str) -> None:
    """Let the role of the endpoints put objects below these prefixes of its bucket, nowhere else."""
    policy = permissions(hosting.bucket)
    resources = [f"arn:aws:s3:::{hosting.bucket}/{prefix}/*" for prefix in prefixes]
    policy["Statement"].append({"Effect": "Allow", "Action": "s3:PutObject", "Resource": resources})
    hosting.cloud.client("iam").put_role_policy(
        RoleName=hosting.prefix, PolicyName="hosting", PolicyDocument=json.dumps(policy)
    )


def capturing(hosting: Hosting, **members: Any) -> dict[str, Any]:
    """A DataCaptureConfig of everything, as SDK v2 sends it, unless `members` say otherwise."""
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{hosting.bucket}/captured",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
        **members,
    }


def configured(hosting: Hosting, name: str, model: str, capture: dict[str, Any]) -> str:
    """An endpoint configuration with data capture; its full name."""
    hosting.sagemaker.create_endpoint_config(
        EndpointConfigName=hosting.name(name), ProductionVariants=[hosting.variant(model)], DataCaptureConfig=capture
    )
    return hosting.name(name)


def endpoint_of(hosting: Hosting, capture: dict[str, Any], code: str = ECHO) -> str:
    """An endpoint in service that captures."""
    endpoint = hosting.create("e", configured(hosting, "e", hosting.model("e", code), capture))
    assert hosting.settled(endpoint)["EndpointStatus"] == "InService"
    return endpoint


def files(hosting: Hosting, prefix: str = "captured/") -> dict[str, list[dict[str, Any]]]:
    """The captured lines by key."""
    listed = hosting.s3.list_objects_v2(Bucket=hosting.bucket, Prefix=prefix).get("Contents", [])
    found = {}
    for key in (entry["Key"] for entry in listed):
        content = hosting.s3.get_object(Bucket=hosting.bucket, Key=key)["Body"].read().decode()
        assert content.endswith("\n")
        found[key] = [json.loads(line) for line in content.splitlines()]
    return found


def lines(hosting: Hosting, prefix: str = "captured/") -> list[dict[str, Any]]:
    """All captured lines."""
    return [line for found in files(hosting, prefix).values() for line in found]


def inputs(found: list[dict[str, Any]]) -> list[str]:
    """What was asked, of lines that hold it as text."""
    return sorted(line["captureData"]["endpointInput"]["data"] for line in found)


@pytest.fixture
def hosting(cloud: CloudProcess) -> Hosting:
    return Hosting(cloud)


def test_captured_lines_are_as_aws_documents_them(hosting: Hosting) -> None:
    allow_writing(hosting, "captured")
    endpoint = endpoint_of(hosting, capturing(hosting))
    hosting.invoke(endpoint, "1,2\n3,4", ContentType="text/csv", Accept="text/csv; charset=utf-8")
    hosting.invoke(
        endpoint,
        '{"a": "\u00fc"}'.encode(),
        ContentType="application/json",
        Accept="application/json",
        InferenceId="mine-7",
        CustomAttributes="trace=1",
    )
    picture = {"ContentType": "image/jpeg", "Accept": "application/x-image", "Body": b"\xff\xd8\xff\xe0"}
    hosting.runtime.invoke_endpoint(EndpointName=endpoint, **picture)
    with pytest.raises(ClientError, match="asked to fail"):
        hosting.invoke(endpoint, b"fail", ContentType="image/jpeg")
    hosting.delete(endpoint)

    ((key, captured),) = files(hosting).items()
    now = datetime.datetime.now(datetime.UTC)
    pattern = rf"captured/{endpoint}/AllTraffic/{now:%Y/%m}/\d\d/\d\d/\d\d-\d\d-\d{{3}}-[0-9a-f-]{{36}}\.jsonl"
    assert re.fullmatch(pattern, key), key
    for line in captured:
        assert re.fullmatch(r"[0-9a-f-]{36}", line["eventMetadata"].pop("eventId"))
        moment = datetime.datetime.strptime(line["eventMetadata"].pop("inferenceTime"), "%Y-%m-%dT%H:%M:%S%z")
        assert datetime.timedelta() <= now - moment < datetime.timedelta(minutes=5)
        assert moment.strftime("%Y/%m/%d/%H") in key
    encoded = base64.b64encode(b"\xff\xd8\xff\xe0").decode()
    assert [line["captureData"] for line in captured] == [
        {
            "endpointInput": {
                "observedContentType": "text/csv",
                "mode": "INPUT",
                "data": "1,2\n3,4",
                "encoding": "CSV",
            },
            "endpointOutput": {
                "observedContentType": "text/csv; charset=utf-8",
                "mode": "OUTPUT",
                "data": "1,2\n3,4",
                "encoding": "CSV",
            },
        },
        {
            "endpointInput": {
                "observedContentType": "application/json",
                "mode": "INPUT",
                "data": '{"a": "\u00fc"}',
                "encoding": "JSON",
            },
            "endpointOutput": {
                "observedContentType": "application/json",
                "mode": "OUTPUT",
                "data": '{"a": "\u00fc"}',
                "encoding": "JSON",
            },
        },
        {
            "endpointInput": {
                "observedContentType": "image/jpeg",
                "mode": "INPUT",
                "data": encoded,
                "encoding": "BASE64",
            },
            "endpointOutput": {
                "observedContentType": "application/x-image",
                "mode": "OUTPUT",
                "data": encoded,
                "encoding": "BASE64",
            },
        },
    ]
    assert [line["eventMetadata"] for line in captured] == [
        {},
        {"customAttributes": ["trace=1"], "inferenceId": "mine-7"},
        {},
    ]
    assert all(line["eventVersion"] == "0" and len(line) == 3 for line in captured)


def test_without_listed_types_all_is_base64_and_one_side_can_be_left_out(hosting: Hosting) -> None:
    allow_writing(hosting, "elsewhere")
    capture = capturing(
        hosting, CaptureOptions=[{"CaptureMode": "Output"}], DestinationS3Uri=f"s3://{hosting.bucket}/elsewhere/"
    )
    del capture["CaptureContentTypeHeader"], capture["EnableCapture"]
    endpoint = endpoint_of(hosting, capture)
    hosting.invoke(endpoint, "{}", ContentType="application/json", Accept="application/json")
    hosting.delete(endpoint)
    (line,) = lines(hosting, "elsewhere/")
    assert line["captureData"] == {
        "endpointOutput": {
            "observedContentType": "application/json",
            "mode": "OUTPUT",
            "data": base64.b64encode(b"{}").decode(),
            "encoding": "BASE64",
        }
    }


def test_the_endpoint_says_what_it_captures(hosting: Hosting) -> None:
    allow_writing(hosting, "captured")
    endpoint = endpoint_of(hosting, capturing(hosting, InitialSamplingPercentage=0, KmsKeyId="alias/mine"))
    hosting.invoke(endpoint, "not sampled")
    assert hosting.settled(endpoint)["DataCaptureConfig"] == {
        "EnableCapture": True,
        "CaptureStatus": "Started",
        "CurrentSamplingPercentage": 0,
        "DestinationS3Uri": f"s3://{hosting.bucket}/captured",
        "KmsKeyId": "alias/mine",
    }
    described = hosting.sagemaker.describe_endpoint_config(EndpointConfigName=endpoint)
    assert described["DataCaptureConfig"] == capturing(hosting, InitialSamplingPercentage=0, KmsKeyId="alias/mine")

    model = described["ProductionVariants"][0]["ModelName"]
    for name, capture, invoked in (
        ("on", capturing(hosting), "taken"),
        ("off", capturing(hosting, EnableCapture=False), "disabled"),
    ):
        config = configured(hosting, name, model, capture)
        hosting.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
        status = hosting.settled(endpoint)["DataCaptureConfig"]
        assert (status["CaptureStatus"], status["KmsKeyId"]) == ("Started" if name == "on" else "Stopped", "")
        hosting.invoke(endpoint, invoked, ContentType="text/csv")
    hosting.delete(endpoint)
    assert inputs(lines(hosting)) == ["taken"]


def test_the_new_configuration_decides_what_is_captured_also_when_variants_keep_their_properties(
    hosting: Hosting,
) -> None:
    allow_writing(hosting, "captured", "other")
    endpoint = endpoint_of(hosting, capturing(hosting))
    model = hosting.sagemaker.describe_endpoint_config(EndpointConfigName=endpoint)["ProductionVariants"][0]
    hosting.invoke(endpoint, "first", ContentType="text/csv")
    other = capturing(hosting, DestinationS3Uri=f"s3://{hosting.bucket}/other")
    hosting.sagemaker.update_endpoint(
        EndpointName=endpoint,
        EndpointConfigName=configured(hosting, "other", model["ModelName"], other),
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DataCaptureConfig"}],
    )
    assert hosting.settled(endpoint)["DataCaptureConfig"]["DestinationS3Uri"] == f"s3://{hosting.bucket}/other"
    hosting.invoke(endpoint, "second", ContentType="text/csv")
    # What was captured before is delivered when it is replaced, without the end of the endpoint.
    assert wait_for(lambda: inputs(lines(hosting))) == ["first"]
    hosting.delete(endpoint)
    assert inputs(lines(hosting, "other/")) == ["second"]


def test_a_role_that_may_not_write_is_told_in_the_log_and_the_endpoint_answers(hosting: Hosting) -> None:
    endpoint = endpoint_of(hosting, capturing(hosting), answering("x"))
    assert hosting.invoke(endpoint, "a") == "x"
    assert hosting.invoke(endpoint, "b") == "x"
    hosting.delete(endpoint)
    assert lines(hosting) == []
    events = hosting.cloud.client("logs").filter_log_events(
        logGroupName=f"/aws/sagemaker/Endpoints/{endpoint}", logStreamNamePrefix="AllTraffic/data-capture"
    )["events"]
    (said,) = [event["message"] for event in events]
    assert said.startswith(f"Data capture: 2 invocation(s) could not be written to s3://{hosting.bucket}/captured/")
    assert "is not authorized to perform: s3:PutObject" in said


def test_a_bucket_that_is_not_there_is_told_in_the_log(hosting: Hosting) -> None:
    allow_writing(hosting, "*")
    gone = capturing(hosting, DestinationS3Uri=f"s3://{hosting.bucket}-gone/x")
    policy = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}
    hosting.cloud.client("iam").put_role_policy(
        RoleName=hosting.prefix,
        PolicyName="writing",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [policy]}),
    )
    endpoint = endpoint_of(hosting, gone)
    hosting.invoke(endpoint, "a")
    hosting.delete(endpoint)
    events = hosting.cloud.client("logs").filter_log_events(logGroupName=f"/aws/sagemaker/Endpoints/{endpoint}")
    assert any("(NoSuchBucket: " in event["message"] for event in events["events"])


def test_a_destination_that_is_no_address_of_s3_is_refused(hosting: Hosting) -> None:
    model = hosting.model("e", ECHO)
    with pytest.raises(ClientError, match=r"Invalid DestinationS3Uri 'https://example\.com/x'"):
        configured(hosting, "e", model, capturing(hosting, DestinationS3Uri="https://example.com/x"))


def test_files_are_delivered_while_the_endpoint_serves(fast_cloud: CloudProcess) -> None:
    hosting = Hosting(fast_cloud)
    allow_writing(hosting, "captured")
    endpoint = endpoint_of(hosting, capturing(hosting))
    hosting.invoke(endpoint, "1", ContentType="text/csv")
    assert wait_for(lambda: inputs(lines(hosting))) == ["1"]
    hosting.invoke(endpoint, "2", ContentType="text/csv")
    wait_for(lambda: inputs(lines(hosting)) == ["1", "2"])
    assert len(files(hosting)) == 2


@pytest.mark.parametrize("kill", [False, True])
def test_what_was_captured_survives_the_end_of_the_server(own_cloud: CloudProcess, kill: bool) -> None:
    hosting = Hosting(own_cloud)
    allow_writing(hosting, "captured")
    endpoint = endpoint_of(hosting, capturing(hosting))
    asked = [f"{number}" for number in range(20)]
    for body in asked:
        hosting.invoke(endpoint, body, ContentType="text/csv")
    if kill:
        wait_for(lambda: _written(own_cloud) == len(asked))
    own_cloud.restart(kill=kill)
    # One that was stopped has delivered by itself: there is nothing left for the next one.
    found: Callable[[], list[str]] = lambda: inputs(lines(hosting))  # noqa: E731
    assert (wait_for(found) if kill else found()) == sorted(asked)
    hosting.invoke(endpoint, "after", ContentType="text/csv")
    hosting.delete(endpoint)
    assert inputs(lines(hosting)) == sorted([*asked, "after"])


def _written(cloud: CloudProcess) -> int:
    """The lines that have been written down on this machine."""
    folder: Path = cloud.data_dir / "sagemaker" / "captures"
    return sum(len(path.read_bytes().splitlines()) for path in folder.glob("*/events.jsonl"))
