"""The event history: what was called is found again, by every attribute, newest first, page by page."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from sagehound.localcloud.services.cloudtrail.record_file import Position, blocks
from sagehound.localcloud.services.cloudtrail.search import Search, find
from tests.cloud.people import People, allow, document, statement
from tests.cloud_process import CloudProcess

ACCOUNT = "123456789012"


def attribute(key: str, value: str) -> list[dict[str, str]]:
    """LookupAttributes of one attribute."""
    return [{"AttributeKey": key, "AttributeValue": value}]


def looked_up(cloud: CloudProcess, key: str, value: str, **members: Any) -> list[dict[str, Any]]:
    """All events with an attribute, through boto3's own paginator."""
    pages = (
        cloud.client("cloudtrail")
        .get_paginator("lookup_events")
        .paginate(LookupAttributes=attribute(key, value), **members)
    )
    return [event for page in pages for event in page["Events"]]


@pytest.fixture(scope="module")
def bucket(cloud: CloudProcess) -> str:
    """A bucket that was made, filled and asked for by root; its calls are recorded."""
    s3, name = cloud.client("s3"), f"trail-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="a/1", Body=b"1")
    with pytest.raises(ClientError):
        s3.get_object(Bucket=name, Key="none")
    return name


def test_a_call_is_an_event_with_who_what_and_where(cloud: CloudProcess, bucket: str) -> None:
    event = next(one for one in looked_up(cloud, "ResourceName", bucket) if one["EventName"] == "CreateBucket")
    told = json.loads(event["CloudTrailEvent"])
    assert event["EventSource"] == told["eventSource"] == "s3.amazonaws.com"
    assert event["Username"] == "root"
    assert event["ReadOnly"] == "false"
    assert event["AccessKeyId"] == told["userIdentity"]["accessKeyId"] == cloud.access_key
    assert event["Resources"] == [{"ResourceType": "AWS::S3::Bucket", "ResourceName": bucket}]
    assert told["resources"] == [{"ARN": f"arn:aws:s3:::{bucket}", "type": "AWS::S3::Bucket", "accountId": ACCOUNT}]
    assert told["userIdentity"]["type"] == "Root"
    assert told["userIdentity"]["arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    assert told["awsRegion"] == cloud.region
    assert told["sourceIPAddress"] == "127.0.0.1"
    assert abs(datetime.now(UTC) - event["EventTime"]) < timedelta(hours=1)
    assert told["eventTime"] == event["EventTime"].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert told["managementEvent"] is True
    assert told["eventID"] == event["EventId"]


def test_events_come_newest_first_and_refused_calls_are_among_them(cloud: CloudProcess, bucket: str) -> None:
    events = looked_up(cloud, "ResourceName", bucket)
    assert [event["EventName"] for event in events] == ["GetObject", "PutObject", "CreateBucket"]
    refused = json.loads(events[0]["CloudTrailEvent"])
    assert refused["errorCode"] == "NoSuchKey"
    assert refused["eventCategory"] == "Data"
    assert "errorCode" not in json.loads(events[1]["CloudTrailEvent"])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("EventName", "PutObject"),
        ("ReadOnly", "false"),
        ("Username", "root"),
        ("ResourceType", "AWS::S3::Object"),
        ("EventSource", "s3.amazonaws.com"),
    ],
)
def test_each_attribute_selects_its_events(cloud: CloudProcess, bucket: str, key: str, value: str) -> None:
    events = looked_up(cloud, key, value)
    put = [event for event in events if any(one["ResourceName"] == f"{bucket}/a/1" for one in event["Resources"])]
    assert [event["EventName"] for event in put] == ["PutObject"]
    for event in events:
        kinds = [one["ResourceType"] for one in event["Resources"]]
        assert value in (kinds if key == "ResourceType" else [event[key]])


