"""A connection as uvicorn's parser reads it, with bounds on what comes before a request's body: bytes and seconds."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sagehound.localcloud.interception.reason import ReasonedTransport, tells_reasons

MAX_HEAD_BYTES = 128 * 1024
"""Of request line and headers; S3 takes 8 KB of headers, and a presigned URL may carry a session policy."""
HEAD_SECONDS = 65.0
"""For a request line and its headers to arrive, once the connection or the request has begun."""
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedConnection(HttpToolsProtocol):
    """Ends connections whose headers never end: uvicorn keeps what it has got of them for ever."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_head = False
        self._requests = 0
        self._head_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.client is None:
            # It has been reset. What it had sent could still be read, but no rule about addresses could be applied.
            transport.abort()
            return
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; what adds to the same unfinished headers is counted (a first piece is small beside the bound)."""
        before = self._in_head, self._requests
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        if before == (True, self._requests):
            self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._stop_timer()
            self.transport.write(_TOO_LARGE)
            self.transport.close()
        elif self._timer is None:
            self._start_timer()

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        self._requests += 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self.end_head()
        super().on_headers_complete()
        if self.cycle is not None and tells_reasons(self.headers):
            self.cycle.transport = ReasonedTransport(self.transport)  # type: ignore[assignment]

    def end_head(self) -> None:
        """A head is complete: what comes now is bounded by others."""
        self._in_head = False
        self._stop_timer()

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self._too_late)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self.transport.close()
