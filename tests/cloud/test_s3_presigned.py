"""Without an SDK's signature in the headers: presigned URLs, browsers' forms, virtual-hosted addresses."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from tests.cloud.s3_support import new_bucket
from tests.cloud_process import CloudProcess

DATA = os.urandom(50_000)


@pytest.fixture(scope="module", params=["s3v4", "s3"])
def s3(request: pytest.FixtureRequest, cloud: CloudProcess) -> Any:
    """Clients that sign URLs and policies in both versions of the signature."""
    return cloud.client("s3", config=Config(signature_version=request.param))


@pytest.fixture(scope="module")
def bucket(cloud: CloudProcess) -> str:
    client = cloud.client("s3")
    name = new_bucket(client)
    client.put_object(Bucket=name, Key="a b/ü", Body=DATA)
    return name


def test_get_and_put(s3: Any, bucket: str) -> None:
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a b/ü"})
    assert requests.get(url, timeout=10).content == DATA
    assert requests.get(url, headers={"Range": "bytes=0-9"}, timeout=10).content == DATA[:10]
    assert requests.get(url.replace("a%20b", "a%20c"), timeout=10).status_code == 403
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "put"})
    answer = requests.put(url, data=DATA, timeout=10)
    assert (answer.status_code, answer.headers["ETag"]) == (200, f'"{hashlib.md5(DATA).hexdigest()}"')
    assert s3.get_object(Bucket=bucket, Key="put")["Body"].read() == DATA


def post(presigned: dict[str, Any], data: bytes = DATA, **fields: str) -> requests.Response:
    return requests.post(
        presigned["url"],
        data={**presigned["fields"], **fields},
        files={"file": ("dir/my picture.jpg", data)},
        allow_redirects=False,
        timeout=10,
    )


def test_a_form_becomes_an_object(s3: Any, bucket: str) -> None:
    presigned = s3.generate_presigned_post(
        bucket,
        "in/${filename}",
        Fields={"Content-Type": "image/jpeg", "x-amz-meta-who": "me", "success_action_status": "201"},
        Conditions=[
            ["starts-with", "$Content-Type", "image/"],
            {"x-amz-meta-who": "me"},
            {"success_action_status": "201"},
        ],
    )
    answer = post(presigned)
    assert answer.status_code == 201
    assert "<Key>in/my picture.jpg</Key>" in answer.text
    got = s3.get_object(Bucket=bucket, Key="in/my picture.jpg")
    assert got["Body"].read() == DATA
    assert (got["ContentType"], got["Metadata"]) == ("image/jpeg", {"who": "me"})


def test_a_large_file_streams_through_a_form(s3: Any, bucket: str) -> None:
    data = os.urandom((3 << 20) + 11) + b"\r\n--almost"
    assert post(s3.generate_presigned_post(bucket, "large"), data).status_code == 204
    assert s3.get_object(Bucket=bucket, Key="large")["Body"].read() == data


def test_forms_that_break_their_policy(s3: Any, bucket: str) -> None:
    def refused(answer: requests.Response) -> tuple[int, str]:
        return answer.status_code, answer.text.partition("<Code>")[2].partition("<")[0]

    plain = s3.generate_presigned_post(bucket, "refused")
    assert refused(post(plain, key="another")) == (403, "AccessDenied")
    assert refused(post(plain, acl="private")) == (403, "AccessDenied")
    forged = {**plain, "fields": dict(plain["fields"])}
    name = "x-amz-signature" if "x-amz-signature" in forged["fields"] else "signature"
    forged["fields"][name] = "0" * 64
    assert refused(post(forged)) == (403, "SignatureDoesNotMatch")
    over = s3.generate_presigned_post(bucket, "refused", ExpiresIn=-5)
    assert refused(post(over)) == (403, "AccessDenied")
    sized = s3.generate_presigned_post(bucket, "refused", Conditions=[["content-length-range", 10, 100]])
    assert refused(post(sized, b"x" * 101)) == (400, "EntityTooLarge")
    assert refused(post(sized, b"x" * 9)) == (400, "EntityTooSmall")
    assert post(sized, b"x" * 100).status_code == 204
    nobody = {"url": plain["url"], "fields": {"key": "refused"}}
    assert refused(post(nobody)) == (403, "AccessDenied")


def test_a_redirect_after_the_form(s3: Any, bucket: str) -> None:
    target = "https://example.com/done?x=1"
    presigned = s3.generate_presigned_post(
        bucket, "r", Fields={"success_action_redirect": target}, Conditions=[{"success_action_redirect": target}]
    )
    answer = post(presigned)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(f"{target}&bucket={bucket}&key=r&etag=")


def test_virtual_hosted_addresses(cloud: CloudProcess, bucket: str) -> None:
    """The bucket in the Host header, signed as clients sign it, over a connection to the loopback address."""
    host = f"{bucket}.s3.us-east-1.amazonaws.com"
    request = AWSRequest("GET", f"http://{host}/a%20b/%C3%BC", headers={"Host": host})
    S3SigV4Auth(Credentials(cloud.access_key, cloud.secret_key), "s3", "us-east-1").add_auth(request)
    connection = http.client.HTTPConnection("127.0.0.1", cloud.port)
    connection.request("GET", urlsplit(request.url).path, headers=dict(request.headers.items()))
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, DATA)


def test_a_policy_of_a_stranger(cloud: CloudProcess, bucket: str) -> None:
    """Signed by hand with a key that is nobody's."""
    expires = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    document = {"expiration": expires, "conditions": [{"bucket": bucket}, {"key": "k"}]}
    policy = base64.b64encode(json.dumps(document).encode()).decode()
    signature = base64.b64encode(hmac.new(b"guess", policy.encode(), hashlib.sha1).digest()).decode()
    fields = {"key": "k", "policy": policy, "AWSAccessKeyId": "AKIASTRANGER", "signature": signature}
    answer = post({"url": f"{cloud.endpoint_url}/{bucket}", "fields": fields})
    assert (answer.status_code, "InvalidAccessKeyId" in answer.text) == (403, True)