def test_one_event_is_found_by_its_id_and_by_its_arn(cloud: CloudProcess, bucket: str) -> None:
    put = looked_up(cloud, "ResourceName", f"arn:aws:s3:::{bucket}/a/1")
    assert len(put) == 1
    assert looked_up(cloud, "EventId", put[0]["EventId"]) == put
    assert looked_up(cloud, "EventId", str(uuid.uuid4())) == []


def test_a_key_and_its_user_are_found(cloud: CloudProcess) -> None:
    iam, name = cloud.client("iam"), f"trail-{uuid.uuid4().hex[:12]}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    cloud.client("sts", **keys).get_caller_identity()
    (by_key,) = looked_up(cloud, "AccessKeyId", key["AccessKeyId"])
    assert by_key["EventName"] == "GetCallerIdentity"
    assert by_key["Username"] == name
    assert by_key["ReadOnly"] == "true"
    identity = json.loads(by_key["CloudTrailEvent"])["userIdentity"]
    assert identity["type"] == "IAMUser"
    assert identity["userName"] == name
    assert identity["principalId"] == iam.get_user(UserName=name)["User"]["UserId"]
    assert [event["EventId"] for event in looked_up(cloud, "Username", name)] == [by_key["EventId"]]


def test_times_bound_the_events(cloud: CloudProcess, bucket: str) -> None:
    (put,) = looked_up(cloud, "ResourceName", f"{bucket}/a/1")
    moment = put["EventTime"]
    within = {"StartTime": moment, "EndTime": moment + timedelta(seconds=1)}
    assert looked_up(cloud, "ResourceName", f"{bucket}/a/1", **within) == [put]
    assert looked_up(cloud, "ResourceName", f"{bucket}/a/1", StartTime=moment + timedelta(seconds=1)) == []
    assert looked_up(cloud, "ResourceName", f"{bucket}/a/1", EndTime=moment - timedelta(seconds=1)) == []


def test_pages_join_into_the_whole(cloud: CloudProcess, bucket: str) -> None:
    client = cloud.client("cloudtrail")
    whole = looked_up(cloud, "ResourceName", bucket)
    first = client.lookup_events(LookupAttributes=attribute("ResourceName", bucket), MaxResults=1)
    rest = client.lookup_events(
        LookupAttributes=attribute("ResourceName", bucket), MaxResults=50, NextToken=first["NextToken"]
    )
    assert first["Events"] + rest["Events"] == whole
    assert "NextToken" not in rest


def test_a_token_belongs_to_its_parameters(cloud: CloudProcess, bucket: str) -> None:
    client = cloud.client("cloudtrail")
    asked = {"LookupAttributes": attribute("ResourceName", bucket), "MaxResults": 1}
    token = client.lookup_events(**asked)["NextToken"]
    other = {"LookupAttributes": attribute("Username", "root")}
    for request in ({**other, "NextToken": token}, {**asked, "NextToken": "x"}, {**asked, "NextToken": token[:-8]}):
        with pytest.raises(ClientError) as refused:
            client.lookup_events(**request)
        assert refused.value.response["Error"]["Code"] == "InvalidNextTokenException"


def test_what_makes_no_sense_is_refused_in_aws_words(cloud: CloudProcess) -> None:
    client, now = cloud.client("cloudtrail"), datetime.now(UTC)
    for request, code in (
        ({"LookupAttributes": attribute("Username", "a") * 2}, "InvalidLookupAttributesException"),
        ({"StartTime": now, "EndTime": now - timedelta(hours=1)}, "InvalidTimeRangeException"),
    ):
        with pytest.raises(ClientError) as refused:
            client.lookup_events(**request)
        assert refused.value.response["Error"]["Code"] == code


def test_reading_the_history_needs_its_permission(people: People) -> None:
    with pytest.raises(ClientError) as refused:
        people.user(allow("s3:*")).client("cloudtrail").lookup_events()
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    assert "is not authorized to perform: cloudtrail:LookupEvents" in str(refused.value)
    assert "Events" in people.user(allow("cloudtrail:LookupEvents")).client("cloudtrail").lookup_events()


