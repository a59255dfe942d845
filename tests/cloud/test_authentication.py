"""Who is let in by the running server: the right callers, and nobody else, whatever is wrong with the request."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from tests.cloud.test_iam_users import refusal
from tests.cloud_process import CloudProcess

pytestmark = pytest.mark.local_only


@pytest.fixture
def bucket(cloud: CloudProcess) -> Iterator[str]:
    s3 = cloud.client("s3")
    name = f"auth-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    yield name
    for item in s3.list_objects_v2(Bucket=name).get("Contents", []):
        s3.delete_object(Bucket=name, Key=item["Key"])
    s3.delete_bucket(Bucket=name)


def keys_in(cloud: CloudProcess, bucket: str) -> list[str]:
    contents = cloud.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
    return [item["Key"] for item in contents]


def signed(
    cloud: CloudProcess,
    method: str,
    url: str,
    *,
    service: str = "s3",
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    when: datetime | None = None,
    secret: str | None = None,
) -> requests.PreparedRequest:
    """A request signed by botocore's signer, at any time and with any secret."""
    request = AWSRequest(method, url, headers=headers or {}, data=body)
    credentials = Credentials(cloud.access_key, secret or cloud.secret_key)
    signer = (S3SigV4Auth if service == "s3" else SigV4Auth)(credentials, service, cloud.region)
    moment = (when or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    # add_auth takes the time of day; the parts that it is made of take ours.
    request.context["timestamp"] = moment
    request.headers["X-Amz-Date"] = moment
    if service == "s3" and "X-Amz-Content-SHA256" not in request.headers:
        request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(body).hexdigest()
    text = signer.string_to_sign(request, signer.canonical_request(request))
    request.headers["Authorization"] = signer._inject_signature_to_request(
        request, signer.signature(text, request)
    ).headers["Authorization"]
    return requests.Request(method, url, headers=dict(request.headers), data=body).prepare()


def send(request: requests.PreparedRequest) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.send(request, timeout=60)


def list_models(cloud: CloudProcess, **options: Any) -> requests.PreparedRequest:
    headers = {"X-Amz-Target": "SageMaker.ListModels", "Content-Type": "application/x-amz-json-1.1"}
    options = {"service": "sagemaker", "body": b"{}", "headers": headers, **options}
    return signed(cloud, "POST", f"{cloud.endpoint_url}/", **options)


def test_the_harness_signs_as_clients_do(cloud: CloudProcess) -> None:
    assert send(signed(cloud, "GET", f"{cloud.endpoint_url}/")).status_code == 200
    assert send(list_models(cloud)).status_code == 200


@pytest.mark.parametrize(
    ("service", "method", "code", "status"),
    [
        ("s3", "list_buckets", "SignatureDoesNotMatch", 403),
        ("sts", "get_caller_identity", "SignatureDoesNotMatch", 403),
        ("iam", "list_users", "SignatureDoesNotMatch", 403),
        ("sagemaker", "list_models", "InvalidSignatureException", 400),
        ("logs", "describe_log_groups", "InvalidSignatureException", 400),
        ("cloudwatch", "list_metrics", "InvalidSignatureException", 400),
    ],
)
def test_a_wrong_secret(cloud: CloudProcess, service: str, method: str, code: str, status: int) -> None:
    client = cloud.client(service, aws_secret_access_key="guess")
    assert refusal(getattr(client, method))[:2] == (code, status)


def test_a_wrong_secret_for_an_endpoint(cloud: CloudProcess) -> None:
    client = cloud.client("sagemaker-runtime", aws_secret_access_key="guess")
    code, status, _ = refusal(client.invoke_endpoint, EndpointName="none", Body=b"x", ContentType="image/jpeg")
    assert (code, status) == ("InvalidSignatureException", 403)


def test_an_unknown_key(cloud: CloudProcess) -> None:
    for service, method, code in (
        ("s3", "list_buckets", "InvalidAccessKeyId"),
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("sagemaker", "list_models", "UnrecognizedClientException"),
    ):
        client = cloud.client(service, aws_access_key_id="AKIAIOSFODNN7EXAMPLE")
        assert refusal(getattr(client, method))[0] == code


def test_nobody(cloud: CloudProcess, bucket: str) -> None:
    answer = requests.get(f"{cloud.endpoint_url}/{bucket}/key", timeout=60)
    assert (answer.status_code, "<Code>AccessDenied</Code>" in answer.text) == (403, True)
    answer = requests.put(f"{cloud.endpoint_url}/{bucket}/key", data=b"x", timeout=60)
    assert answer.status_code == 403
    answer = requests.post(f"{cloud.endpoint_url}/", headers={"X-Amz-Target": "SageMaker.ListModels"}, timeout=60)
    assert (answer.status_code, answer.json()["__type"]) == (403, "MissingAuthenticationTokenException")
    assert keys_in(cloud, bucket) == []


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_clock_that_is_wrong(cloud: CloudProcess, minutes: int) -> None:
    when = datetime.now(UTC) + timedelta(minutes=minutes)
    answer = send(signed(cloud, "GET", f"{cloud.endpoint_url}/", when=when))
    assert (answer.status_code, "<Code>RequestTimeTooSkewed</Code>" in answer.text) == (403, True)
    answer = send(list_models(cloud, when=when))
    assert (answer.status_code, answer.json()["__type"]) == (400, "InvalidSignatureException")


def test_a_clock_that_is_wrong_by_less(cloud: CloudProcess) -> None:
    when = datetime.now(UTC) - timedelta(minutes=13)
    assert send(signed(cloud, "GET", f"{cloud.endpoint_url}/", when=when)).status_code == 200


def test_a_changed_body(cloud: CloudProcess, bucket: str) -> None:
    request = signed(cloud, "PUT", f"{cloud.endpoint_url}/{bucket}/key", body=b"one")
    request.body = b"two"
    answer = send(request)
    assert (answer.status_code, "<Code>XAmzContentSHA256Mismatch</Code>" in answer.text) == (400, True)
    request = list_models(cloud)
    request.body = b"[]"
    assert send(request).json()["__type"] == "InvalidSignatureException"
    assert keys_in(cloud, bucket) == []


def test_another_service_than_was_signed(cloud: CloudProcess) -> None:
    """A signature for S3 does not open SageMaker: the route says what is called, not the scope."""
    assert send(list_models(cloud, service="logs")).json()["__type"] == "InvalidSignatureException"


def test_a_body_that_ends_early_leaves_nothing(cloud: CloudProcess, bucket: str) -> None:
    body = b"x" * 1000
    request = signed(cloud, "PUT", f"{cloud.endpoint_url}/{bucket}/key", body=body)
    connection = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=60)
    connection.putrequest("PUT", f"/{bucket}/key", skip_host=False)
    for name, value in request.headers.items():
        if name.lower() not in ("host", "content-length"):
            connection.putheader(name, value)
    connection.putheader("Content-Length", "1000")
    connection.endheaders()
    connection.send(body[:500])
    connection.close()
    assert send(signed(cloud, "GET", f"{cloud.endpoint_url}/{bucket}")).status_code == 200
    assert keys_in(cloud, bucket) == []


