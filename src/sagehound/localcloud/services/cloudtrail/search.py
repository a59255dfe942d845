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
_MOST_EVENTS = 5000
"""What a page may look at, a fifth of a second: other calls wait for the interpreter meanwhile."""
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
    """Up to `count` events before `start`, newest first, and where to go on; None when no further one is there.

    There may be fewer, or none, before a place to go on from: a page looks at so many events and not at more.
    """
    found: list[Event] = []
    place: Position | None = None
    for looked_at, (event, position) in enumerate(_candidates(record, search, start)):
        matching = event is not None and search.matches(event)
        if (matching and len(found) == count) or looked_at == _MOST_EVENTS:
            return found, place
        if matching and event is not None:
            found.append(event)
        place = position
    return found, None


def _candidates(record: Path, search: Search, start: Position | None) -> Iterator[tuple[Event | None, Position]]:
    """Events that may match and the positions of their lines: what is before one was written before its event."""
    traces = [_region_trace(search.region)]
    if search.attribute is not None:
        traces.insert(0, _attribute_trace(*search.attribute))
    for block in blocks(record, start):
        if not all(trace.search(block.lines) for trace in traces):
            continue
        for offset, line in _backwards(block):
            if all(trace.search(line) for trace in traces) and _in_time(line, search):
                yield _event(line, search.account_id), Position(block.file, offset)


def _backwards(block: Block) -> Iterator[tuple[int, bytes]]:
    offset = block.offset + len(block.lines)
    for line in reversed(block.lines[:-1].split(b"\n")):
        offset -= len(line) + 1
        yield offset, line


def _attribute_trace(key: str, value: str) -> re.Pattern[bytes]:
    """What every line contains that can match an attribute."""
    if key == "EventSource":
        text = rf'"action":"(?:{"|".join(map(re.escape, names.services_of(value)))}):'
    elif key == "ReadOnly":
        text = rf'"action":"[^":]*:{names.reading(value == "true")}'
    elif key == "ResourceType":
        text = names.resource_pattern(value)
    else:
        text = re.escape(json.dumps(value)[1:-1])
    return re.compile(text.encode())


def _region_trace(region: str) -> re.Pattern[bytes]:
    """What every line contains whose event is one of this region."""
    text = rf'"region":"{re.escape(region)}"'
    return re.compile((f'{text}|"action":"iam:' if region == names.GLOBAL_REGION else text).encode())


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