def test_a_denied_call_is_an_event_with_what_denied_it(people: People, cloud: CloudProcess, bucket: str) -> None:
    person = people.user(document(statement("Deny", "s3:DeleteBucket", Sid="Never")))
    with pytest.raises(ClientError):
        person.client("s3").delete_bucket(Bucket=bucket)
    (event,) = looked_up(cloud, "AccessKeyId", person.keys["AccessKeyId"])
    told = json.loads(event["CloudTrailEvent"])
    assert (event["EventName"], told["errorCode"]) == ("DeleteBucket", "AccessDenied")
    assert event["Resources"] == [{"ResourceType": "AWS::S3::Bucket", "ResourceName": bucket}]
    (decided,) = told["additionalEventData"]["authorizations"]
    assert (decided["verdict"], decided["statement"]) == ("explicitDeny", "Never")


def test_who_is_not_known_is_told_so(cloud: CloudProcess) -> None:
    s3, name = cloud.client("s3"), f"trail-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="page", Body=b"1")
    s3.delete_public_access_block(Bucket=name)
    public = statement("Allow", "s3:GetObject", f"arn:aws:s3:::{name}/*", Principal="*")
    s3.put_bucket_policy(Bucket=name, Policy=document(public))
    assert requests.get(f"{cloud.endpoint_url}/{name}/page", timeout=60).content == b"1"
    events = looked_up(cloud, "ResourceName", f"{name}/page")
    (read,) = [event for event in events if event["EventName"] == "GetObject"]
    assert "Username" not in read
    identity = json.loads(read["CloudTrailEvent"])["userIdentity"]
    assert identity == {"type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL"}


def test_other_operations_are_named_as_missing(cloud: CloudProcess) -> None:
    with pytest.raises(ClientError) as refused:
        cloud.client("cloudtrail").describe_trails()
    assert refused.value.response["Error"]["Code"] == "NotImplemented"
    assert "cloudtrail:DescribeTrails" in str(refused.value)


def test_events_of_another_region_are_there_and_not_here(cloud: CloudProcess) -> None:
    name = f"trail-{uuid.uuid4().hex[:12]}"
    cloud.client("sagemaker", region_name="eu-west-1").list_models(NameContains=name)
    here = looked_up(cloud, "EventName", "ListModels")
    elsewhere = cloud.client("cloudtrail", region_name="eu-west-1").lookup_events(
        LookupAttributes=attribute("EventName", "ListModels")
    )["Events"]
    assert elsewhere
    assert not {event["EventId"] for event in elsewhere} & {event["EventId"] for event in here}


def line(number: int, **changes: Any) -> bytes:
    """A record as the gateway writes it."""
    fields = {
        "time": 1_700_000_000.5 + number,
        "request_id": f"request-{number}",
        "caller": f"arn:aws:iam::{ACCOUNT}:user/user-{number % 7}",
        "action": "s3:GetObject",
        "resource": f"arn:aws:s3:::bucket/key-{number}",
        "region": "us-east-1",
        "source": "127.0.0.1",
        "status": 200,
        **changes,
    }
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


@pytest.fixture(scope="module")
def long_record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files of 60,000 lines each, every thousandth a call of SageMaker's."""
    record = tmp_path_factory.mktemp("record") / "calls.jsonl"
    for path, numbers in ((record.with_suffix(".1.jsonl"), range(60_000)), (record, range(60_000, 120_000))):
        with path.open("wb") as file:
            for number in numbers:
                file.write(line(number, action="sagemaker:CreateModel") if number % 1000 == 0 else line(number))
    return record


def pages(record: Path, search: Search, size: int) -> Iterator[str]:
    """The ids of all events, page by page."""
    start: Position | None = None
    while True:
        found, start = find(record, search, start, size)
        yield from (event.members["EventId"] for event in found)
        if start is None:
            return


