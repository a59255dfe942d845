"""Requests signed by real clients are let in; whatever was changed, late or signed with something else is not."""

from __future__ import annotations

import dataclasses
import re
import time
from typing import Any

import pytest

from sagehound.localcloud.errors import AwsError
from tests.wire.signing import ROOT, Keys, Signed, presigned, signed

WEIRD_KEY = "a b/ü+c=d~(1)'!*&?#%2F//x "
REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("sagemaker", "list_endpoints", {"NameContains": "a b"}),
    ("iam", "create_role", {"RoleName": "x", "AssumeRolePolicyDocument": '{"a": "b&c=d"}'}),
    ("sts", "get_caller_identity", {}),
    ("logs", "describe_log_groups", {}),
    ("cloudwatch", "list_metrics", {"Namespace": "a/b"}),
    ("lambda", "list_tags", {"Resource": "arn:aws:lambda:us-east-1:1:function:f"}),
    ("s3", "list_objects_v2", {"Bucket": "bkt", "Prefix": "a/ b&+ü", "Delimiter": "/"}),
    ("s3", "head_object", {"Bucket": "bkt", "Key": WEIRD_KEY}),
    ("s3", "put_object", {"Bucket": "bkt", "Key": WEIRD_KEY, "Body": b"x" * 70000, "Metadata": {"a_b": "c   d"}}),
    ("s3", "delete_objects", {"Bucket": "bkt", "Delete": {"Objects": [{"Key": WEIRD_KEY}]}}),
]


@pytest.mark.parametrize(("service", "method", "params"), REQUESTS, ids=lambda value: str(value)[:20])
def test_a_signed_request_is_its_callers(service: str, method: str, params: dict[str, Any]) -> None:
    found = signed(service, method, params).authenticate()
    assert found.caller == ROOT
    assert found.region == "us-east-1"


@pytest.mark.parametrize(("service", "method", "params"), REQUESTS, ids=lambda value: str(value)[:20])
def test_another_secret_is_refused(service: str, method: str, params: dict[str, Any]) -> None:
    error = refusal(signed(service, method, params, secret="guess"))
    expected = "SignatureDoesNotMatch" if service in ("s3", "iam", "sts") else "InvalidSignatureException"
    assert error.code == expected
    assert error.status == (400 if service in ("sagemaker", "logs", "cloudwatch") else 403)


def refusal(request: Signed, keys: Keys | None = None, now: float | None = None) -> AwsError:
    with pytest.raises(AwsError) as caught:
        request.authenticate(keys, now)
    return caught.value


PUT = ("s3", "put_object", {"Bucket": "bkt", "Key": "k", "Body": b"x", "Metadata": {"a": "b"}})


@pytest.mark.parametrize(
    "change",
    [
        {"url": "http://127.0.0.1:4566/bkt/other"},
        {"url": "http://127.0.0.1:4566/bkt/k?acl"},
        {"method": "DELETE"},
    ],
    ids=lambda change: str(change),
)
def test_a_changed_request_is_refused(change: dict[str, Any]) -> None:
    assert refusal(dataclasses.replace(signed(*PUT), **change)).code == "SignatureDoesNotMatch"


def test_a_changed_header_is_refused() -> None:
    request = signed(*PUT)
    request.headers["x-amz-meta-a"] = "c"
    assert refusal(request).code == "SignatureDoesNotMatch"


def test_an_added_amz_header_is_refused() -> None:
    request = signed(*PUT)
    request.headers["x-amz-acl"] = "public-read"
    error = refusal(request)
    assert (error.code, error.members) == ("AccessDenied", {"HeadersNotSigned": "x-amz-acl"})


def test_a_changed_json_body_is_refused() -> None:
    request = signed("sagemaker", "delete_endpoint", {"EndpointName": "one"})
    changed = dataclasses.replace(request, body=request.body.replace(b"one", b"two"))
    assert refusal(changed).code == "InvalidSignatureException"


def test_a_changed_s3_body_is_refused() -> None:
    request = signed("s3", "delete_objects", {"Bucket": "bkt", "Delete": {"Objects": [{"Key": "one"}]}})
    changed = dataclasses.replace(request, body=request.body.replace(b"one", b"two"))
    assert refusal(changed).code == "XAmzContentSHA256Mismatch"


@pytest.mark.parametrize(
    ("service", "method", "code", "status"),
    [
        ("s3", "list_buckets", "InvalidAccessKeyId", 403),
        ("sts", "get_caller_identity", "InvalidClientTokenId", 403),
        ("sagemaker", "list_endpoints", "UnrecognizedClientException", 400),
    ],
)
def test_an_unknown_key_is_refused_in_the_words_of_the_service(
    service: str, method: str, code: str, status: int
) -> None:
    keys = Keys()
    keys.credential = dataclasses.replace(keys.credential, access_key_id="AKIDOTHER")
    error = refusal(signed(service, method, {}), keys)
    assert (error.code, error.status) == (code, status)


