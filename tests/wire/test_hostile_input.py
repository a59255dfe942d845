"""Whatever arrives, the answer is AWS's refusal or an input that fits the model: never a fault of ours."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.wire import protocol
from sagehound.localcloud.wire.s3_route import hosted_bucket
from sagehound.localcloud.wire.validate import validate
from tests.wire.harness import http_request

LOCAL = "http://127.0.0.1:4566"
TRAINING_NAMES = [
    "TrainingJobName",
    "HyperParameters",
    "ResourceConfig",
    "InputDataConfig",
    "Tags",
    "StoppingCondition",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*TRAINING_NAMES, "ChannelName", "InstanceCount", "Key", "Value"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


def attempt(method: str, url: str, headers: dict[str, str], body: bytes) -> dict[str, Any] | AwsError:
    """What the wire makes of a request."""
    http = http_request(method, url, headers, body)
    try:
        route = protocol.identify(http, body if protocol.needs_body(http) else None)
        params = protocol.parse(route, http, body)
        validate(route, params)
    except AwsError as error:
        response = protocol.serialise_error(None, http, error, "id")
        assert response.status >= 400
        return error
    return params


@settings(max_examples=150, deadline=None)
@given(document=JSON)
def test_json_of_any_kind(document: Any) -> None:
    attempt("POST", LOCAL, {"x-amz-target": "SageMaker.CreateTrainingJob"}, json.dumps(document).encode())


@settings(max_examples=100, deadline=None)
@given(document=JSON)
def test_cbor_of_any_kind(document: Any) -> None:
    url = f"{LOCAL}/service/GraniteServiceVersion20100801/operation/PutMetricData"
    try:
        body = cbor2.dumps({"MetricData": document, "Namespace": document})
    except OverflowError:
        return
    attempt("POST", url, {"smithy-protocol": "rpc-v2-cbor"}, body)


@settings(max_examples=150, deadline=None)
@given(body=st.binary(max_size=60))
@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/", {"x-amz-target": "Logs_20140328.PutLogEvents"}),
        ("POST", "/", {"content-type": "application/x-www-form-urlencoded"}),
        ("POST", "/service/GraniteServiceVersion20100801/operation/PutMetricData", {}),
        ("POST", "/bkt?delete", {}),
        ("PUT", "/bkt?policy", {}),
        ("POST", "/2015-03-31/functions", {}),
    ],
)
def test_bytes_of_any_kind(method: str, path: str, headers: dict[str, str], body: bytes) -> None:
    attempt(method, LOCAL + path, headers, body)


@settings(max_examples=150, deadline=None)
@given(
    fields=st.dictionaries(
        st.sampled_from(
            [
                "Tags.member.1.Key",
                "Tags.member.1",
                "Tags",
                "MaxSessionDuration",
                "RoleName",
                "Path",
                "Tags.member.2.Value",
            ]
        ),
        st.text(max_size=8),
    )
)
def test_forms_of_any_kind(fields: dict[str, str]) -> None:
    body = urlencode({"Action": "CreateRole", "Version": "2010-05-08", **fields}).encode()
    attempt("POST", f"{LOCAL}/", {"content-type": "application/x-www-form-urlencoded"}, body)


@settings(max_examples=200, deadline=None)
@given(
    path=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20),
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS"]),
    headers=st.dictionaries(
        st.sampled_from(
            ["range", "x-amz-copy-source", "if-modified-since", "content-length", "x-amz-acl", "content-type"]
        ),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=10),
    ),
)
def test_paths_of_any_kind(path: str, method: str, headers: dict[str, str]) -> None:
    attempt(method, f"{LOCAL}/{path}", headers, b"")


@pytest.mark.parametrize("depth", [500, 100_000])
def test_nesting_without_end(depth: int) -> None:
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    attempt("POST", LOCAL, {"x-amz-target": "SageMaker.CreateTrainingJob"}, deep)
    assert isinstance(attempt("POST", f"{LOCAL}/bkt?delete", {}, b"<a>" * depth), AwsError)


def test_entities_do_not_unfold() -> None:
    lines = ['<!DOCTYPE a [<!ENTITY b0 "bbbbbbbbbb">']
    lines += [f'<!ENTITY b{n} "{f"&b{n - 1};" * 10}">' for n in range(1, 10)]
    body = ("".join(lines) + "]><Delete><Object><Key>&b9;</Key></Object></Delete>").encode()
    found = attempt("POST", f"{LOCAL}/bkt?delete", {}, body)
    assert isinstance(found, AwsError)
    assert found.code == "MalformedXML"


def test_a_list_is_not_made_of_letters() -> None:
    body = json.dumps({"EndpointName": "e", "RetainAllVariantProperties": "yes"}).encode()
    error = attempt("POST", LOCAL, {"x-amz-target": "SageMaker.UpdateEndpoint"}, body)
    assert isinstance(error, AwsError)
    assert (error.code, error.message) == ("SerializationException", "STRING_VALUE can not be converted to a Boolean")
    error = attempt("POST", LOCAL, {"x-amz-target": "SageMaker.AddTags"}, b'{"ResourceArn": "a", "Tags": "abc"}')
    assert isinstance(error, AwsError)
    assert error.message == "STRING_VALUE can not be converted to a List"


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_half_a_character_is_no_text(text: str) -> None:
    body = json.dumps({"logGroupName": "g", "logStreamName": text}).encode()
    error = attempt("POST", LOCAL, {"x-amz-target": "Logs_20140328.CreateLogStream"}, body)
    assert isinstance(error, AwsError)
    assert (error.code, error.message) == ("SerializationException", "A string is not Unicode text")


def test_a_number_above_all_doubles() -> None:
    body = b'{"Namespace": "n", "MetricData": [{"MetricName": "m", "Value": 1' + b"0" * 400 + b"}]}"
    error = attempt("POST", LOCAL, {"x-amz-target": "GraniteServiceVersion20100801.PutMetricData"}, body)
    assert isinstance(error, AwsError)
    assert error.code == "SerializationException"


def test_a_refusal_may_quote_what_is_no_text() -> None:
    http = http_request("POST", f"{LOCAL}/", {"content-type": "application/x-www-form-urlencoded"})
    for protocol_of in (None, protocol.identify(http, b"Action=GetUser&Version=2010-05-08")):
        answer = protocol.serialise_error(protocol_of, http, AwsError("Invalid", "not \ud800"), "id")
        assert b"not ?" in bytes(answer.body)  # type: ignore[arg-type]


def test_a_form_has_an_end() -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    error = attempt("POST", f"{LOCAL}/", form, b"a=1&" * 150_000)
    assert isinstance(error, AwsError)
    assert error.status == 413


def test_ten_thousand_fields_are_read_in_one_pass() -> None:
    """The parser below looked through all fields for each structure: a minute for 20,000 of them."""
    fields = [f"MetricData.member.{n}.{member}" for n in range(1, 10_001) for member in ("MetricName=m", "Value=1")]
    body = "&".join(["Action=PutMetricData", "Version=2010-08-01", "Namespace=n", *fields]).encode()
    params = attempt("POST", f"{LOCAL}/", {"content-type": "application/x-www-form-urlencoded"}, body)
    assert isinstance(params, dict)
    assert len(params["MetricData"]) == 10_000
    assert params["MetricData"][9_999] == {"MetricName": "m", "Value": 1.0}


def test_a_host_of_a_hundred_kilobytes_is_no_bucket() -> None:
    """The expression for hosted buckets took half a minute for it."""
    assert hosted_bucket("a.s3." * 20_000 + "!") is None
    assert hosted_bucket(f"{'b' * 63}.s3.eu-central-1.amazonaws.com") == "b" * 63
