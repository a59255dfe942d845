"""FilterLogEvents: many streams in order of time, patterns, pages."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagehound.localcloud.services.logs.filter_pattern import compile_pattern
from tests.cloud_process import CloudProcess


@pytest.fixture(scope="module")
def logs(cloud: CloudProcess) -> Any:
    return cloud.client("logs")


@pytest.fixture(scope="module")
def group(logs: Any) -> Iterator[str]:
    """Three streams of ten events each, their times interleaved: a0 b0 c0 a1 b1 c1 ..."""
    name = f"/filter/{uuid.uuid4()}"
    logs.create_log_group(logGroupName=name)
    start = int(time.time() * 1000)
    for offset, stream in enumerate(["host/a", "host/b", "other/c"]):
        logs.create_log_stream(logGroupName=name, logStreamName=stream)
        events = [
            {"timestamp": start + 3 * number + offset, "message": f"{stream[-1]}{number}"} for number in range(10)
        ]
        logs.put_log_events(logGroupName=name, logStreamName=stream, logEvents=events)
    yield name
    logs.delete_log_group(logGroupName=name)


def _messages(logs: Any, group: str, **arguments: Any) -> list[str]:
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, **arguments)
    return [event["message"] for page in pages for event in page["events"]]


ALL = [f"{stream}{number}" for number in range(10) for stream in "abc"]


@pytest.mark.parametrize("page", [1, 4, 7, 10_000])
def test_streams_are_interleaved_over_pages(logs: Any, group: str, page: int) -> None:
    assert _messages(logs, group, PaginationConfig={"PageSize": page}) == ALL


def test_streams_by_prefix_and_by_name(logs: Any, group: str) -> None:
    assert _messages(logs, group, logStreamNamePrefix="host/") == [text for text in ALL if text[0] != "c"]
    assert _messages(logs, group, logStreamNames=["other/c"]) == [text for text in ALL if text[0] == "c"]
    with pytest.raises(ClientError, match="mutually exclusive"):
        logs.filter_log_events(logGroupName=group, logStreamNames=["a"], logStreamNamePrefix="b")


def test_pattern_and_times(logs: Any, group: str) -> None:
    assert _messages(logs, group, filterPattern="?a3 ?c4") == ["a3", "c4"]
    first = logs.filter_log_events(logGroupName=group, limit=3)["events"]
    start, end = first[0]["timestamp"], first[2]["timestamp"]
    assert _messages(logs, group, startTime=start, endTime=end) == ["a0", "b0", "c0"]
    assert len({event["eventId"] for event in logs.filter_log_events(logGroupName=group)["events"]}) == 30
    assert first[1]["logStreamName"] == "host/b"


def test_events_of_one_moment_in_many_streams_come_once(logs: Any) -> None:
    name, moment = f"/moment/{uuid.uuid4()}", int(time.time() * 1000)
    logs.create_log_group(logGroupName=name)
    for stream in "abc":
        logs.create_log_stream(logGroupName=name, logStreamName=stream)
        events = [{"timestamp": moment, "message": f"{stream}{number}"} for number in range(4)]
        logs.put_log_events(logGroupName=name, logStreamName=stream, logEvents=events)
    expected = [f"{stream}{number}" for stream in "abc" for number in range(4)]
    for page in (1, 2, 3, 5):
        assert _messages(logs, name, PaginationConfig={"PageSize": page}) == expected
    logs.delete_log_group(logGroupName=name)


def test_invalid_patterns(logs: Any, group: str) -> None:
    for pattern in ["{ $.a = }", '"open', "{ $.a > text }", "%(%"]:
        with pytest.raises(ClientError) as caught:
            logs.filter_log_events(logGroupName=group, filterPattern=pattern)
        assert caught.value.response["Error"]["Code"] == "InvalidParameterException", pattern
    with pytest.raises(ClientError, match="space-delimited"):
        logs.filter_log_events(logGroupName=group, filterPattern="[ip, user]")


RECORD = '{"level": "ERROR", "ms": 120, "user": {"name": "ann-1"}, "tags": ["x", "y"], "none": null, "ok": true}'


@pytest.mark.parametrize(
    ("pattern", "message", "expected"),
    [
        ("", "anything", True),
        ("ERROR", "an ERROR here", True),
        ("ERROR", "an error here", False),
        ("ERROR 400", "400 ERROR", True),
        ("ERROR 404", "400 ERROR", False),
        ('"Testing Loss: 0"', "Testing Loss: 0.5", True),
        ('"Testing Loss: 0"', "Loss: 0 Testing", False),
        ("ERROR -Exit", "ERROR Exit", False),
        ("-Exit", "fine", True),
        ("?WARN ?ERROR", "WARN", True),
        ("?WARN ?ERROR", "INFO", False),
        ("%[0-9]{3}ms%", "took 120ms", True),
        ('{ $.level = "ERROR" }', RECORD, True),
        ('{ $.level = "E*" }', RECORD, True),
        ("{ $.level = INFO }", RECORD, False),
        ('{ $.level != "INFO" }', RECORD, True),
        ("{ $.ms > 100 && $.ms <= 120 }", RECORD, True),
        ('{ ($.ms < 100) || ($.user.name = "ann-1") }', RECORD, True),
        ('{ $.tags[1] = "y" }', RECORD, True),
        ("{ $.tags[2] NOT EXISTS }", RECORD, True),
        ("{ $.none IS NULL }", RECORD, True),
        ("{ $.ok IS TRUE }", RECORD, True),
        ("{ $.ok IS FALSE }", RECORD, False),
        ("{ $.missing != 1 }", RECORD, False),
        ("{ $.ms = 120 }", "not json", False),
    ],
)
def test_what_a_pattern_matches(pattern: str, message: str, expected: bool) -> None:
    assert compile_pattern(pattern)(message) is expected
