"""FilterLogEvents: the events of many streams in order of time, those that match a pattern."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator
from typing import Any

from sagehound.localcloud.call import Call
from sagehound.localcloud.services.logs.errors import invalid_parameter
from sagehound.localcloud.services.logs.filter_pattern import compile_pattern
from sagehound.localcloud.services.logs.groups import LogGroups, token, token_value
from sagehound.localcloud.services.logs.streams import LogStreams
from sagehound.localcloud.services.logs.tables import LARGEST_PAGE, LAST, LogTables, Position, event_size

SCANNED = 20_000
"""Events looked at in one call: a page may hold few matches, or none, and still have a token, as on AWS."""

SCANNED_BYTES = 8 * 1024 * 1024
"""Likewise, of their messages: meanwhile every other call waits."""

Place = tuple[int, int, int]
"""Timestamp, stream, sequence: the order of the answer."""


class FilteredEvents:
    """Searching a log group."""

    def __init__(self, tables: LogTables, groups: LogGroups, streams: LogStreams) -> None:
        self._tables = tables
        self._groups = groups
        self._streams = streams

    def FilterLogEvents(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Matching events of all, named or prefixed streams, interleaved by time, up to 10,000 or 1 MB a page."""
        group = self._groups.named(request)
        call.resource = self._groups.arn(call.region, group)
        matches = compile_pattern(request.get("filterPattern", ""))
        record = self._groups.get(call.region, group)
        names = self._wanted(call.region, group, request)
        backward = not request.get("startFromHead", True)
        start = Position(min(max(request.get("startTime", 0), self._groups.oldest_kept(record)), LAST.timestamp), 0)
        # endTime is inclusive here, as AWS documents it for this operation and no other.
        end = min(Position(request["endTime"] + 1, 0), LAST) if "endTime" in request else LAST
        place = _parse_token(request.get("nextToken"))
        found: list[dict[str, Any]] = []
        size, seen, last = 0, 0, None
        for scanned, row in enumerate(self._merged(names, start, end, place, backward)):
            full = len(found) >= request.get("limit", 10_000) or size > LARGEST_PAGE
            if full or scanned >= SCANNED or seen > SCANNED_BYTES:
                assert last is not None
                return {"events": found, "searchedLogStreams": [], "nextToken": token(repr(last))}
            last = (row["timestamp"], row["stream"], row["sequence"])
            seen += len(row["message"])
            if matches(row["message"]):
                size += event_size(row["message"])
                found.append(_event(row, names[row["stream"]]))
        return {"events": found, "searchedLogStreams": []}

    def _wanted(self, region: str, group: str, request: dict[str, Any]) -> dict[int, str]:
        listed, prefix = request.get("logStreamNames"), request.get("logStreamNamePrefix")
        if listed and prefix:
            raise invalid_parameter("logStreamNamePrefix and logStreamNames are mutually exclusive parameters.")
        if listed:
            rows = [self._streams.get(region, group, name) for name in dict.fromkeys(listed)]
        else:
            rows = self._tables.streams(region, group, prefix or "")
        return {row["id"]: row["name"] for row in rows}

    def _merged(
        self, names: dict[int, str], start: Position, end: Position, place: Place | None, backward: bool
    ) -> Iterator[sqlite3.Row]:
        """The events of all streams in order, from behind `place` on."""
        readers = []
        chunk = min(500, max(20, 5000 // max(1, len(names))))
        for stream in names:
            after, before = start, end
            if place is not None:
                edge = _edge(stream, place, backward)
                after, before = (after, min(before, edge)) if backward else (max(after, edge), before)
            readers.append(self._read(stream, after, before, chunk, backward))
        return heapq.merge(*readers, key=lambda row: (row["timestamp"], row["stream"]), reverse=backward)

    def _read(
        self, stream: int, after: Position, before: Position, chunk: int, backward: bool
    ) -> Iterator[sqlite3.Row]:
        while rows := self._tables.read(stream, after, before, chunk, backward=backward):
            yield from rows
            edge = Position(rows[-1]["timestamp"], rows[-1]["sequence"])
            after, before = (after, edge) if backward else (edge, before)


def _edge(stream: int, place: Place, backward: bool) -> Position:
    """Where a stream goes on when the last event of the page before was `place`, maybe of another stream."""
    timestamp, last_stream, sequence = place
    if stream == last_stream:
        return Position(timestamp, sequence)
    done_with_that_moment = stream > last_stream if backward else stream < last_stream
    if backward:
        return Position(timestamp, 0) if done_with_that_moment else Position(timestamp, LAST.sequence)
    return Position(timestamp, LAST.sequence) if done_with_that_moment else Position(timestamp, 0)


def _event(row: sqlite3.Row, name: str) -> dict[str, Any]:
    return {
        "logStreamName": name,
        "timestamp": row["timestamp"],
        "message": row["message"],
        "ingestionTime": row["ingestion"],
        "eventId": f"{row['timestamp']:028d}{row['stream']:014d}{row['sequence']:014d}",
    }


def _parse_token(text: str | None) -> Place | None:
    if text is None:
        return None
    try:
        timestamp, stream, sequence = (int(field) for field in token_value(text).strip("()").split(","))
    except ValueError:
        raise invalid_parameter("The specified nextToken is invalid.") from None
    return min(timestamp, LAST.timestamp), stream, min(sequence, LAST.sequence)
