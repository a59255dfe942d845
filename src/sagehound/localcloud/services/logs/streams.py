"""Log streams: create, delete, describe in order of name or of the last event."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from sagehound.localcloud.call import Call
from sagehound.localcloud.services.logs.errors import already_exists, invalid_parameter, stream_not_found
from sagehound.localcloud.services.logs.groups import LogGroups, token, token_value
from sagehound.localcloud.services.logs.tables import LogTables
from sagehound.localcloud.state.clock import Clock

SEQUENCE_TOKEN = "49" + "0" * 54
"""AWS still shows an upload sequence token and has ignored it since 2023."""


class LogStreams:
    """The streams of every group."""

    def __init__(self, clock: Clock, tables: LogTables, groups: LogGroups) -> None:
        self._clock = clock
        self._tables = tables
        self._groups = groups

    def CreateLogStream(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Make an empty stream in a group that exists."""
        group, name = request["logGroupName"], request["logStreamName"]
        call.resource = self.arn(call.region, group, name)
        self._groups.get(call.region, group)
        if not self._tables.add_stream(call.region, group, name, int(self._clock.time() * 1000)):
            raise already_exists("stream")
        return {}

    def DeleteLogStream(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Remove a stream with its events."""
        group, name = request["logGroupName"], request["logStreamName"]
        call.resource = self.arn(call.region, group, name)
        self._groups.get(call.region, group)
        if not self._tables.delete_streams(call.region, group, name):
            raise stream_not_found()
        return {}

    def DescribeLogStreams(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Streams by name (with a prefix) or by their last event, 50 at a time."""
        group = self._groups.named(request)
        call.resource = self._groups.arn(call.region, group)
        prefix, by_time = request.get("logStreamNamePrefix", ""), request.get("orderBy") == "LastEventTime"
        if prefix and by_time:
            raise invalid_parameter("Cannot order by LastEventTime with a logStreamNamePrefix.")
        self._groups.get(call.region, group)

        def key(row: sqlite3.Row) -> tuple[int, str]:
            return ((row["last_event"] or 0) if by_time else 0, row["name"])

        descending = request.get("descending", False)
        rows = sorted(self._tables.streams(call.region, group, prefix), key=key, reverse=descending)
        if request.get("nextToken"):
            last = _key_of(request["nextToken"])
            rows = [row for row in rows if (key(row) < last if descending else key(row) > last)]
        limit = request.get("limit", 50)
        answer: dict[str, Any] = {"logStreams": [self._described(row) for row in rows[:limit]]}
        if len(rows) > limit:
            answer["nextToken"] = token(json.dumps(key(rows[limit - 1])))
        return answer

    def get(self, region: str, group: str, name: str) -> sqlite3.Row:
        """The row of a stream; ResourceNotFoundException says whether the group or the stream is missing."""
        self._groups.get(region, group)
        row = self._tables.stream(region, group, name)
        if row is None:
            raise stream_not_found()
        return row

    def arn(self, region: str, group: str, name: str) -> str:
        """The ARN of a stream."""
        return f"{self._groups.arn(region, group)}:log-stream:{name}"

    def _described(self, row: sqlite3.Row) -> dict[str, Any]:
        members = {
            "logStreamName": row["name"],
            "creationTime": row["creation_time"],
            "firstEventTimestamp": row["first_event"],
            "lastEventTimestamp": row["last_event"],
            "lastIngestionTime": row["last_ingestion"],
            "uploadSequenceToken": SEQUENCE_TOKEN,
            "arn": self.arn(row["region"], row["log_group"], row["name"]),
            "storedBytes": 0,  # what AWS answers for streams since 2019; the group has the sum
        }
        return {member: value for member, value in members.items() if value is not None}


def _key_of(text: str) -> tuple[int, str]:
    try:
        time, name = json.loads(token_value(text))
        return int(time), str(name)
    except (ValueError, TypeError, RecursionError):
        raise invalid_parameter("The specified nextToken is invalid.") from None
