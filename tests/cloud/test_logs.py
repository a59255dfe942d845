"""CloudWatch Logs through boto3: groups, streams, events and their paging."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud_process import CloudProcess


@pytest.fixture(scope="module")
def logs(cloud: CloudProcess) -> Any:
    return cloud.client("logs")


@pytest.fixture
def group(logs: Any) -> Iterator[str]:
    name = f"/test/{uuid.uuid4()}"
    logs.create_log_group(logGroupName=name)
    yield name
    logs.delete_log_group(logGroupName=name)


def _now() -> int:
    return int(time.time() * 1000)


def _put(logs: Any, group: str, stream: str, messages: list[str], start: int | None = None) -> int:
    start = _now() if start is None else start
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    events = [{"timestamp": start + index, "message": text} for index, text in enumerate(messages)]
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
    return start


def _code(caught: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_groups_are_described_by_prefix_and_part(logs: Any) -> None:
    root = f"/groups/{uuid.uuid4()}"
    names = [f"{root}/{number:02d}" for number in range(7)]
    for name in reversed(names):
        logs.create_log_group(logGroupName=name, tags={"of": "test"})
    pages = logs.get_paginator("describe_log_groups").paginate(
        logGroupNamePrefix=root, PaginationConfig={"PageSize": 3}
    )
    sizes, found = [], []
    for page in pages:
        sizes.append(len(page["logGroups"]))
        found += page["logGroups"]
    assert sizes == [3, 3, 1]
    assert [group["logGroupName"] for group in found] == names
    assert found[0]["arn"] == f"arn:aws:logs:us-east-1:123456789012:log-group:{names[0]}:*"
    assert found[0]["logGroupArn"] == found[0]["arn"].removesuffix(":*")
    by_part = logs.describe_log_groups(logGroupNamePattern=root[8:] + "/03")["logGroups"]
    assert [group["logGroupName"] for group in by_part] == [names[3]]
    with pytest.raises(ClientError) as caught:
        logs.describe_log_groups(logGroupNamePattern="a", logGroupNamePrefix="b")
    assert _code(caught)[0] == "InvalidParameterException"


def test_taken_and_missing_names(logs: Any, group: str) -> None:
    with pytest.raises(ClientError) as caught:
        logs.create_log_group(logGroupName=group)
    assert _code(caught) == ("ResourceAlreadyExistsException", "The specified log group already exists")
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    with pytest.raises(ClientError) as caught:
        logs.create_log_stream(logGroupName=group, logStreamName="s")
    assert _code(caught)[0] == "ResourceAlreadyExistsException"
    missing_group = ("ResourceNotFoundException", "The specified log group does not exist.")
    missing_stream = ("ResourceNotFoundException", "The specified log stream does not exist.")
    for operation, arguments, expected in [
        ("describe_log_streams", {"logGroupName": "/none"}, missing_group),
        ("create_log_stream", {"logGroupName": "/none", "logStreamName": "s"}, missing_group),
        ("get_log_events", {"logGroupName": "/none", "logStreamName": "s"}, missing_group),
        ("get_log_events", {"logGroupName": group, "logStreamName": "none"}, missing_stream),
        ("delete_log_stream", {"logGroupName": group, "logStreamName": "none"}, missing_stream),
        ("filter_log_events", {"logGroupName": "/none"}, missing_group),
        ("delete_log_group", {"logGroupName": "/none"}, missing_group),
    ]:
        with pytest.raises(ClientError) as caught:
            getattr(logs, operation)(**arguments)
        assert _code(caught) == expected, operation


def test_streams_in_order_of_name_and_of_last_event(logs: Any, group: str) -> None:
    now = _now()
    for index, name in enumerate(["job/b", "job/a", "other/c"]):
        _put(logs, group, name, ["x"], now - 1000 * (index + 1))
    logs.create_log_stream(logGroupName=group, logStreamName="job/empty")

    def names(**arguments: Any) -> list[str]:
        streams = logs.describe_log_streams(logGroupName=group, **arguments)["logStreams"]
        return [stream["logStreamName"] for stream in streams]

    assert names() == ["job/a", "job/b", "job/empty", "other/c"]
    assert names(descending=True) == ["other/c", "job/empty", "job/b", "job/a"]
    assert names(logStreamNamePrefix="job/") == ["job/a", "job/b", "job/empty"]
    assert names(orderBy="LastEventTime", descending=True) == ["job/b", "job/a", "other/c", "job/empty"]
    with pytest.raises(ClientError) as caught:
        names(orderBy="LastEventTime", logStreamNamePrefix="job/")
    assert _code(caught) == (
        "InvalidParameterException",
        "Cannot order by LastEventTime with a logStreamNamePrefix.",
    )
    pages = logs.get_paginator("describe_log_streams").paginate(
        logGroupName=group, orderBy="LastEventTime", descending=True, PaginationConfig={"PageSize": 1}
    )
    paged = [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
    assert paged == ["job/b", "job/a", "other/c", "job/empty"]
    first = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="job/b")["logStreams"][0]
    assert first["firstEventTimestamp"] == first["lastEventTimestamp"] == now - 1000
    assert first["arn"].endswith(f":log-group:{group}:log-stream:job/b")


def test_forward_token_stays_the_same_at_the_end(logs: Any, group: str) -> None:
    start = _put(logs, group, "s", [f"line {number}" for number in range(10)])
    where = {"logGroupName": group, "logStreamName": "s", "startFromHead": True}
    first = logs.get_log_events(**where, limit=4)
    assert [event["message"] for event in first["events"]] == ["line 0", "line 1", "line 2", "line 3"]
    assert first["events"][0]["timestamp"] == start
    rest = logs.get_log_events(**where, nextToken=first["nextForwardToken"])
    assert [event["message"] for event in rest["events"]] == [f"line {number}" for number in range(4, 10)]
    end = logs.get_log_events(**where, nextToken=rest["nextForwardToken"])
    assert end["events"] == []
    assert end["nextForwardToken"] == rest["nextForwardToken"]
    logs.put_log_events(
        logGroupName=group, logStreamName="s", logEvents=[{"timestamp": _now() + 50, "message": "later"}]
    )
    later = logs.get_log_events(**where, nextToken=end["nextForwardToken"])
    assert [event["message"] for event in later["events"]] == ["later"]


def test_backward_from_the_tail(logs: Any, group: str) -> None:
    _put(logs, group, "s", [f"line {number}" for number in range(10)])
    where = {"logGroupName": group, "logStreamName": "s"}
    tail = logs.get_log_events(**where, limit=3)
    assert [event["message"] for event in tail["events"]] == ["line 7", "line 8", "line 9"]
    before = logs.get_log_events(**where, nextToken=tail["nextBackwardToken"])
    assert [event["message"] for event in before["events"]] == [f"line {number}" for number in range(7)]
    end = logs.get_log_events(**where, nextToken=before["nextBackwardToken"])
    assert end["events"] == []
    assert end["nextBackwardToken"] == before["nextBackwardToken"]
    turned = logs.get_log_events(**where, nextToken=end["nextForwardToken"])
    assert len(turned["events"]) == 10


def test_times_and_events_of_one_millisecond(logs: Any, group: str) -> None:
    start = _now()
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    events = [{"timestamp": start, "message": str(number)} for number in range(5)]
    events += [{"timestamp": start + 10, "message": "end"}]
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)
    where = {"logGroupName": group, "logStreamName": "s", "startFromHead": True}
    page = logs.get_log_events(**where, limit=2)
    rest = logs.get_log_events(**where, nextToken=page["nextForwardToken"])
    assert [event["message"] for event in page["events"] + rest["events"]] == ["0", "1", "2", "3", "4", "end"]
    assert len(logs.get_log_events(**where, endTime=start + 10)["events"]) == 5
    assert len(logs.get_log_events(**where, startTime=start + 10)["events"]) == 1


def test_a_page_holds_a_megabyte(logs: Any, group: str) -> None:
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    for number in range(3):
        event = {"timestamp": _now(), "message": f"{number}" + "x" * 700_000}
        logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=[event])
    where = {"logGroupName": group, "logStreamName": "s", "startFromHead": True}
    seen, token = [], {}
    while True:
        page = logs.get_log_events(**where, **token)
        if not page["events"]:
            break
        assert len(page["events"]) == 1
        seen.append(page["events"][0]["message"][0])
        token = {"nextToken": page["nextForwardToken"]}
    assert seen == ["0", "1", "2"]


def test_put_refuses_and_rejects(logs: Any, group: str) -> None:
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    now, hour = _now(), 3_600_000

    def put(*times: int) -> Any:
        events = [{"timestamp": moment, "message": "m"} for moment in times]
        return logs.put_log_events(
            logGroupName=group, logStreamName="s", logEvents=events, sequenceToken="anything at all"
        )

    for times, words in [((now, now - 1), "chronological order"), ((now - 25 * hour, now), "24 hours")]:
        with pytest.raises(ClientError, match=words) as caught:
            put(*times)
        assert _code(caught)[0] == "InvalidParameterException"
    old = now - 15 * 24 * hour
    assert put(old, old + hour)["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 2}
    assert put(now, now + 3 * hour)["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 1}
    assert "rejectedLogEventsInfo" not in put(now)
    assert len(logs.get_log_events(logGroupName=group, logStreamName="s")["events"]) == 2
    with pytest.raises(ClientError, match="too large"):
        logs.put_log_events(
            logGroupName=group, logStreamName="s", logEvents=[{"timestamp": now, "message": "x" * 1_048_577}]
        )


def test_retention_removes_expired_events(logs: Any, group: str) -> None:
    day = 86_400_000
    old = _put(logs, group, "s", ["old"], _now() - 5 * day)
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=[{"timestamp": _now(), "message": "new"}])
    logs.put_retention_policy(logGroupName=group, retentionInDays=3)
    assert logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["retentionInDays"] == 3
    events = logs.get_log_events(logGroupName=group, logStreamName="s", startFromHead=True)["events"]
    assert [event["message"] for event in events] == ["new"]
    answer = logs.put_log_events(
        logGroupName=group, logStreamName="s", logEvents=[{"timestamp": old, "message": "too late"}]
    )
    assert answer["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 1}
    logs.delete_retention_policy(logGroupName=group)
    assert "retentionInDays" not in logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]
    with pytest.raises(ClientError):
        logs.put_retention_policy(logGroupName=group, retentionInDays=4)


def test_tags(logs: Any, group: str) -> None:
    arn = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["logGroupArn"]
    logs.tag_resource(resourceArn=arn, tags={"a": "1", "b": "2"})
    logs.tag_log_group(logGroupName=group, tags={"c": "3"})
    logs.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2", "c": "3"}
    assert logs.list_tags_log_group(logGroupName=group)["tags"] == {"b": "2", "c": "3"}


def test_deleted_group_leaves_nothing(logs: Any) -> None:
    name = f"/deleted/{uuid.uuid4()}"
    for _ in range(2):
        logs.create_log_group(logGroupName=name)
        assert logs.describe_log_streams(logGroupName=name)["logStreams"] == []
        _put(logs, name, "s", ["x"])
        assert logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]["storedBytes"] == 27
        logs.delete_log_group(logGroupName=name)
