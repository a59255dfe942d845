"""What an environment writes, cut into log events: lines, and the frames in which the runtime client sends its log.

Both come through one pipe, so their order is the order in which they were written.
"""

from __future__ import annotations

from sagehound.localcloud.processes.output import LONGEST_LINE, pieces

FRAME_MARK = b"\xa5\x5a\x00"
"""Begins a frame; the fourth byte is its level. No UTF-8 text has these bytes in a row."""
FRAME_HEAD = 16


class OutputSplitter:
    """Bytes in, events out; what is not complete waits for the rest."""

    def __init__(self) -> None:
        self._waiting = b""

    def feed(self, data: bytes) -> list[str]:
        """The events that `data` completes."""
        rest = self._waiting + data if self._waiting else data
        events: list[str] = []
        while rest:
            mark = rest.find(FRAME_MARK)
            if mark == 0:
                frame = _frame(rest)
                if frame is None:
                    break
                events += _events(frame)
                rest = rest[FRAME_HEAD + len(frame) :]
                continue
            text = rest if mark < 0 else rest[:mark]
            lines, left = _lines(text)
            events += lines
            if mark < 0:
                rest = left
                break
            if left:  # a frame begins in the middle of a line: two threads wrote
                events += _events(left)
            rest = rest[mark:]
        self._waiting = rest
        return events

    def finish(self) -> list[str]:
        """What is left without its newline."""
        left, self._waiting = self._waiting, b""
        return _events(left) if left else []


def _frame(data: bytes) -> bytes | None:
    if len(data) < FRAME_HEAD:
        return None
    length = int.from_bytes(data[4:8], "big")
    if len(data) < FRAME_HEAD + length and len(data) < LONGEST_LINE:
        return None
    return data[FRAME_HEAD : FRAME_HEAD + length]


def _lines(text: bytes) -> tuple[list[str], bytes]:
    """Whole lines, and the beginning of the next one, which is not let grow beyond an event."""
    *lines, left = text.split(b"\n")
    *cut, left = pieces(left)
    return [event for line in lines for event in _events(line)] + [_text(piece) for piece in cut], left


def _events(line: bytes) -> list[str]:
    """One, unless it is too long for that."""
    return [_text(piece) for piece in pieces(line.removesuffix(b"\n"))]


def _text(piece: bytes) -> str:
    return piece.decode("utf-8", "replace").removesuffix("\r")