def test_a_long_record_is_read_from_its_end_over_both_files(long_record: Path) -> None:
    search = Search("us-east-1", ACCOUNT, attribute=("EventSource", "sagemaker.amazonaws.com"))
    assert list(pages(long_record, search, 7)) == [f"request-{number}" for number in range(119_000, -1, -1000)]
    newest, _ = find(long_record, Search("us-east-1", ACCOUNT), None, 3)
    assert [event.members["EventId"] for event in newest] == ["request-119999", "request-119998", "request-119997"]


def test_a_page_looks_at_so_many_events_and_may_be_empty(long_record: Path) -> None:
    search = Search("us-east-1", ACCOUNT, attribute=("ResourceName", "bucket/key-1"))  # many lines hold that text
    found, place = find(long_record, search, None, 50)
    assert found == []
    assert place is not None
    assert list(pages(long_record, search, 50)) == ["request-1"]


@pytest.mark.parametrize(
    ("key", "value", "count"),
    [
        ("ReadOnly", "true", 119_880),
        ("ReadOnly", "false", 120),
        ("ResourceType", "AWS::IAM::Role", 0),
        ("ResourceType", "AWS::Nothing::Known", 0),
        ("AccessKeyId", "AKIA", 0),
    ],
)
def test_what_is_passed_over_unread_does_not_match(long_record: Path, key: str, value: str, count: int) -> None:
    if count > 10_000:  # the newest suffice
        assert len(find(long_record, Search("us-east-1", ACCOUNT, attribute=(key, value)), None, 999)[0]) == 999
    else:
        assert len(list(pages(long_record, Search("us-east-1", ACCOUNT, attribute=(key, value)), 50))) == count
    assert find(long_record, Search("eu-west-1", ACCOUNT, attribute=(key, value)), None, 5) == ([], None)


def test_every_line_of_a_record_is_in_exactly_one_block(long_record: Path) -> None:
    read = [block.lines for block in blocks(long_record)]
    written = long_record.with_suffix(".1.jsonl").read_bytes() + long_record.read_bytes()
    assert b"".join(reversed(read)) == written


def test_a_torn_line_hides_itself_only(tmp_path: Path) -> None:
    record = tmp_path / "calls.jsonl"
    # The server died in the middle of line 1, then another wrote 2 behind it, and has not finished 3 yet.
    record.write_bytes(line(0) + line(1)[:40] + line(2) + line(3)[:50])
    assert list(pages(record, Search("us-east-1", ACCOUNT), 1)) == ["request-2", "request-0"]


def test_a_record_that_is_turned_over_between_pages_goes_on(tmp_path: Path) -> None:
    record = tmp_path / "calls.jsonl"
    record.write_bytes(b"".join(line(number) for number in range(5)))
    search = Search("us-east-1", ACCOUNT)
    _, place = find(record, search, None, 2)
    record.replace(record.with_suffix(".1.jsonl"))
    record.write_bytes(line(5))
    found, _ = find(record, search, place, 9)
    assert [event.members["EventId"] for event in found] == ["request-2", "request-1", "request-0"]
    # Twice turned over, what the token names is gone, and everything older with it.
    record.replace(record.with_suffix(".1.jsonl"))
    record.write_bytes(line(6))
    assert find(record, search, place, 9) == ([], None)


def test_a_place_inside_a_line_is_none(tmp_path: Path) -> None:
    record = tmp_path / "calls.jsonl"
    record.write_bytes(line(0) + line(1))
    _, place = find(record, Search("us-east-1", ACCOUNT), None, 1)
    assert place is not None
    for offset in (place.offset - 1, -1, 10**9):
        with pytest.raises(LookupError):
            find(record, Search("us-east-1", ACCOUNT), Position(place.file, offset), 1)


def test_no_record_gives_no_events(tmp_path: Path) -> None:
    assert find(tmp_path / "calls.jsonl", Search("us-east-1", ACCOUNT), None, 5) == ([], None)
