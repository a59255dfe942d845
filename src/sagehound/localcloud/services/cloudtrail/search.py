"""A search of the record: lines that cannot match are passed over unread, the others become events and are compared."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagehound.localcloud.services.cloudtrail import events, names
from sagehound.localcloud.services.cloudtrail.events import Event
from sagehound.localcloud.services.cloudtrail.record_file import Block, Position, blocks

_TIME = re.compile(rb'\{"time":([0-9.e+]+)')
_BEGIN = b'{"time":'


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for; a bound or an attribute that is None holds for every event."""

    region: str
    account_id: str
    after: float | None = None
    before: float | None = None
    attribute: tuple[str, str] | None = None

    def matches(self, event: Event) -> bool:
        """Whether the event is one of those looked for."""
        if event.region != self.region:
            return False
        if self.attribute is None:
            return True
        key, value = self.attribute
        if key == "ResourceType":
            return any(kind == value for kind, _, _ in event.resources)
        if key == "ResourceName":
            return any(value in (name, arn) for _, name, arn in event.resources)
        return str(event.members.get(key, "")) == value


def find(record: Path, search: Search, start: Position | None, count: int) -> tuple[list[Event], Position | None]:
    """Up to `count` events before `start`, newest first, and where to go on; None when no further one is there."""
    found: list[Event] = []
    place: Position | None = None
    for event, position in _matching(record, search, start):
        if len(found) == count:
            return found, place
        found.append(event)
        place = position
    return found, None


def _matching(record: Path, search: Search, start: Position | None) -> Iterator[tuple[Event, Position]]:
    """Events and the positions of their lines: what is before a position was written before its event."""
    trace = _trace(search.attribute)
    for block in blocks(record, start):
        if trace is not None and not trace.search(block.lines):
            continue
        for offset, line in _backwards(block):
            if (trace is None or trace.search(line)) and _in_time(line, search):
                event = _event(line, search.account_id)
                if event is not None and search.matches(event):
                    yield event, Position(block.file, offset)


def _backwards(block: Block) -> Iterator[tuple[int, bytes]]:
    offset = block.offset + len(block.lines)
    for line in reversed(block.lines[:-1].split(b"\n")):
        offset -= len(line) + 1
        yield offset, line


def _trace(attribute: tuple[str, str] | None) -> re.Pattern[bytes] | None:
    """What every line that can match contains; None when nothing can be said."""
    if attribute is None:
        return None
    key, value = attribute
    if key == "EventSource":
        services = (re.escape(service).encode() for service in names.services_of(value))
        return re.compile(rb'"action":"(?:' + b"|".join(services) + rb"):")
    if key in ("ReadOnly", "ResourceType"):
        return None
    return re.compile(re.escape(json.dumps(value)[1:-1].encode()))


def _in_time(line: bytes, search: Search) -> bool:
    if search.after is None and search.before is None:
        return True
    stamp = _TIME.search(line)
    if stamp is None:
        return False
    # Times of events are whole seconds, as AWS's are, so the bounds are held against those.
    moment = int(float(stamp[1]))
    return (search.after is None or moment >= int(search.after)) and (search.before is None or moment <= search.before)


def _event(line: bytes, account_id: str) -> Event | None:
    """The event of a line; None for a call that no event is about, and for a line that cannot be read."""
    try:
        fields: dict[str, Any] = json.loads(line)
    except ValueError:
        begin = line.rfind(_BEGIN)  # a line torn by a power cut stands before the next one without an end of its own
        if begin <= 0:
            return None
        return _event(line[begin:], account_id)
    return events.event(fields, account_id)
