"""A tunnel to another host: two connections, each writing what the other reads, no faster than it is taken away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

IDLE_SECONDS = 3600.0
"""Without a byte either way a tunnel is closed."""
_FLUSH_SECONDS = 60.0
"""For what was written last to be taken away."""


class Tunnel:
    """The two ends. It carries nothing until `begin`; `on_end` is told once, when both connections are closing."""

    def __init__(self, near: asyncio.Transport, on_end: Callable[[Tunnel], None]) -> None:
        self.near, self.far = End(self), End(self)
        self.near.other, self.far.other = self.far, self.near
        self.near.transport = near
        self.begun = False
        self._on_end = on_end
        self._over = False
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._idle = self._loop.call_later(IDLE_SECONDS, self._look)

    def begin(self) -> None:
        """Both connections are there: what has come meanwhile goes on first."""
        self.begun = True
        self.near.transport.set_protocol(self.near)
        for end in (self.far, self.near):
            end.begin()

    def note(self) -> None:
        """A byte has passed."""
        self._last = self._loop.time()

    def shutdown(self) -> None:
        """The server stops, or one end is lost: both end, once what was written to them is taken away."""
        if self._over:
            return
        self._over = True
        self._idle.cancel()
        for end in (self.near, self.far):
            if end.transport is not None:
                end.transport.close()
                self._loop.call_later(_FLUSH_SECONDS, end.transport.abort)
        self._on_end(self)

    def _look(self) -> None:
        idle = self._loop.time() - self._last
        if idle >= IDLE_SECONDS:
            self.shutdown()
        else:
            self._idle = self._loop.call_later(IDLE_SECONDS - idle, self._look)


class End(asyncio.Protocol):
    """One connection of a tunnel."""

    other: End

    def __init__(self, tunnel: Tunnel) -> None:
        self._tunnel = tunnel
        self.transport: Any = None
        self._early = b""
        self._ended = False

    def begin(self) -> None:
        """Pass on what has come before the tunnel was whole."""
        if self._early:
            self.other.transport.write(self._early)
            self._early = b""
        if self._ended:
            self._pass_end()
        elif not self.transport.is_closing():
            self.transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._tunnel.begun:
            self._early += data
            self.transport.pause_reading()
            return
        self._tunnel.note()
        self.other.transport.write(data)

    def eof_received(self) -> bool:
        """This side has said all that it will: the other may still answer."""
        self._ended = True
        return self._pass_end() if self._tunnel.begun else True

    def _pass_end(self) -> bool:
        if self.other._ended or not self.other.transport.can_write_eof():
            self._tunnel.shutdown()
            return False
        self.other.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._tunnel.shutdown()

    def pause_writing(self) -> None:
        self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self.other.transport.is_closing():
            self.other.transport.resume_reading()
