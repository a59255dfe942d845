"""What AWS's model refuses is refused in AWS's words; what it takes is taken."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.wire import codec, patterns, protocol
from sagehound.localcloud.wire.validate import validate
from tests.wire.harness import http_request

TARGETS = {"sagemaker": "SageMaker", "logs": "Logs_20140328", "cloudwatch": "GraniteServiceVersion20100801"}


def outcome(service: str, operation: str, params: dict[str, Any]) -> AwsError | None:
    """The refusal of a JSON request, None when it is taken."""
    body = json.dumps(params).encode()
    headers = {"x-amz-target": f"{TARGETS[service]}.{operation}", "content-type": "application/x-amz-json-1.1"}
    http = http_request("POST", "http://127.0.0.1:4566/", headers, body)
    route = protocol.identify(http)
    try:
        validate(route, protocol.parse(route, http, body))
    except AwsError as error:
        return error
    return None


def training_job(**changes: Any) -> dict[str, Any]:
    """The least that CreateTrainingJob takes, changed."""
    job = {
        "TrainingJobName": "job",
        "AlgorithmSpecification": {"TrainingInputMode": "File", "TrainingImage": "image"},
        "RoleArn": "arn:aws:iam::123456789012:role/service-role/x",
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/prefix"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    return {name: value for name, value in {**job, **changes}.items() if value is not None}


def test_the_least_is_taken() -> None:
    assert outcome("sagemaker", "CreateTrainingJob", training_job()) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"TrainingJobName": "bad name!!"},
            "Value 'bad name!!' at 'trainingJobName' failed to satisfy constraint: Member must satisfy regular "
            "expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}",
        ),
        (
            {"TrainingJobName": "a" * 64},
            f"Value '{'a' * 64}' at 'trainingJobName' failed to satisfy constraint: Member must have length less than "
            "or equal to 63",
        ),
        (
            {"RoleArn": None},
            "Value null at 'roleArn' failed to satisfy constraint: Member must not be null",
        ),
        (
            {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": -1, "VolumeSizeInGB": 30}},
            "Value '-1' at 'resourceConfig.instanceCount' failed to satisfy constraint: Member must have value greater "
            "than or equal to 0",
        ),
        (
            {"InputDataConfig": [{"ChannelName": "a b", "DataSource": {}}]},
            "Value 'a b' at 'inputDataConfig.1.member.channelName' failed to satisfy constraint: Member must satisfy "
            "regular expression pattern: [A-Za-z0-9\\.\\-_]+",
        ),
    ],
)
def test_one_mistake_is_told(changes: dict[str, Any], words: str) -> None:
    error = outcome("sagemaker", "CreateTrainingJob", training_job(**changes))
    assert error is not None
    assert (error.code, error.status) == ("ValidationException", 400)
    assert error.message == f"1 validation error detected: {words}"


def test_an_unknown_enum_value_is_told_with_those_that_are_known() -> None:
    wrong = {"TrainingInputMode": "Carrier pigeon", "TrainingImage": "image"}
    error = outcome("sagemaker", "CreateTrainingJob", training_job(AlgorithmSpecification=wrong))
    assert error is not None
    assert error.message.startswith(
        "1 validation error detected: Value 'Carrier pigeon' at 'algorithmSpecification.trainingInputMode' failed to "
        "satisfy constraint: Member must satisfy enum value set: ["
    )
    assert "FastFile" in error.message


def test_two_mistakes_are_told_together() -> None:
    error = outcome("sagemaker", "CreateTrainingJob", training_job(RoleArn=None, TrainingJobName="-"))
    assert error is not None
    assert error.message.startswith("2 validation errors detected: Value null at 'roleArn'")
    assert "; Value '-' at 'trainingJobName'" in error.message


@pytest.mark.parametrize(
    ("value", "words"),
    [(5, "NUMBER_VALUE can not be converted to a String"), ([], "START_ARRAY can not be converted to a String")],
)
def test_another_type_is_a_serialization_exception(value: Any, words: str) -> None:
    error = outcome("sagemaker", "CreateTrainingJob", training_job(TrainingJobName=value))
    assert error is not None
    assert (error.code, error.message) == ("SerializationException", words)


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b'{"TrainingJobName": }', b"\xff"])
def test_what_is_no_object_is_a_serialization_exception(body: bytes) -> None:
    http = http_request("POST", "http://127.0.0.1:4566/", {"x-amz-target": "SageMaker.DescribeTrainingJob"}, body)
    with pytest.raises(AwsError, match="SerializationException"):
        protocol.parse(protocol.identify(http), http, body)


def test_logs_has_a_code_of_its_own() -> None:
    error = outcome("logs", "CreateLogGroup", {"logGroupName": "a b"})
    assert error is not None
    assert error.code == "InvalidParameterException"
    error = outcome("cloudwatch", "PutMetricData", {"MetricData": []})
    assert error is not None
    assert error.code == "ValidationError"


def test_a_streamed_body_is_not_missing() -> None:
    http = http_request("POST", "http://127.0.0.1:4566/endpoints/e/invocations", {}, b"x")
    route = protocol.identify(http)
    assert route.streaming
    validate(route, protocol.parse(route, http, b""))


@pytest.mark.parametrize(
    ("pattern", "taken", "refused"),
    [
        (r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)", "Größe 5 = a/b", "a*b"),
        (r"\p{Alpha}{1,3}", "abc", "ab1"),
        (r"[ac]++b?", "acb", "b"),
        (r"[\w-_]*\z", "a-_", "a+"),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*", "a\U0001f415", "\x00"),
        (r"[\x{20}-\x{10FFFF}]+", "\U0001f415", "\x01"),
    ],
)
def test_javas_patterns_are_understood(pattern: str, taken: str, refused: str) -> None:
    found = patterns.compiled(pattern)
    assert found is not None
    assert found.fullmatch(taken)
    assert not found.fullmatch(refused)


def test_what_python_cannot_express_is_not_checked() -> None:
    assert patterns.compiled(r"[a-z&&[^b]]+") is None
    assert patterns.compiled(r"\p{IsGreek}+") is None


@pytest.mark.parametrize("service", ["sagemaker", "iam", "logs", "sts", "sagemaker-runtime"])
def test_nearly_all_patterns_of_a_service_are_checked(service: str) -> None:
    model = codec.service_model(service)
    found = {
        shape.metadata["pattern"] for shape in map(model.shape_for, model.shape_names) if "pattern" in shape.metadata
    }
    skipped = sorted(pattern for pattern in found if patterns.compiled(pattern) is None)
    assert len(skipped) <= len(found) * 0.02, skipped
