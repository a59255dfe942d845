"""Signatures that are good for something else: another service, another moment, another method; or none at all."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.attacks.forging import FORM, json_call, presigned, send, signed
from tests.cloud.people import People, allow
from tests.cloud_process import CloudProcess


@pytest.fixture
def group(cloud: CloudProcess) -> Iterator[str]:
    """A log group that nobody asked to delete."""
    logs, name = cloud.client("logs"), f"/kept/{uuid.uuid4().hex}"
    logs.create_log_group(logGroupName=name)
    yield name
    logs.delete_log_group(logGroupName=name)


def groups(cloud: CloudProcess, name: str) -> list[str]:
    found = cloud.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return [one["logGroupName"] for one in found]


def objects(cloud: CloudProcess, bucket: str) -> dict[str, bytes]:
    s3 = cloud.client("s3")
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


class TestAForgedScope:
    """The credential scope names a service that the key may use; the request asks another one."""

    @pytest.mark.parametrize("scope", ["s3", "sagemaker", "iam", "execute-api", ""])
    def test_of_a_json_service(self, people: People, cloud: CloudProcess, group: str, scope: str) -> None:
        person = people.user(allow("*"))
        body = json.dumps({"logGroupName": group}).encode()
        answer = send(json_call(cloud, person.keys, "Logs_20140328.DeleteLogGroup", body, scope=scope))
        assert (answer.status_code, answer.json()["__type"].rpartition("#")[2]) == (400, "InvalidSignatureException")
        assert groups(cloud, group) == [group]

    def test_of_a_query_service(self, people: People, cloud: CloudProcess) -> None:
        person, name = people.user(allow("*")), f"forged-{uuid.uuid4().hex}"
        body = f"Action=CreateUser&Version=2010-05-08&UserName={name}".encode()
        request = signed(
            person.keys, "POST", f"{cloud.endpoint_url}/", scope="s3", body=body, headers={"Content-Type": FORM}
        )
        answer = send(request)
        assert (answer.status_code, "<Code>SignatureDoesNotMatch</Code>" in answer.text) == (403, True)
        with pytest.raises(ClientError, match="NoSuchEntity"):
            cloud.client("iam").get_user(UserName=name)

    def test_of_s3(self, people: People, cloud: CloudProcess, vault: str) -> None:
        person = people.user(allow("*"))
        answer = send(signed(person.keys, "DELETE", f"{cloud.endpoint_url}/{vault}/secret", scope="logs"))
        assert answer.status_code in (400, 403)
        assert objects(cloud, vault) == {"secret": b"kept"}

    def test_a_region_that_the_policy_allows_is_the_one_that_is_asked(
        self, people: People, cloud: CloudProcess
    ) -> None:
        """The signed region *is* the region: a key for eu-west-1 acts there and nowhere else."""
        only = {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}
        person = people.user(allow("logs:*", Condition=only))
        name = f"/forged/{uuid.uuid4().hex}"
        body = json.dumps({"logGroupName": name}).encode()
        target = "Logs_20140328.CreateLogGroup"
        assert send(json_call(cloud, person.keys, target, body, scope="logs")).status_code == 400
        assert send(json_call(cloud, person.keys, target, body, scope="logs", region="eu-west-1")).status_code == 200
        assert groups(cloud, name) == []
        cloud.client("logs", region_name="eu-west-1").delete_log_group(logGroupName=name)

    def test_a_day_that_is_not_the_request_s(self, people: People, cloud: CloudProcess, group: str) -> None:
        """A derived key of yesterday, as it leaks from logs and caches, is no key of today."""
        person = people.user(allow("*"))
        body = json.dumps({"logGroupName": group}).encode()
        old = datetime.now(UTC) - timedelta(days=1)
        request = json_call(cloud, person.keys, "Logs_20140328.DeleteLogGroup", body, scope="logs", when=old)
        request.headers["X-Amz-Date"] = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        answer = send(request)
        assert (answer.status_code, answer.json()["__type"].rpartition("#")[2]) == (400, "InvalidSignatureException")
        assert groups(cloud, group) == [group]


class TestASwappedService:
    """A request that was rightly signed for one service, sent to another by what its signature does not cover."""

    def test_by_its_target(self, people: People, cloud: CloudProcess, group: str) -> None:
        person = people.user(allow("*"))
        body = json.dumps({"logGroupName": group}).encode()
        request = json_call(cloud, person.keys, "Logs_20140328.DescribeLogStreams", body, scope="logs")
        request.headers["X-Amz-Target"] = "Logs_20140328.DeleteLogGroup"
        assert send(request).status_code in (400, 403)
        assert groups(cloud, group) == [group]

    def test_by_a_target_that_was_not_signed(self, people: People, cloud: CloudProcess, group: str) -> None:
        """A POST to S3's root becomes a call of Logs by one more header."""
        person = people.user(allow("*"))
        body = json.dumps({"logGroupName": group}).encode()
        for scope in ("s3", "logs"):
            request = signed(person.keys, "POST", f"{cloud.endpoint_url}/", scope=scope, body=body)
            request.headers["X-Amz-Target"] = "Logs_20140328.DeleteLogGroup"
            assert send(request).status_code in (400, 403)
        assert groups(cloud, group) == [group]

    def test_by_its_path(self, people: People, cloud: CloudProcess) -> None:
        """A key of a bucket that looks like Lambda's path is Lambda's path, and S3's signature is none for it."""
        person = people.user(allow("*"))
        answer = send(signed(person.keys, "GET", f"{cloud.endpoint_url}/2015-03-31/functions/", scope="s3"))
        assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (403, "InvalidSignatureException")

    def test_by_its_version(self, people: People, cloud: CloudProcess) -> None:
        person, name = people.user(allow("*")), f"swapped-{uuid.uuid4().hex}"
        body = b"Action=GetCallerIdentity&Version=2011-06-15"
        headers = {"Content-Type": FORM}
        request = signed(person.keys, "POST", f"{cloud.endpoint_url}/", scope="sts", body=body, headers=headers)
        request.body = f"Action=CreateUser&Version=2010-05-08&UserName={name}".encode()
        request.headers["Content-Length"] = str(len(request.body))
        assert send(request).status_code == 403
        with pytest.raises(ClientError, match="NoSuchEntity"):
            cloud.client("iam").get_user(UserName=name)


