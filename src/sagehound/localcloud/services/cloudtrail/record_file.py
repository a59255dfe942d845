"""The record of calls read backwards: whole lines, newest first, over the file and the one before it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

_BLOCK = 1 << 18
"""Bytes read at once; small, because a search in one holds the interpreter's lock."""
_IDENTIFYING = 4096


class Position(NamedTuple):
    """Where a reader has come to: everything before `offset` of this file, and the older file, is still to be read."""

    file: str
    offset: int


class Block(NamedTuple):
    """Whole lines, in the order in which they were written."""

    file: str
    offset: int
    lines: bytes


def blocks(record: Path, start: Position | None = None) -> Iterator[Block]:
    """The lines before `start`, all when it is None, in blocks from the newest on.

    A last line that has no end yet, since a power cut has torn it or it is being written, is left out. LookupError
    when `start` is no place in the record; nothing when its file is gone, because all that was older is gone too.
    """
    names = (record, record.with_suffix(".1.jsonl"))
    seen: set[str] = set()
    sought = start
    for path in names:
        try:
            file = path.open("rb")
        except FileNotFoundError:
            continue
        with file:
            name = _identity(file)
            if name is None or name in seen:  # turned over between the two: this is the file that was read already
                continue
            seen.add(name)
            if sought is None:
                yield from _blocks(file, name, file.seek(0, 2))
            elif sought.file == name:
                _check(file, sought.offset)
                yield from _blocks(file, name, sought.offset)
                sought = None


def _identity(file: IO[bytes]) -> str | None:
    """A file's first line, as a name that stays with it when it is turned over; None before it has one."""
    file.seek(0)
    first, end, _ = file.read(_IDENTIFYING).partition(b"\n")
    return hashlib.sha256(first).hexdigest()[:16] if end or len(first) == _IDENTIFYING else None


def _check(file: IO[bytes], offset: int) -> None:
    """Refuse an offset at which no line ends."""
    if offset > 0:
        file.seek(offset - 1)
        if file.read(1) == b"\n":
            return
    elif offset == 0:
        return
    raise LookupError(f"no line ends at {offset}")


def _blocks(file: IO[bytes], name: str, end: int) -> Iterator[Block]:
    rest = b""
    position = end
    while position > 0:
        size = min(_BLOCK, position)
        position -= size
        file.seek(position)
        found = file.read(size) + rest
        begin = 0
        if position > 0:  # the first line began in an earlier block
            begin = found.find(b"\n") + 1
            if begin == 0:
                rest = found
                continue
        rest = found[:begin]
        lines = found[begin : found.rfind(b"\n") + 1]
        if lines:
            yield Block(name, position + begin, lines)
