"""Bytes of a program's output into lines, with the offset behind each line so that reading can go on there."""

from __future__ import annotations

from collections.abc import Iterator

LONGEST_LINE = 256 * 1024
"""Bytes; a longer line is fed in pieces (CloudWatch Logs takes events up to this size)."""


class LineSplitter:
    """Splits at newlines only. Of a line that overwrote itself with carriage returns the last stays."""

    def __init__(self, offset: int) -> None:
        self._offset = offset
        self._rest = b""

    @property
    def read_offset(self) -> int:
        """Where in the file the next bytes to feed lie."""
        return self._offset + len(self._rest)

    def feed(self, data: bytes) -> Iterator[tuple[str, int]]:
        """Every line that `data` completes, with the offset behind it."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            *cut, last = pieces(line)
            for piece in cut:
                self._offset += len(piece)
                yield _text(piece), self._offset
            self._offset += len(last) + 1
            yield _text(last), self._offset
        *cut, self._rest = pieces(self._rest)
        for piece in cut:
            self._offset += len(piece)
            yield _text(piece), self._offset

    def finish(self) -> Iterator[tuple[str, int]]:
        """The last line of an ended program when no newline closed it."""
        rest, self._rest = self._rest, b""
        if rest:
            self._offset += len(rest)
            yield _text(rest), self._offset


def pieces(line: bytes) -> list[bytes]:
    """`line` cut where it is too long, never inside a UTF-8 character; the last piece is what is left."""
    cut = []
    while len(line) > LONGEST_LINE:
        end = LONGEST_LINE
        while end > LONGEST_LINE - 4 and line[end] & 0xC0 == 0x80:
            end -= 1
        cut.append(line[:end])
        line = line[end:]
    return [*cut, line]


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r").rpartition("\r")[2]