@pytest.mark.parametrize("version", ["s3v4", "s3"])
class TestPresigned:
    def url(self, cloud: CloudProcess, version: str, method: str, bucket: str, **options: Any) -> str:
        s3 = cloud.client("s3", config=Config(signature_version=version))
        params = {"Bucket": bucket, "Key": "a b/ü+x?.jpg"}
        url: str = s3.generate_presigned_url(method, Params=params, **options)
        return url

    def test_there_and_back(self, cloud: CloudProcess, bucket: str, version: str) -> None:
        assert (
            requests.put(self.url(cloud, version, "put_object", bucket), data=b"x" * 9, timeout=60).status_code == 200
        )
        answer = requests.get(self.url(cloud, version, "get_object", bucket), timeout=60)
        assert (answer.status_code, answer.content) == (200, b"x" * 9)

    def test_tampered(self, cloud: CloudProcess, bucket: str, version: str) -> None:
        url = self.url(cloud, version, "get_object", bucket)
        for changed in (url.replace("x%3F.jpg", "y%3F.jpg"), url + "&versionId=null"):
            answer = requests.get(changed, timeout=60)
            assert (answer.status_code, "<Code>SignatureDoesNotMatch</Code>" in answer.text) == (403, True)
        assert requests.delete(url, timeout=60).status_code == 403

    def test_over(self, cloud: CloudProcess, bucket: str, version: str) -> None:
        url = self.url(cloud, version, "get_object", bucket, ExpiresIn=1)
        deadline = time.monotonic() + 60
        while (answer := requests.get(url, timeout=60)).status_code == 404 and time.monotonic() < deadline:
            pass
        assert (answer.status_code, "<Message>Request has expired</Message>" in answer.text) == (403, True)


