"""Which operation of which service a request is for."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.wire import protocol
from sagehound.localcloud.wire.route import guess_protocol
from tests.wire.harness import http_request
from tests.wire.signing import presigned, signed

LOCAL = "http://127.0.0.1:4566"
FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}


def route(method: str, url: str, headers: dict[str, str] | None = None, body: bytes = b"") -> protocol.Route:
    http = http_request(method, url, headers or {}, body)
    return protocol.identify(http, body if protocol.needs_body(http) else None)


@pytest.mark.parametrize(
    ("method", "url", "headers", "body", "service", "operation", "kind"),
    [
        ("POST", "/", {"x-amz-target": "SageMaker.ListModels"}, b"{}", "sagemaker", "ListModels", "json"),
        ("POST", "/", {"x-amz-target": "Logs_20140328.PutLogEvents"}, b"{}", "logs", "PutLogEvents", "json"),
        ("POST", "/", {"x-amz-target": "AmazonSSM.GetParameter"}, b"{}", "ssm", "GetParameter", "json"),
        (
            "POST",
            "/",
            {"x-amz-target": "AnyScaleFrontendService.PutScalingPolicy"},
            b"{}",
            "application-autoscaling",
            "PutScalingPolicy",
            "json",
        ),
        (
            "POST",
            "/",
            {"x-amz-target": "GraniteServiceVersion20100801.PutMetricData"},
            b"{}",
            "cloudwatch",
            "PutMetricData",
            "json",
        ),
        (
            "POST",
            "/service/GraniteServiceVersion20100801/operation/ListMetrics",
            {"smithy-protocol": "rpc-v2-cbor"},
            b"",
            "cloudwatch",
            "ListMetrics",
            "smithy-rpc-v2-cbor",
        ),
        ("POST", "/", FORM, b"Action=ListMetrics&Version=2010-08-01", "cloudwatch", "ListMetrics", "query"),
        ("POST", "/", FORM, b"Action=GetCallerIdentity&Version=2011-06-15", "sts", "GetCallerIdentity", "query"),
        ("POST", "/", FORM, b"Version=2010-05-08&Action=ListRoles", "iam", "ListRoles", "query"),
        ("GET", "/?Action=GetCallerIdentity&Version=2011-06-15", {}, b"", "sts", "GetCallerIdentity", "query"),
        ("POST", "/", FORM, b"Action=RunInstances&Version=2016-11-15", "ec2", "RunInstances", "ec2"),
        ("POST", "/endpoints/dogs/invocations", {}, b"x", "sagemaker-runtime", "InvokeEndpoint", "rest-json"),
        ("POST", "/2015-03-31/functions/f/invocations", {}, b"{}", "lambda", "Invoke", "rest-json"),
        ("GET", "/", {}, b"", "s3", "ListBuckets", "rest-xml"),
        ("GET", "/bucket?list-type=2&prefix=a", {}, b"", "s3", "ListObjectsV2", "rest-xml"),
        ("GET", "/bucket/?versions", {}, b"", "s3", "ListObjectVersions", "rest-xml"),
        ("PUT", "/bucket/key?partNumber=1&uploadId=u", {}, b"", "s3", "UploadPart", "rest-xml"),
        (
            "PUT",
            "/bucket/key?partNumber=1&uploadId=u",
            {"x-amz-copy-source": "b/k"},
            b"",
            "s3",
            "UploadPartCopy",
            "rest-xml",
        ),
        ("PUT", "/bucket/key", {"x-amz-copy-source": "b/k"}, b"", "s3", "CopyObject", "rest-xml"),
        ("GET", "/bucket/key?uploadId=u", {}, b"", "s3", "ListParts", "rest-xml"),
        ("POST", "/bucket?delete", {}, b"", "s3", "DeleteObjects", "rest-xml"),
        ("PUT", "/bucket/key?tagging", {}, b"", "s3", "PutObjectTagging", "rest-xml"),
        ("GET", "/bucket?lifecycle", {}, b"", "s3", "GetBucketLifecycleConfiguration", "rest-xml"),
        ("POST", "/bucket", {"content-type": "multipart/form-data; boundary=x"}, b"", "s3", "PostObject", "rest-xml"),
        ("OPTIONS", "/bucket/key", {"origin": "http://a"}, b"", "s3", "OptionsObject", "rest-xml"),
        # A bucket may be called what other services call their paths.
        ("GET", "/endpoints/dogs/invocations", {}, b"", "s3", "GetObject", "rest-xml"),
        ("PUT", "/2015-03-31/functions.zip", {}, b"", "s3", "PutObject", "rest-xml"),
    ],
)
def test_a_request_is_recognised(
    method: str, url: str, headers: dict[str, str], body: bytes, service: str, operation: str, kind: str
) -> None:
    found = route(method, LOCAL + url, headers, body)
    assert (found.service, found.operation, found.protocol) == (service, operation, kind)
    if service != "s3":
        guessed = guess_protocol(http_request(method, LOCAL + url, headers, body))
        assert guessed == ("query" if kind == "ec2" else kind)


@pytest.mark.parametrize(
    ("method", "url", "headers", "body", "code"),
    [
        ("POST", "/", {"x-amz-target": "SageMaker.MakeCoffee"}, b"{}", "UnknownOperationException"),
        ("POST", "/", {"x-amz-target": "Coffee.Make"}, b"{}", "UnknownOperationException"),
        ("POST", "/", FORM, b"Action=MakeCoffee&Version=2010-05-08", "InvalidAction"),
        (
            "POST",
            "/service/Coffee/operation/Make",
            {"smithy-protocol": "rpc-v2-cbor"},
            b"",
            "UnknownOperationException",
        ),
        ("POST", "/bucket/key", {}, b"", "MethodNotAllowed"),
        ("PATCH", "/bucket", {}, b"", "MethodNotAllowed"),
        ("GET", "/bucket/%ff%fe", {}, b"", "InvalidURI"),
    ],
)
def test_what_nobody_has_is_refused(method: str, url: str, headers: dict[str, str], body: bytes, code: str) -> None:
    with pytest.raises(AwsError) as caught:
        route(method, LOCAL + url, headers, body)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("host", "bucket"),
    [
        ("127.0.0.1:4566", None),
        ("localhost:4566", None),
        ("s3.localhost:4566", None),
        ("s3.amazonaws.com", None),
        ("s3.eu-west-1.amazonaws.com", None),
        ("s3-eu-west-1.amazonaws.com", None),
        ("s3.dualstack.us-west-2.amazonaws.com", None),
        ("bkt.localhost:4566", "bkt"),
        ("my.bkt.localhost", "my.bkt"),
        ("bkt.s3.localhost:4566", "bkt"),
        ("my.bkt.s3.us-east-1.localhost", "my.bkt"),
        ("bkt.s3.amazonaws.com", "bkt"),
        ("my.bkt.s3.us-west-2.amazonaws.com", "my.bkt"),
        ("bkt.s3-us-west-2.amazonaws.com:443", "bkt"),
        ("bkt.s3.dualstack.us-west-2.amazonaws.com", "bkt"),
    ],
)
def test_the_host_may_name_the_bucket(host: str, bucket: str | None) -> None:
    found = route("GET", f"{LOCAL}/one/two", {"host": host})
    expected = {"Bucket": "one", "Key": "two"} if bucket is None else {"Bucket": bucket, "Key": "one/two"}
    assert found.uri_params == expected


KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@settings(max_examples=150, deadline=None)
@given(key=KEYS | st.sampled_from(["/", "//", "a//b", "/a", "a/", "a b", "a+b", "%2F", "a%20b", "..", "./a", "?x#y"]))
def test_a_key_arrives_as_it_was_sent(key: str) -> None:
    encoded = quote(key.encode(), safe="-_.~/")
    assert route("PUT", f"{LOCAL}/bucket/{encoded}").uri_params == {"Bucket": "bucket", "Key": key}
    assert route("GET", f"{LOCAL}/{encoded}", {"host": "bkt.s3.localhost"}).uri_params == {"Bucket": "bkt", "Key": key}
    entirely = quote(key.encode(), safe="")
    assert route("GET", f"{LOCAL}/bucket/{entirely}").uri_params == {"Bucket": "bucket", "Key": key}


@pytest.mark.parametrize("key", ["a b/ü+c=d~(1)'!*&?#%2F//x ", "/lead", "trail/", "a//b", "%2F", "100%", "日本/犬.jpg"])
@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_a_real_clients_key_arrives_as_it_was_given(key: str, version: str) -> None:
    params: dict[str, Any] = {"Bucket": "bkt", "Key": key}
    for request in (signed("s3", "head_object", params), presigned("get_object", params, version=version)):
        assert request.route().uri_params == params
        request.authenticate()
