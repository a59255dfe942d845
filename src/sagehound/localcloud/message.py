"""The HTTP message as ASGI hands it over: its headers, and its body as it arrives, read with bounds."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from sagehound.localcloud.call import Body, HttpRequest
from sagehound.localcloud.errors import AwsError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class ClientGone(Exception):
    """The client closed its connection before its request was complete: there is nobody to answer."""


def http_request(scope: Scope, chunks: Callable[[], AsyncIterator[bytes]]) -> HttpRequest:
    """The request of an ASGI scope; `chunks` are its body."""
    client = scope.get("client") or ("", 0)
    return HttpRequest(
        method=scope["method"],
        raw_path=scope["raw_path"].decode("latin-1"),
        query_string=scope["query_string"].decode("latin-1"),
        headers=_headers(scope["headers"]),
        scheme=scope["scheme"],
        client=client[0],
        receive=chunks,
    )


def _headers(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Lower-case names; a repeated header is joined with commas, as HTTP has it. Values that are UTF-8 stay so."""
    headers: dict[str, str] = {}
    repeated: dict[str, list[str]] = {}
    for name_bytes, value_bytes in raw:
        name = name_bytes.decode("latin-1").lower()
        try:
            value = value_bytes.decode()
        except UnicodeDecodeError:
            value = value_bytes.decode("latin-1")
        if name in headers:
            repeated.setdefault(name, [headers[name]]).append(value)
        else:
            headers[name] = value
    for name, values in repeated.items():
        headers[name] = ",".join(values)
    return headers


class Message:
    """The body of one request as it arrives, and whether anybody has asked for it."""

    def __init__(self, receive: Receive) -> None:
        self.receive = receive
        self.asked_for = self.ended = False

    async def chunks(self) -> AsyncIterator[bytes]:
        """The pieces of the body; ClientGone when it breaks off."""
        self.asked_for = True
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            more = message.get("more_body", False)
            self.ended = not more
            if chunk := message.get("body", b""):
                yield chunk


def is_gzip(http: HttpRequest) -> bool:
    """botocore compresses large inputs of operations whose model allows it (PutMetricData)."""
    return http.headers.get("content-encoding", "").lower() == "gzip"


def decompress(body: bytes, limit: int) -> bytes:
    """What a gzip body unpacks to: at most `limit` bytes."""
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        plain = inflater.decompress(body, limit)
    except zlib.error as reason:
        raise AwsError(
            "SerializationException", f"The body is not gzip, as its Content-Encoding says: {reason}"
        ) from reason
    if not inflater.eof:
        raise AwsError("RequestEntityTooLarge", f"The body is cut short or unpacks to over {limit} bytes.", 413)
    return plain


async def read_away(body: Body, limit: int) -> None:
    """To the end, where the signature is verified, without keeping any of it."""
    async for _ in _bounded(body, limit):
        pass


async def read(http: HttpRequest, limit: int) -> bytes:
    """The whole body as it was sent: at most `limit` bytes."""
    return b"".join([chunk async for chunk in _bounded(http.receive(), limit)])


async def _bounded(chunks: AsyncIterable[bytes], limit: int) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise AwsError("RequestEntityTooLarge", f"The request body exceeds {limit} bytes.", 413)
        yield chunk
