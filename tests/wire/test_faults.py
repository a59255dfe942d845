"""Refusals as real clients read them: class, code, status, message and members, in every protocol."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
from botocore.exceptions import ClientError

from sagehound.localcloud.call import HttpRequest
from sagehound.localcloud.errors import AwsError, not_implemented
from sagehound.localcloud.wire import protocol
from tests.wire.harness import client, http_request


def refused(service: str, method: str, params: dict[str, Any], error: AwsError) -> tuple[Any, ClientError]:
    """What a client makes of `error`; its exceptions come along."""

    def answer(http: HttpRequest, body: bytes) -> protocol.WireResponse:
        route = protocol.identify(http, body if protocol.needs_body(http) else None)
        return protocol.serialise_error(route, http, error, "the-request-id")

    made = client(service, answer)
    with pytest.raises(ClientError) as caught:
        getattr(made, method)(**params)
    assert caught.value.response["ResponseMetadata"]["RequestId"] == "the-request-id"
    return made.exceptions, caught.value


@pytest.mark.parametrize(
    ("service", "method", "params", "code", "name", "status"),
    [
        ("sagemaker", "delete_endpoint", {"EndpointName": "e"}, "ResourceInUse", "ResourceInUse", 400),
        ("logs", "describe_log_groups", {}, "ResourceNotFoundException", "ResourceNotFoundException", 400),
        ("iam", "get_role", {"RoleName": "r"}, "NoSuchEntity", "NoSuchEntityException", 404),
        ("sts", "get_caller_identity", {}, "ExpiredTokenException", "ExpiredTokenException", 400),
        ("s3", "get_object", {"Bucket": "bkt", "Key": "k"}, "NoSuchKey", "NoSuchKey", 404),
        ("s3", "create_bucket", {"Bucket": "bkt"}, "BucketAlreadyExists", "BucketAlreadyExists", 409),
        ("cloudwatch", "list_metrics", {}, "InvalidParameterValue", "InvalidParameterValueException", 400),
        (
            "lambda",
            "get_function",
            {"FunctionName": "f"},
            "ResourceNotFoundException",
            "ResourceNotFoundException",
            404,
        ),
    ],
)
def test_the_error_is_of_its_class_with_the_modelled_status(
    service: str, method: str, params: dict[str, Any], code: str, name: str, status: int
) -> None:
    exceptions, error = refused(service, method, params, AwsError(code, 'said <so> & "so"'))
    assert isinstance(error, getattr(exceptions, name))
    assert error.response["Error"]["Code"] == code
    assert error.response["Error"]["Message"] == 'said <so> & "so"'
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_a_model_error_tells_what_the_container_said() -> None:
    members = {"OriginalStatusCode": 500, "OriginalMessage": "boom", "LogStreamArn": "arn:aws:logs:x"}
    params = {"EndpointName": "e", "Body": b""}
    exceptions, error = refused(
        "sagemaker-runtime", "invoke_endpoint", params, AwsError("ModelError", "Received 500", members=members)
    )
    assert isinstance(error, exceptions.ModelError)
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert {name: error.response[name] for name in members} == members
    assert error.response["Error"]["Message"] == "Received 500"


def test_a_status_of_its_own_stays() -> None:
    _, error = refused("sagemaker", "list_models", {}, AwsError("ThrottlingException", "slow down", 429))
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 429


def test_s3_tells_what_it_is_about() -> None:
    params = {"Bucket": "bkt", "Key": "k"}
    error = AwsError("NoSuchKey", "The specified key does not exist.", 404, members={"Key": "a<b"})
    _, found = refused("s3", "get_object", params, error)
    assert found.response["Error"]["Key"] == "a<b"


def test_the_answer_to_head_has_no_body() -> None:
    http = http_request("HEAD", "http://127.0.0.1:4566/bkt/k", {})
    response = protocol.serialise_error(protocol.identify(http), http, AwsError("NoSuchKey", "x", 404), "id")
    assert (response.status, response.body) == (404, b"")


@pytest.mark.parametrize(
    ("method", "url", "headers", "start"),
    [
        ("POST", "/", {"x-amz-target": "Coffee.Make"}, b'{"__type": "Nope"'),
        ("POST", "/", {"content-type": "application/x-www-form-urlencoded"}, b"<ErrorResponse>"),
        ("PATCH", "/bkt", {}, b"<?xml"),
        (
            "POST",
            "/service/Coffee/operation/Make",
            {"smithy-protocol": "rpc-v2-cbor"},
            cbor2.dumps({"__type": "Nope"})[1:],
        ),
    ],
)
def test_a_request_without_a_route_is_refused_in_the_protocol_it_looks_like(
    method: str, url: str, headers: dict[str, str], start: bytes
) -> None:
    http = http_request(method, f"http://127.0.0.1:4566{url}", headers)
    response = protocol.serialise_error(None, http, AwsError("Nope", "no"), "id", {"x-extra": "1"})
    assert isinstance(response.body, bytes)
    assert start in response.body
    assert ("x-extra", "1") in response.headers


def test_a_missing_operation_is_named() -> None:
    _, error = refused("sagemaker", "list_apps", {}, not_implemented("sagemaker", "ListApps"))
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert "sagemaker:ListApps" in error.response["Error"]["Message"]
