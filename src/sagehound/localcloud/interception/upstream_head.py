"""CONNECT as a client says it to another proxy: the head is sent, the answer's head read, the rest is the tunnel's."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Callable
from typing import Any

from sagehound.localcloud.interception.hosts import Authority

_MOST_BYTES = 64 * 1024


async def ask_upstream(
    host: str,
    port: int,
    asked: Authority,
    *,
    secure: bool,
    credentials: str | None,
    via: str,
    end: Callable[[], asyncio.Protocol],
) -> tuple[asyncio.Transport | None, str]:
    """A tunnel to `asked` by the proxy at `host`, its protocol made by `end`; None and the status line of a refusal.

    OSError when the proxy cannot be reached or goes away, ValueError when it does not speak HTTP.
    """
    loop = asyncio.get_running_loop()
    transport: Any
    head: _Head
    transport, head = await loop.create_connection(
        lambda: _Head(loop.create_future()), host, port, ssl=ssl.create_default_context() if secure else None
    )
    name = f"[{asked.host}]:{asked.port}" if ":" in asked.host else f"{asked.host}:{asked.port}"
    lines = [f"CONNECT {name} HTTP/1.1", f"Host: {name}", f"Via: {via}"]
    if credentials is not None:
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(credentials.encode()).decode()}")
    try:
        transport.write("\r\n".join([*lines, "", ""]).encode())
        status_line, rest = await head.answered
    except BaseException:
        transport.abort()
        raise
    if status_line.split(" ", 2)[1:2] != ["200"]:
        transport.abort()
        return None, status_line
    protocol = end()
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    if rest:
        protocol.data_received(rest)
    if head.ended:
        transport.close()
    return transport, status_line


class _Head(asyncio.Protocol):
    """Reads up to the empty line."""

    def __init__(self, answered: asyncio.Future[tuple[str, bytes]]) -> None:
        self.answered = answered
        self.ended = False
        self._read = bytearray()
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, empty, rest = bytes(self._read).partition(b"\r\n\r\n")
        if self.answered.done():
            return
        if empty:
            # What follows belongs to the tunnel: it waits until the tunnel's own end reads.
            self._transport.pause_reading()
            line = head.split(b"\r\n", 1)[0].decode("latin-1")
            if line.startswith("HTTP/1."):
                self.answered.set_result((line, rest))
            else:
                self.answered.set_exception(ValueError("it does not speak HTTP"))
        elif len(self._read) > _MOST_BYTES:
            self.answered.set_exception(ValueError("its answer does not end"))

    def eof_received(self) -> bool:
        self.ended = True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        if not self.answered.done():
            self.answered.set_exception(exc or ConnectionResetError("it has closed the connection"))