class TestSignedChunks:
    """Uploads as the older SDKs stream them: each chunk with a signature of its own."""

    def upload(self, cloud: CloudProcess, bucket: str, data: bytes, *, change: bool = False) -> int:
        url = f"{cloud.endpoint_url}/{bucket}/chunked"
        headers = {
            "X-Amz-Content-SHA256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "X-Amz-Decoded-Content-Length": str(len(data)),
            "Content-Encoding": "aws-chunked",
        }
        when = datetime.now(UTC)
        request = signed(cloud, "PUT", url, headers=headers, when=when)
        body = self.encoded(cloud, data, request.headers["Authorization"].rpartition("Signature=")[2], when)
        request.prepare_body(body.replace(b"xx", b"xy", 1) if change else body, None)
        assert urlsplit(url).path == f"/{bucket}/chunked"
        return send(request).status_code

    def encoded(self, cloud: CloudProcess, data: bytes, signature: str, when: datetime) -> bytes:
        key = b"AWS4" + cloud.secret_key.encode()
        day, moment = when.strftime("%Y%m%d"), when.strftime("%Y%m%dT%H%M%SZ")
        for part in (day, cloud.region, "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        pieces = [data[at : at + 8192] for at in range(0, len(data), 8192)]
        wire = b""
        for piece in [*pieces, b""]:
            lines = [
                "AWS4-HMAC-SHA256-PAYLOAD",
                moment,
                f"{day}/{cloud.region}/s3/aws4_request",
                signature,
                hashlib.sha256(b"").hexdigest(),
                hashlib.sha256(piece).hexdigest(),
            ]
            signature = hmac.new(key, "\n".join(lines).encode(), hashlib.sha256).hexdigest()
            wire += f"{len(piece):x};chunk-signature={signature}\r\n".encode() + piece + b"\r\n"
        return wire

    def test_they_become_the_object(self, cloud: CloudProcess, bucket: str) -> None:
        data = b"xx" * 50_000
        assert self.upload(cloud, bucket, data) == 200
        answer = cloud.client("s3").get_object(Bucket=bucket, Key="chunked")
        assert answer["Body"].read() == data
        assert answer.get("ContentEncoding", "") == ""

    def test_a_changed_chunk_leaves_nothing(self, cloud: CloudProcess, bucket: str) -> None:
        assert self.upload(cloud, bucket, b"xx" * 50_000, change=True) == 403
        assert keys_in(cloud, bucket) == []


def test_an_ended_session_is_told_so(own_cloud: CloudProcess) -> None:
    """Its record outlives it: the caller learns that it expired, not that it never was."""
    import json
    import sqlite3

    keys = own_cloud.client("sts").get_session_token(DurationSeconds=900)["Credentials"]
    own_cloud.stop()
    with sqlite3.connect(own_cloud.data_dir / "cloud.sqlite") as database:
        where = "WHERE kind = 'sts-session'"
        (body,) = database.execute(f"SELECT body FROM records {where}").fetchone()
        record = json.loads(body)
        record["Expiration"]["$time"] = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
        database.execute(f"UPDATE records SET body = ? {where}", (json.dumps(record),))
    database.close()
    own_cloud.start()
    session = {
        "aws_access_key_id": keys["AccessKeyId"],
        "aws_secret_access_key": keys["SecretAccessKey"],
        "aws_session_token": keys["SessionToken"],
    }
    assert refusal(own_cloud.client("s3", **session).list_buckets)[0] == "ExpiredToken"
    assert refusal(own_cloud.client("sts", **session).get_caller_identity)[:2] == ("ExpiredToken", 403)
    assert refusal(own_cloud.client("sagemaker", **session).list_models)[:2] == ("ExpiredTokenException", 400)
