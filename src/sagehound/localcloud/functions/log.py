"""The log of one environment: its output and AWS's lines in order, handed on in batches, bounded in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from secrets import token_hex

from sagehound.localcloud.functions.output import OutputSplitter
from sagehound.localcloud.functions.spec import FunctionSpec

LogSink = Callable[[FunctionSpec, str, list[tuple[int, str]]], None]
"""Called with the version, the stream's name, and events of (milliseconds since 1970, text) in order."""

BATCH_SECONDS = 0.05
BATCH_EVENTS = 1000
BATCH_BYTES = 512 * 1024
TAIL_BYTES = 4096


def stream_name(version: str, seconds: float) -> str:
    """AWS's form: the day, the version, and 32 hexadecimal digits that are the environment."""
    return f"{time.strftime('%Y/%m/%d', time.gmtime(seconds))}/[{version}]{token_hex(16)}"


class EnvironmentLog:
    """Collects events of one stream; at most a batch of them is held."""

    def __init__(self, spec: FunctionSpec, sink: LogSink) -> None:
        self.stream = stream_name(spec.version, time.time())
        self._spec = spec
        self._sink = sink
        self._splitter = OutputSplitter()
        self._events: list[tuple[int, str]] = []
        self._size = 0
        self._tail: list[bytes] = []
        self._tail_size = 0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, line: str) -> None:
        """The first line of an invocation: the tail begins here."""
        self.end_line()
        self._tail, self._tail_size = [], 0
        self.line(line)

    def end(self, *lines: str) -> bytes:
        """The last lines of an invocation; the last 4 KB from its first to its last."""
        self.end_line()
        for line in lines:
            self.line(line)
        return b"".join(self._tail)[-TAIL_BYTES:]

    def write(self, output: bytes) -> None:
        """What the environment has written."""
        for event in self._splitter.feed(output):
            self.line(event)

    def line(self, text: str) -> None:
        """One event."""
        encoded = text.encode("utf-8", "replace") + b"\n"
        self._events.append((int(time.time() * 1000), text))
        self._size += len(encoded)
        self._keep_tail(encoded)
        if len(self._events) >= BATCH_EVENTS or self._size >= BATCH_BYTES:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(BATCH_SECONDS, self.flush)

    def _keep_tail(self, encoded: bytes) -> None:
        self._tail.append(encoded)
        self._tail_size += len(encoded)
        if self._tail_size > 16 * TAIL_BYTES:
            kept = b"".join(self._tail)[-TAIL_BYTES:]
            self._tail, self._tail_size = [kept], len(kept)

    def end_line(self) -> None:
        """What was written without a newline is a line of its own."""
        for event in self._splitter.finish():
            self.line(event)

    def flush(self) -> None:
        """Hand on what is held."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        events, self._events, self._size = self._events, [], 0
        if events:
            self._sink(self._spec, self.stream, events)

    def close(self) -> None:
        """The environment has ended."""
        self.end_line()
        self.flush()