UNSIGNED_CALLS: list[tuple[str, str, dict[str, Any], str]] = [
    ("s3", "put_object", {"Bucket": "{vault}", "Key": "forged", "Body": b"x"}, "AccessDenied"),
    ("s3", "get_object", {"Bucket": "{vault}", "Key": "secret"}, "AccessDenied"),
    ("s3", "list_buckets", {}, "AccessDenied"),
    ("iam", "create_user", {"UserName": "forged"}, "MissingAuthenticationToken"),
    (
        "sts",
        "assume_role",
        {"RoleArn": "arn:aws:iam::123456789012:role/any", "RoleSessionName": "xy"},
        "MissingAuthenticationToken",
    ),
    ("sagemaker", "list_models", {}, "MissingAuthenticationTokenException"),
    ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": "any", "Body": b"x"}, "MissingAuthenticationToken"),
    ("logs", "create_log_group", {"logGroupName": "/forged"}, "MissingAuthenticationTokenException"),
    ("cloudwatch", "list_metrics", {}, "MissingAuthenticationToken"),
    ("cloudtrail", "lookup_events", {}, "MissingAuthenticationTokenException"),
    ("lambda", "list_functions", {}, "MissingAuthenticationTokenException"),
    ("lambda", "invoke", {"FunctionName": "any"}, "MissingAuthenticationTokenException"),
]


@pytest.mark.parametrize(("service", "method", "params", "code"), UNSIGNED_CALLS)
def test_no_signature(
    cloud: CloudProcess, vault: str, service: str, method: str, params: dict[str, Any], code: str
) -> None:
    client = cloud.client(service, config=Config(signature_version=UNSIGNED))
    named = {name: vault if value == "{vault}" else value for name, value in params.items()}
    with pytest.raises(ClientError) as refused:
        getattr(client, method)(**named)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert refused.value.response["Error"]["Code"].startswith(code)
    assert objects(cloud, vault) == {"secret": b"kept"}
    assert groups(cloud, "/forged") == []