@pytest.mark.parametrize(
    ("service", "method", "code"),
    [
        ("s3", "list_buckets", "RequestTimeTooSkewed"),
        ("sts", "get_caller_identity", "SignatureDoesNotMatch"),
        ("sagemaker", "list_endpoints", "InvalidSignatureException"),
    ],
)
@pytest.mark.parametrize("seconds", [-901, 902])
def test_sixteen_minutes_of_skew_are_refused(service: str, method: str, code: str, seconds: int) -> None:
    request = signed(service, method, {})
    request.authenticate(now=time.time() + seconds * 0.98)
    error = refusal(request, now=time.time() + seconds)
    assert error.code == code
    if service != "s3":
        assert error.message.startswith("Signature expired" if seconds > 0 else "Signature not yet current")


def test_a_scope_of_another_service_is_refused_whatever_the_route_says() -> None:
    request = signed("sagemaker", "list_endpoints", {})
    assert "/us-east-1/sagemaker/" in str(request.headers["Authorization"])
    logs = signed("logs", "describe_log_groups", {})
    request.headers["X-Amz-Target"] = logs.headers["X-Amz-Target"]
    error = refusal(request)
    assert (error.code, error.message) == (
        "InvalidSignatureException",
        "Credential should be scoped to correct service: 'logs'.",
    )


def test_the_signature_of_a_streamed_json_body_is_verified_at_its_end() -> None:
    params = {"EndpointName": "e", "Body": b"picture", "ContentType": "image/jpeg"}
    check = signed("sagemaker-runtime", "invoke_endpoint", params).authenticate().payload
    other = dataclasses.replace(signed("sagemaker-runtime", "invoke_endpoint", params, secret="guess"))
    assert check.at_end is not None
    import hashlib

    check.at_end(hashlib.sha256(b"picture").hexdigest())
    with pytest.raises(AwsError, match="InvalidSignatureException"):
        check.at_end(hashlib.sha256(b"Picture").hexdigest())
    wrong = other.authenticate().payload.at_end
    assert wrong is not None
    with pytest.raises(AwsError, match="InvalidSignatureException"):
        wrong(hashlib.sha256(b"picture").hexdigest())


class TestSessionTokens:
    def test_a_session_needs_its_token(self) -> None:
        keys = Keys(session_token="token")
        signed("s3", "list_buckets", {}, session_token="token").authenticate(keys)
        assert refusal(signed("s3", "list_buckets", {}), keys).code == "InvalidToken"
        assert refusal(signed("s3", "list_buckets", {}, session_token="other"), keys).code == "InvalidToken"
        assert refusal(signed("sts", "get_caller_identity", {}), keys).code == "InvalidClientTokenId"
        assert refusal(signed("sagemaker", "list_endpoints", {}), keys).code == "UnrecognizedClientException"

    def test_a_long_term_key_has_no_token(self) -> None:
        assert refusal(signed("s3", "list_buckets", {}, session_token="made-up")).code == "InvalidToken"

    @pytest.mark.parametrize(
        ("service", "method", "code"),
        [
            ("s3", "list_buckets", "ExpiredToken"),
            ("sts", "get_caller_identity", "ExpiredToken"),
            ("sagemaker", "list_endpoints", "ExpiredTokenException"),
        ],
    )
    def test_an_expired_session_is_refused(self, service: str, method: str, code: str) -> None:
        keys = Keys(session_token="token", expiration=time.time() - 1)
        assert refusal(signed(service, method, {}, session_token="token"), keys).code == code


class TestUnsigned:
    @pytest.mark.parametrize(
        ("service", "method", "code", "status"),
        [
            ("s3", "list_buckets", "AccessDenied", 403),
            ("sts", "get_caller_identity", "MissingAuthenticationToken", 403),
            ("sagemaker", "list_endpoints", "MissingAuthenticationTokenException", 403),
        ],
    )
    def test_nobody_is_refused(self, service: str, method: str, code: str, status: int) -> None:
        request = signed(service, method, {})
        del request.headers["Authorization"]
        error = refusal(request)
        assert (error.code, error.status) == (code, status)

    def test_a_broken_authorization_is_refused(self) -> None:
        request = signed("s3", "list_buckets", {})
        request.headers["Authorization"] = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/x, SignedHeaders=host, Signature=0"
        assert refusal(request).code == "AuthorizationHeaderMalformed"
        request.headers["Authorization"] = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE"
        assert refusal(request).code == "AuthorizationHeaderMalformed"


