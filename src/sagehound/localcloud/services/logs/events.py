"""Log events: put them into a stream, read a stream in either direction."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

from sagehound.localcloud.call import Call
from sagehound.localcloud.services.logs.errors import invalid_parameter
from sagehound.localcloud.services.logs.groups import DAY, LogGroups
from sagehound.localcloud.services.logs.streams import SEQUENCE_TOKEN, LogStreams
from sagehound.localcloud.services.logs.tables import FIRST, LAST, LogTables, Position, event_size
from sagehound.localcloud.state.clock import Clock

LARGEST = 1_048_576
"""Bytes of one event and of one PutLogEvents."""
TOO_OLD, TOO_NEW = 14 * DAY, 2 * 3_600_000
_TOKEN = re.compile(r"([fb])/(\d{32})(\d{24})/s")


class LogEvents:
    """The events of every stream."""

    def __init__(self, clock: Clock, tables: LogTables, groups: LogGroups, streams: LogStreams) -> None:
        self._clock = clock
        self._tables = tables
        self._groups = groups
        self._streams = streams

    def PutLogEvents(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Add a batch in order of time; events that are too old, too new or expired are left out and told."""
        group, name, events = request["logGroupName"], request["logStreamName"], request["logEvents"]
        call.resource = self._streams.arn(call.region, group, name)
        _check_batch(events)
        stream = self._streams.get(call.region, group, name)
        now = int(self._clock.time() * 1000)
        expired = self._groups.oldest_kept(self._groups.get(call.region, group))
        rejected: dict[str, int] = {}
        too_old = sum(event["timestamp"] < now - TOO_OLD for event in events)
        too_expired = sum(event["timestamp"] < expired for event in events)
        accepted_end = sum(event["timestamp"] <= now + TOO_NEW for event in events)
        if too_old:
            rejected["tooOldLogEventEndIndex"] = too_old
        if too_expired:
            rejected["expiredLogEventEndIndex"] = too_expired
        if accepted_end < len(events):
            rejected["tooNewLogEventStartIndex"] = accepted_end
        kept = events[max(too_old, too_expired) : accepted_end]
        self._tables.append(stream, [(event["timestamp"], event["message"]) for event in kept], now)
        answer: dict[str, Any] = {"nextSequenceToken": SEQUENCE_TOKEN}
        return {**answer, "rejectedLogEventsInfo": rejected} if rejected else answer

    def GetLogEvents(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """A page of one stream: its end, its beginning (startFromHead), or where a token says.

        A token at the end of its direction is answered with itself: that is how clients know that they have all.
        """
        group, name = self._groups.named(request), request["logStreamName"]
        call.resource = self._streams.arn(call.region, group, name)
        stream = self._streams.get(call.region, group, name)
        oldest = self._groups.oldest_kept(self._groups.get(call.region, group))
        after = Position(min(max(request.get("startTime", 0), oldest), LAST.timestamp), 0)
        before = min(Position(request["endTime"], 0), LAST) if "endTime" in request else LAST
        backward = not request.get("startFromHead", False)
        place = None
        if "nextToken" in request:
            direction, place = _parse_token(request["nextToken"])
            backward = direction == "b"
            after, before = (after, min(before, place)) if backward else (max(after, place), before)
        limit = request.get("limit", 10_000)
        rows = self._tables.read(stream["id"], after, before, limit, backward=backward)
        if backward:
            rows.reverse()
        return {
            "events": [
                {"timestamp": row["timestamp"], "message": row["message"], "ingestionTime": row["ingestion"]}
                for row in rows
            ],
            **_tokens(rows, place, backward),
        }


def _check_batch(events: list[dict[str, Any]]) -> None:
    sizes = [event_size(event["message"]) for event in events]
    if max(sizes) > LARGEST:
        raise invalid_parameter(f"Log event too large: {max(sizes)} bytes exceeds limit of {LARGEST}")
    if sum(sizes) > LARGEST:
        raise invalid_parameter(f"Upload too large: {sum(sizes)} bytes exceeds limit of {LARGEST}")
    times = [event["timestamp"] for event in events]
    if times != sorted(times):
        raise invalid_parameter("Log events in a single PutLogEvents request must be in chronological order.")
    if times[-1] - times[0] > DAY:
        raise invalid_parameter(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."
        )


def _tokens(rows: list[sqlite3.Row], place: Position | None, backward: bool) -> dict[str, str]:
    if rows:
        first, last = (Position(row["timestamp"], row["sequence"]) for row in (rows[0], rows[-1]))
    elif place is None:
        first = last = FIRST
    elif backward:
        first, last = place, Position(place.timestamp, max(0, place.sequence - 1))
    else:
        first, last = Position(place.timestamp, place.sequence + 1), place
    return {"nextForwardToken": _token("f", last), "nextBackwardToken": _token("b", first)}


def _token(direction: str, place: Position) -> str:
    return f"{direction}/{place.timestamp:032d}{place.sequence:024d}/s"


def _parse_token(text: str) -> tuple[str, Position]:
    match = _TOKEN.fullmatch(text)
    if match is None:
        raise invalid_parameter("The specified nextToken is invalid.")
    return match[1], Position(min(int(match[2]), 2**62), min(int(match[3]), 2**62))