class TestAReplay:
    """A request that somebody has seen, sent again later."""

    def test_after_its_quarter_of_an_hour(self, people: People, cloud: CloudProcess, vault: str) -> None:
        person = people.user(allow("*"))
        seen = datetime.now(UTC) - timedelta(minutes=15, seconds=5)
        url = f"{cloud.endpoint_url}/{vault}/replayed"
        answer = send(signed(person.keys, "PUT", url, scope="s3", body=b"again", when=seen))
        assert (answer.status_code, "<Code>RequestTimeTooSkewed</Code>" in answer.text) == (403, True)
        body = json.dumps({"logGroupName": f"/{vault}"}).encode()
        request = json_call(cloud, person.keys, "Logs_20140328.CreateLogGroup", body, scope="logs", when=seen)
        assert send(request).status_code == 400
        assert objects(cloud, vault) == {"secret": b"kept"}
        assert groups(cloud, f"/{vault}") == []

    def test_with_another_time_than_was_signed(self, people: People, cloud: CloudProcess, vault: str) -> None:
        person = people.user(allow("*"))
        seen = datetime.now(UTC) - timedelta(minutes=30)
        request = signed(
            person.keys, "PUT", f"{cloud.endpoint_url}/{vault}/replayed", scope="s3", body=b"again", when=seen
        )
        now = datetime.now(UTC)
        for headers in ({"X-Amz-Date": f"{now:%Y%m%dT%H%M%SZ}"}, {"Date": f"{now:%a, %d %b %Y %H:%M:%S} GMT"}):
            later = request.copy()
            later.headers.update(headers)
            assert send(later).status_code == 403
        assert objects(cloud, vault) == {"secret": b"kept"}

    def test_by_a_key_that_was_taken_away(self, people: People, cloud: CloudProcess, vault: str) -> None:
        person = people.user(allow("*"))
        request = signed(person.keys, "PUT", f"{cloud.endpoint_url}/{vault}/secret", scope="s3", body=b"again")
        iam = cloud.client("iam")
        iam.update_access_key(UserName=person.name, AccessKeyId=person.keys["AccessKeyId"], Status="Inactive")
        answer = send(request)
        assert (answer.status_code, "<Code>InvalidAccessKeyId</Code>" in answer.text) == (403, True)
        assert objects(cloud, vault) == {"secret": b"kept"}

    def test_of_a_presigned_url_that_has_expired(self, people: People, cloud: CloudProcess, vault: str) -> None:
        person = people.user(allow("*"))
        old = person.client("s3", config=Config(signature_version="s3"))
        for url in (
            old.generate_presigned_url("get_object", Params={"Bucket": vault, "Key": "secret"}, ExpiresIn=-60),
            presigned(person.keys, f"{cloud.endpoint_url}/{vault}/secret", datetime.now(UTC) - timedelta(seconds=61)),
        ):
            answer = send(requests.Request("GET", url).prepare())
            assert (answer.status_code, b"kept" in answer.content) == (403, False)
            assert "Request has expired" in answer.text


@pytest.mark.parametrize("version", ["s3v4", "s3"])
class TestAPresignedUrlWithAnotherMethod:
    """What was signed is a method and a place; a URL to read is none to write."""

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
    def test_to_read(self, people: People, cloud: CloudProcess, vault: str, version: str, method: str) -> None:
        client = people.user(allow("s3:*")).client("s3", config=Config(signature_version=version))
        url = client.generate_presigned_url("get_object", Params={"Bucket": vault, "Key": "secret"})
        answer = send(requests.Request(method, url, data=b"changed").prepare())
        assert answer.status_code in (403, 405)
        assert objects(cloud, vault) == {"secret": b"kept"}

    def test_to_write(self, people: People, cloud: CloudProcess, vault: str, version: str) -> None:
        client = people.user(allow("s3:*")).client("s3", config=Config(signature_version=version))
        url = client.generate_presigned_url("put_object", Params={"Bucket": vault, "Key": "secret"})
        for method in ("GET", "DELETE", "HEAD"):
            answer = send(requests.Request(method, url).prepare())
            assert (answer.status_code, b"kept" in answer.content) == (403, False)
        assert objects(cloud, vault) == {"secret": b"kept"}

    @pytest.mark.parametrize("more", ["uploads", "tagging", "acl", "versionId=1"])
    def test_to_read_something_else(
        self, people: People, cloud: CloudProcess, vault: str, version: str, more: str
    ) -> None:
        client = people.user(allow("s3:*")).client("s3", config=Config(signature_version=version))
        url = client.generate_presigned_url("get_object", Params={"Bucket": vault, "Key": "secret"})
        assert send(requests.Request("GET", f"{url}&{more}").prepare()).status_code == 403


class TestAForgedPlace:
    """A header that a proxy would set says where a call comes from, or that it came encrypted."""

    @pytest.mark.parametrize(
        ("header", "value", "operator", "key", "wanted"),
        [
            ("X-Forwarded-For", "203.0.113.7", "IpAddress", "aws:SourceIp", "203.0.113.0/24"),
            ("X-Forwarded-Proto", "https", "Bool", "aws:SecureTransport", "true"),
        ],
    )
    def test_counts_for_nothing(
        self, people: People, vault: str, header: str, value: str, operator: str, key: str, wanted: str
    ) -> None:
        person = people.user(allow("s3:*", Condition={operator: {key: wanted}}))
        s3 = person.client("s3")
        s3.meta.events.register("before-send.s3", lambda request, **_: request.headers.update({header: value}))
        with pytest.raises(ClientError) as refused:
            s3.get_object(Bucket=vault, Key="secret")
        assert refused.value.response["Error"]["Code"] == "AccessDenied"
        assert person.calls()[0]["source"] == "127.0.0.1"