@pytest.mark.parametrize("version", ["s3v4", "s3"])
@pytest.mark.parametrize("style", ["path", "virtual"])
class TestPresigned:
    def get(self, version: str, style: str, **options: Any) -> Signed:
        if style == "virtual":
            options["endpoint"] = "http://s3.localhost:4566"
        params = {"Bucket": "bkt", "Key": WEIRD_KEY, "ResponseContentType": "image/jpeg", "VersionId": "null"}
        return presigned("get_object", params, version=version, addressing_style=style, **options)

    def test_the_url_lets_its_bearer_in(self, version: str, style: str) -> None:
        request = self.get(version, style)
        assert request.authenticate().caller == ROOT
        assert request.route().uri_params == {"Bucket": "bkt", "Key": WEIRD_KEY}

    def test_an_upload_url_lets_its_bearer_in(self, version: str, style: str) -> None:
        params = {"Bucket": "bkt", "Key": WEIRD_KEY}
        request = presigned("put_object", params, version=version, verb="PUT")
        assert request.authenticate().caller == ROOT

    def test_it_is_good_for_its_method_key_and_query_only(self, version: str, style: str) -> None:
        request = self.get(version, style)
        assert refusal(dataclasses.replace(request, method="PUT")).code == "SignatureDoesNotMatch"
        for old, new in (("/x%20?", "/y%20?"), ("image%2Fjpeg", "text%2Fhtml"), ("versionId=null", "versionId=1")):
            assert old in request.url
            assert refusal(dataclasses.replace(request, url=request.url.replace(old, new))).code == (
                "SignatureDoesNotMatch"
            )

    def test_a_subresource_in_disguise_is_refused(self, version: str, style: str) -> None:
        request = self.get(version, style)
        for hidden in ("%61cl", "tagging", "upload%49d=x"):
            changed = dataclasses.replace(request, url=f"{request.url}&{hidden}")
            assert changed.route().operation != "GetObject"
            assert refusal(changed).code == "SignatureDoesNotMatch"

    def test_an_unsigned_digest_of_the_body_does_not_matter(self, version: str, style: str) -> None:
        request = presigned("put_object", {"Bucket": "bkt", "Key": "k"}, version=version, verb="PUT")
        request.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
        if version == "s3v4":
            request.authenticate()
        else:
            assert refusal(request).code == "SignatureDoesNotMatch"

    def test_it_ends(self, version: str, style: str) -> None:
        request = self.get(version, style, expires=60)
        request.authenticate(now=time.time() + 55)
        error = refusal(request, now=time.time() + 65)
        assert (error.code, error.message, error.status) == ("AccessDenied", "Request has expired", 403)

    def test_it_cannot_be_made_to_last(self, version: str, style: str) -> None:
        request = self.get(version, style, expires=60)
        name = "X-Amz-Expires=60" if version == "s3v4" else "Expires="
        assert name in request.url
        longer = request.url.replace("X-Amz-Expires=60", "X-Amz-Expires=600").replace("&Expires=1", "&Expires=2")
        assert longer != request.url
        assert refusal(dataclasses.replace(request, url=longer)).code == "SignatureDoesNotMatch"

    def test_another_secret_is_refused(self, version: str, style: str) -> None:
        assert refusal(self.get(version, style, secret="guess")).code == "SignatureDoesNotMatch"

    def test_a_session_puts_its_token_into_the_url(self, version: str, style: str) -> None:
        keys = Keys(session_token="a/token+=")
        self.get(version, style, session_token="a/token+=").authenticate(keys)
        assert refusal(self.get(version, style), keys).code == "InvalidToken"


def test_a_url_for_more_than_a_week_is_refused() -> None:
    request = presigned("get_object", {"Bucket": "b", "Key": "k"}, version="s3v4", expires=604801)
    error = refusal(request)
    assert (error.code, error.status) == ("AuthorizationQueryParametersError", 400)
    assert "604800" in error.message


def test_a_plus_does_not_take_the_place_of_its_signed_escape() -> None:
    request = signed("s3", "list_objects_v2", {"Bucket": "bkt", "Prefix": "a+b"})
    assert "a%2Bb" in request.url
    changed = dataclasses.replace(request, url=request.url.replace("%2B", "+"))
    assert refusal(changed).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("subresource", ["legal-hold", "retention", "encryption"])
def test_an_old_signature_is_not_good_for_what_it_leaves_out(subresource: str) -> None:
    url = presigned("put_object", {"Bucket": "bkt", "Key": "k"}, version="s3").url
    changed = Signed("PUT", f"{url}&{subresource}", {}, b"")
    assert refusal(changed).code == "AccessDenied"


def test_an_old_url_from_before_all_time_has_expired() -> None:
    request = presigned("get_object", {"Bucket": "bkt", "Key": "k"}, version="s3")
    changed = dataclasses.replace(request, url=re.sub(r"Expires=\d+", "Expires=-99999999999999999999", request.url))
    assert refusal(changed).code == "AccessDenied"


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_two_signatures_are_one_too_many(version: str) -> None:
    request = presigned("get_object", {"Bucket": "bkt", "Key": "k"}, version=version)
    request.headers["authorization"] = signed("s3", "list_buckets", {}).headers["Authorization"]
    error = refusal(request)
    assert error.code == "InvalidArgument"
    assert error.message.startswith("Only one auth mechanism allowed")
