"""Putting an answer on the wire: bytes at once, files and streams in pieces that never fill the memory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from sagehound.localcloud.call import FileRange
from sagehound.localcloud.wire.protocol import WireResponse

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PIECE = 1024 * 1024
"""Bytes of a file that are in memory at once, for one answer."""
WATCHED = 8 * 1024 * 1024
"""Above it, it is worth looking whether the client is still there."""
SMALL = 256 * 1024
"""Up to here reading on the loop costs less than handing the read to a thread."""


async def send_response(response: WireResponse, method: str, send: Send, receive: Receive | None = None) -> None:
    """Send status, headers and body; the answer to HEAD has its headers only.

    With `receive` (of a request whose body has been read) a file or stream ends when its client has gone: what is sent
    to nobody is dropped without a word, and a large object would be read to its end for it.
    """
    headers = [(name.lower().encode("latin-1"), _header_value(value)) for name, value in response.headers]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    body = response.body
    if method == "HEAD" or response.status in (204, 304):
        body = b""
    if isinstance(body, bytes):
        await send({"type": "http.response.body", "body": body})
        return
    pieces = _file_pieces(body) if isinstance(body, FileRange) else body
    large = not isinstance(body, FileRange) or body.length > WATCHED
    watch = asyncio.ensure_future(_disconnected(receive)) if receive is not None and large else None
    try:
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if watch is not None and watch.done():
                return
        await send({"type": "http.response.body", "body": b""})
    finally:
        if watch is not None:
            watch.cancel()
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _header_value(value: str) -> bytes:
    """A line break inside a value would start a header of somebody else's."""
    return value.replace("\r", " ").replace("\n", " ").encode()


async def _file_pieces(span: FileRange) -> AsyncIterator[bytes]:
    descriptor = os.open(span.path, os.O_RDONLY)
    try:
        offset, end = span.offset, span.offset + span.length
        while offset < end:
            want = min(PIECE, end - offset)
            if span.length <= SMALL:
                piece = os.pread(descriptor, want, offset)
            else:
                piece = await asyncio.to_thread(os.pread, descriptor, want, offset)
            if not piece:
                raise OSError(f"{span.path} ended at byte {offset}, before its recorded length")
            offset += len(piece)
            yield piece
    finally:
        os.close(descriptor)
