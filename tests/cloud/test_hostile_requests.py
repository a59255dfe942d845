"""Requests that no client sends: each gets AWS's refusal, and the next caller an answer."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import socket
import time
import urllib.error
import urllib.request
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.cloud_process import CloudProcess

pytestmark = pytest.mark.local_only


def exchange(cloud: CloudProcess, *pieces: bytes) -> bytes:
    """What comes back when the pieces are sent one after the other, until the server closes."""
    with socket.create_connection(("127.0.0.1", cloud.port), timeout=60) as connection:
        for piece in pieces:
            with contextlib.suppress(ConnectionError):
                connection.sendall(piece)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while data := connection.recv(65536):
                answer += data
        return answer


def test_headers_without_end_are_refused(cloud: CloudProcess) -> None:
    head = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{cloud.port}\r\nx-padding: ".encode()
    # The end of the connection may overtake its answer; what counts is that it ends before the headers do.
    assert exchange(cloud, head, *[b"a" * 65536] * 40)[:13] in (b"HTTP/1.1 431 ", b"")
    assert cloud.client("sts").get_caller_identity()["Account"] == cloud.account_id


def test_long_headers_below_the_bound_are_read(cloud: CloudProcess) -> None:
    head = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{cloud.port}\r\nConnection: close\r\nx-padding: ".encode()
    assert exchange(cloud, head, b"a" * 60_000, b"\r\n\r\n").startswith(b"HTTP/1.1 403 ")


def test_the_preflight_of_nothing_is_refused(cloud: CloudProcess) -> None:
    head = f"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1:{cloud.port}\r\nConnection: close\r\n\r\n".encode()
    assert exchange(cloud, head).startswith(b"HTTP/1.1 400 ")


def test_a_document_of_s3_has_an_end(cloud: CloudProcess) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=60)
    connection.request("PUT", "/bucket?tagging", body=b"<a>" * 4_000_000)
    assert connection.getresponse().status == 413
    connection.close()


def signed_post(cloud: CloudProcess, service: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    """A request that botocore would not make, signed by it."""
    request = AWSRequest("POST", cloud.endpoint_url + "/", headers=headers, data=body)
    SigV4Auth(Credentials(cloud.access_key, cloud.secret_key), service, cloud.region).add_auth(request)
    sent = urllib.request.Request(request.url, body, dict(request.headers.items()), method="POST")
    try:
        with urllib.request.urlopen(sent) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


def test_a_compressed_form_is_read(cloud: CloudProcess) -> None:
    """botocore before it spoke CBOR sent PutMetricData of more than 10 KB so."""
    form = "Action=PutMetricData&Version=2010-08-01&Namespace=zipped&MetricData.member.1.MetricName=m"
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "Content-Encoding": "gzip"}
    body = gzip.compress(f"{form}&MetricData.member.1.Value=3".encode())
    assert signed_post(cloud, "monitoring", body, headers)[0] == 200
    assert cloud.client("cloudwatch").list_metrics(Namespace="zipped")["Metrics"][0]["MetricName"] == "m"


def test_a_compressed_form_that_unpacks_to_megabytes_is_refused(cloud: CloudProcess) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}
    assert signed_post(cloud, "monitoring", gzip.compress(b"a" * 50_000_000), headers)[0] == 413


@pytest.fixture
def group(cloud: CloudProcess) -> dict[str, Any]:
    """A log group whose one event is JSON nested beyond reason."""
    logs, names = cloud.client("logs"), {"logGroupName": f"hostile-{time.time_ns()}"}
    logs.create_log_group(**names)
    logs.create_log_stream(**names, logStreamName="s")
    event = {"timestamp": int(time.time() * 1000), "message": '{"a":' * 50_000}
    logs.put_log_events(**names, logStreamName="s", logEvents=[event])
    return names


def test_the_end_of_time_and_nested_events_are_searched(cloud: CloudProcess, group: dict[str, Any]) -> None:
    logs = cloud.client("logs")
    assert len(logs.filter_log_events(**group, endTime=2**63 - 1)["events"]) == 1
    assert len(logs.get_log_events(**group, logStreamName="s", endTime=2**63 - 1)["events"]) == 1
    assert logs.filter_log_events(**group, filterPattern="{ $.a = 1 }")["events"] == []
    assert logs.get_log_events(**group, logStreamName="s", startTime=2**63 - 1)["events"] == []


@pytest.mark.parametrize("token", ["NQ==", "WyJhIiwxXQ==", "W1tbWw==", "bm90aGluZw=="])
def test_tokens_that_we_did_not_make_are_refused(cloud: CloudProcess, group: dict[str, Any], token: str) -> None:
    with pytest.raises(ClientError, match="nextToken is invalid"):
        cloud.client("logs").describe_log_streams(**group, nextToken=token)


def test_an_iam_marker_that_we_did_not_make_is_refused(cloud: CloudProcess) -> None:
    with pytest.raises(ClientError, match="Invalid Marker"):
        cloud.client("iam").list_roles(Marker="é")


@pytest.mark.parametrize("document", ["[" * 100_000, '{"Statement":' + "[" * 5000 + "]" * 5000 + "}"])
def test_a_policy_nested_beyond_reason_is_malformed(cloud: CloudProcess, document: str) -> None:
    with pytest.raises(ClientError, match="MalformedPolicyDocument"):
        cloud.client("iam").create_role(RoleName="deep", AssumeRolePolicyDocument=document)


def test_filling_fifty_years_of_seconds_is_refused(cloud: CloudProcess) -> None:
    """It took all the memory of the machine."""
    stat = {"Metric": {"Namespace": "n", "MetricName": "m"}, "Period": 1, "Stat": "Sum"}
    queries = [{"Id": "m1", "MetricStat": stat}, {"Id": "e1", "Expression": "FILL(m1, 0)"}]
    with pytest.raises(ClientError, match="FILL would make"):
        cloud.client("cloudwatch").get_metric_data(StartTime=0, EndTime=time.time(), MetricDataQueries=queries)


@pytest.mark.parametrize("expression", ["FILL(METRICS(), 0)", "FILL(m0, 0)"])
def test_filling_a_day_of_seconds_many_times_is_refused(cloud: CloudProcess, expression: str) -> None:
    stat = {"Metric": {"Namespace": "n", "MetricName": "m"}, "Period": 1, "Stat": "Sum"}
    metrics = [{"Id": f"m{number}", "MetricStat": stat} for number in range(15)]
    expressions = [{"Id": f"e{number}", "Expression": expression} for number in range(15)]
    end = time.time()
    with pytest.raises(ClientError, match="data points"):
        cloud.client("cloudwatch").get_metric_data(
            StartTime=end - 86_400, EndTime=end, MetricDataQueries=metrics + expressions
        )


def test_a_session_ends_with_its_user(cloud: CloudProcess) -> None:
    iam, name = cloud.client("iam"), f"leaver-{time.time_ns()}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    own = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    keys = cloud.client("sts", **own).get_session_token()["Credentials"]
    session = boto3.client(
        "sts",
        endpoint_url=cloud.endpoint_url,
        region_name=cloud.region,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.update_user(UserName=name, NewUserName=f"{name}-renamed")
    assert session.get_caller_identity()["UserId"] == iam.get_user(UserName=f"{name}-renamed")["User"]["UserId"]
    iam.delete_user(UserName=f"{name}-renamed")
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        session.get_caller_identity()
