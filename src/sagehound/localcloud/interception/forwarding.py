"""Plain http to other hosts: a proxied request is sent on as it came, and its answer back as it comes."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from sagehound.localcloud.interception.hosts import Authority
from sagehound.localcloud.interception.outward import CONNECT_SECONDS, Outward, Unreachable, told
from sagehound.localcloud.message import Receive, Scope

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_READ_SECONDS = 600.0
_PIECE = 256 * 1024
_HOP_BY_HOP = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization"),
        *(b"te", b"trailer", b"transfer-encoding", b"upgrade", b"expect", b"http2-settings"),
    }
)


def refusal(status: int, sentence: str) -> App:
    """An application that answers every request with a sentence."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        body = f"sagehound: {sentence}.\n".encode(errors="replace")
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
        headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer


class Forwarder:
    """Sends requests on."""

    def __init__(self, outward: Outward) -> None:
        self._outward = outward

    def to(self, origin: Authority) -> App:
        """The application that forwards to one host."""
        return functools.partial(self._answer, origin)

    async def _answer(self, origin: Authority, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noted(message: MutableMapping[str, Any]) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            upstream = self._outward.upstream("http", origin)
            if upstream is None and _is_address(origin.host):
                await self._outward.addresses(origin)  # aiohttp asks its resolver about names only
            connector = aiohttp.TCPConnector(resolver=None if upstream else _Checked(self._outward), force_close=True)
            async with aiohttp.ClientSession(
                connector=connector,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=_READ_SECONDS),
            ) as session:
                asked = session.request(
                    scope["method"],
                    _url(origin, scope),
                    headers=self._headers(scope),
                    data=_body(receive) if _has_body(scope) else None,
                    allow_redirects=False,
                    proxy=upstream.geturl() if upstream else None,
                )
                async with asked as answer:
                    await _send_on(answer, noted, None if _has_body(scope) else receive)
        except Unreachable as reason:
            await refusal(reason.status, reason.sentence)(scope, receive, send)
        except (aiohttp.ClientError, OSError) as reason:
            # An answer that has begun and breaks off is left as it is: the connection ends, and the client sees that.
            if not begun:
                cause = reason.__cause__ if isinstance(reason.__cause__, Unreachable) else None
                status, sentence = (cause.status, cause.sentence) if cause else (502, _told(origin, reason))
                await refusal(status, sentence)(scope, receive, send)

    def _headers(self, scope: Scope) -> list[tuple[str, str]]:
        named = {
            token.strip().lower()
            for name, value in scope["headers"]
            if name == b"connection"
            for token in value.split(b",")
        }
        kept = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in scope["headers"]
            if name not in _HOP_BY_HOP and name not in named
        ]
        # Spelt as the others are: aiohttp takes another spelling for a replacement, and loops would not be seen.
        return [*kept, ("via", self._outward.via)]


async def _send_on(answer: aiohttp.ClientResponse, send: Send, receive: Receive | None) -> None:
    """The answer as it comes. With `receive` (of a request without a body) it ends when its client has gone."""
    dropped = _HOP_BY_HOP | {b"date"} | ({b"content-length"} if answer.status in (204, 304) else set())
    headers = [(name.lower(), value) for name, value in answer.raw_headers if name.lower() not in dropped]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    watch = asyncio.ensure_future(_gone(receive)) if receive is not None else None
    try:
        async for piece in answer.content.iter_chunked(_PIECE):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if watch is not None and watch.done():
                return
        await send({"type": "http.response.body", "body": b""})
    finally:
        if watch is not None:
            watch.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class _ClientGone(OSError):
    """Nobody waits for the answer any more."""


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientGone("the client has gone")
        more = message.get("more_body", False)
        if chunk := message.get("body", b""):
            yield chunk


def _has_body(scope: Scope) -> bool:
    return any(
        (name == b"content-length" and value.strip() != b"0") or name == b"transfer-encoding"
        for name, value in scope["headers"]
    )


def _url(origin: Authority, scope: Scope) -> URL:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
    return URL(f"http://{host}:{origin.port}{path}{'?' + query if query else ''}", encoded=True)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _told(origin: Authority, reason: Exception) -> str:
    return f"{origin.host}:{origin.port} cannot be reached ({told(reason)})"


class _Checked(AbstractResolver):
    """Resolves for aiohttp, without the addresses that the proxy does not go to."""

    def __init__(self, outward: Outward) -> None:
        self._outward = outward

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        try:
            addresses = await self._outward.addresses(Authority(host, port))
        except Unreachable as reason:
            raise OSError(reason.sentence) from reason
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=10 if ":" in address else 2,
                proto=0,
                flags=4,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """There is nothing to close."""
