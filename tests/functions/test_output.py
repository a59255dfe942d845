"""Bytes of an environment as log events."""

from __future__ import annotations

import pytest

from sagehound.localcloud.functions.output import OutputSplitter
from sagehound.localcloud.processes.output import LONGEST_LINE


def frame(text: str) -> bytes:
    encoded = text.encode()
    return b"\xa5\x5a\x00\x0f" + len(encoded).to_bytes(4, "big") + b"\0" * 8 + encoded


OUTPUT = b"first\n" + frame("a frame\nof two lines") + b"second\nnot ended " + frame("in between") + "dräi\n".encode()
EVENTS = ["first", "a frame\nof two lines", "second", "not ended ", "in between", "dräi"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 1000])
def test_events_do_not_depend_on_how_the_bytes_come(size: int) -> None:
    splitter = OutputSplitter()
    # Byte by byte the beginning of a frame cannot be told from text, so an unended line before it may come later.
    found = [event for start in range(0, len(OUTPUT), size) for event in splitter.feed(OUTPUT[start : start + size])]
    assert found + splitter.finish() == EVENTS


def test_a_line_without_its_newline_is_there_at_the_end() -> None:
    splitter = OutputSplitter()
    assert splitter.feed(b"whole\npart") == ["whole"]
    assert splitter.finish() == ["part"]
    assert splitter.finish() == []


def test_an_endless_line_is_cut_so_that_it_is_not_held() -> None:
    splitter = OutputSplitter()
    events = [event for _ in range(10) for event in splitter.feed(b"x" * 100_000)]
    left = splitter.finish()
    assert {len(event) for event in events} == {LONGEST_LINE}
    assert sum(map(len, events + left)) == 1_000_000


def test_a_character_where_a_line_is_cut_stays_whole() -> None:
    splitter = OutputSplitter()
    line = "x" + "ä" * LONGEST_LINE
    assert "".join(splitter.feed(f"{line}\n".encode())) == line
    assert "".join([*splitter.feed(line.encode()), *splitter.finish()]) == line


def test_an_endless_frame_is_cut_too() -> None:
    splitter = OutputSplitter()
    events = splitter.feed(b"\xa5\x5a\x00\x0f" + (1 << 31).to_bytes(4, "big") + b"\0" * 8 + b"x" * (2 * LONGEST_LINE))
    assert sum(map(len, events)) >= LONGEST_LINE


def test_an_empty_line_is_an_event() -> None:
    assert OutputSplitter().feed(b"a\n\nb\n") == ["a", "", "b"]
