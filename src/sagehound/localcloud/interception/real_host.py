"""The real host behind a name that this cloud answers for, asked by way of the server's own proxy if it has one"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
from yarl import URL

from sagehound.localcloud.call import HttpRequest
from sagehound.localcloud.wire.protocol import WireResponse

VIA = "1.1 sagehound"
"""What a request of ours carries: a cloud that is its own way out does not ask itself again."""
_LIMITS = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
_PIECE = 1024 * 1024
_ASKED = ("accept", "accept-encoding", "if-modified-since", "if-none-match", "range", "user-agent")
_DROPPED = frozenset(
    {
        *("alt-svc", "connection", "keep-alive", "proxy-authenticate", "te", "trailer", "transfer-encoding", "upgrade"),
        "date",
    }
)
"""What is about a connection, and what an answer of ours has anyway."""


class NotGiven(Exception):
    """The host gave nothing; the text is why."""


class RealHost:
    """Asks a host by https. A redirection leads nowhere by itself: the client decides about it."""

    async def fetch(self, host: str, path: str, to: Path) -> None:
        """Write what lies at a path into a file; NotGiven."""
        try:
            async with _session() as session, session.get(_url(host, path), allow_redirects=False) as answer:
                if answer.status != 200:
                    raise NotGiven(f"it answers {answer.status} {answer.reason}")
                with to.open("wb") as file:
                    async for piece in answer.content.iter_chunked(_PIECE):
                        await asyncio.to_thread(file.write, piece)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NotGiven(_told(error)) from error

    async def forward(self, host: str, http: HttpRequest) -> WireResponse:
        """The host's own answer to a request without a body, as it comes; NotGiven."""
        asked = {name: http.headers[name] for name in _ASKED if name in http.headers}
        path = f"{http.raw_path}?{http.query_string}" if http.query_string else http.raw_path
        session = _session()
        try:
            answer = await session.request(http.method, _url(host, path), headers=asked, allow_redirects=False)
        except (aiohttp.ClientError, TimeoutError) as error:
            await session.close()
            raise NotGiven(_told(error)) from error
        except BaseException:
            await session.close()
            raise
        headers = [(name, value) for name, value in answer.headers.items() if name.lower() not in _DROPPED]
        if http.method == "HEAD":
            answer.close()
            await session.close()
            return WireResponse(answer.status, headers)
        return WireResponse(answer.status, headers, _pieces(session, answer))


def _session() -> aiohttp.ClientSession:
    # trust_env: the way out of this machine is the one that the server's environment names. Bytes stay as they are.
    return aiohttp.ClientSession(timeout=_LIMITS, trust_env=True, auto_decompress=False, headers={"Via": VIA})


def _url(host: str, path: str) -> URL:
    return URL(f"https://{host}{path}", encoded=True)


async def _pieces(session: aiohttp.ClientSession, answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for piece in answer.content.iter_chunked(_PIECE):
            yield piece
    finally:
        answer.close()
        await session.close()


def _told(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()
