"""The client side of the inference container: keep-alive connections to one model server, as few steps as can be."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import httptools

KEY_HEADER = "x-key"
CONNECT_TIMEOUT = 0.25
"""AWS's limit for a container to accept a connection; on loopback the kernel accepts, unless the backlog is full."""


@dataclass(slots=True)
class Reply:
    """An answer of the container; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Unreachable(ConnectionError):
    """No connection was made: nothing has been sent."""


class Lost(ConnectionError):
    """The connection ended between the request and the whole answer."""


class Connections:
    """A pool of connections to 127.0.0.1:`port`: as many as there are requests at a time, kept for the next ones.

    `key` is what the server asks of whoever wants an answer: on loopback everybody could.
    """

    def __init__(self, port: int, key: str = "") -> None:
        self.port = port
        self._known_by = {KEY_HEADER: key} if key else {}
        self._idle: list[_Connection] = []
        self._all: set[_Connection] = set()
        self._closed = False

    async def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"", *, limit: float
    ) -> Reply:
        """The answer; Unreachable, Lost, or TimeoutError after `limit` seconds (the connection is then closed)."""
        connection = self._idle.pop() if self._idle else await self._connect()
        try:
            reply = await connection.send(_head(method, path, {**headers, **self._known_by}, len(body)), body, limit)
        except BaseException:
            connection.close()
            raise
        if connection.reusable and not self._closed:
            self._idle.append(connection)
        else:
            connection.close()
        return reply

    def close(self) -> None:
        """Close the idle connections now, the busy ones after their answers."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def abort(self) -> None:
        """Close all connections: the server is gone."""
        self._closed = True
        for connection in tuple(self._all):
            connection.close()

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                _, connection = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self.port)
        except OSError as error:  # TimeoutError is one of them
            raise Unreachable(f"no connection to 127.0.0.1:{self.port}: {error}") from error
        return connection

    def _made(self, connection: _Connection) -> None:
        self._all.add(connection)

    def _gone(self, connection: _Connection) -> None:
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)


class _Connection(asyncio.Protocol):
    """One connection, one request at a time; httptools calls the `on_...` methods while it parses the answer."""

    def __init__(self, pool: Connections) -> None:
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Reply] | None = None
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self.reusable = True

    async def send(self, head: bytes, body: bytes, limit: float) -> Reply:
        """Write the request and wait for the whole answer."""
        if self._transport is None or self._transport.is_closing():
            raise Lost("the connection was closed before the request")
        loop = asyncio.get_running_loop()
        self._answer = loop.create_future()
        self._headers, self._body = {}, []
        timer = loop.call_later(limit, self._expire)
        # Small bodies go out in one packet; large ones are not copied behind the head.
        if len(body) <= 65536:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))
        try:
            return await self._answer
        finally:
            timer.cancel()
            self._answer = None

    def close(self) -> None:
        """End the connection at once."""
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the connection stands."""
        self._transport = cast(asyncio.Transport, transport)
        self._pool._made(self)

    def data_received(self, data: bytes) -> None:
        """asyncio: a piece of the answer."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(Lost(f"the answer is no HTTP: {error}"))
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the connection has ended."""
        self.reusable = False
        self._pool._gone(self)
        self._fail(Lost("the model server closed the connection"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: one header."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """httptools: a piece of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """httptools: the answer is whole."""
        status = self._parser.get_status_code()
        if status < 200:
            self._headers, self._body = {}, []
            return
        self.reusable = self.reusable and self._parser.should_keep_alive()
        if self._answer is not None and not self._answer.done():
            body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            self._answer.set_result(Reply(status, self._headers, body))
        else:
            self.close()  # an answer to nothing: whatever comes next would be taken for another one's

    def _expire(self) -> None:
        self._fail(TimeoutError("no answer in time"))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


def model_error(status: int, said: str, region: str, account_id: str, endpoint: str) -> str:
    """AWS's words around those of a container that did not answer with 2xx; status 0 when it did not answer."""
    who = "client" if 400 <= status < 500 else "server"
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    return (
        f'Received {who} error ({status}) from primary with message "{said}". See '
        f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#logEventViewer:group={group} in "
        f"account {account_id} for more information."
    )


_NO_LINE_ENDS = {ord(character): " " for character in "\r\n\0"}


def _head(method: str, path: str, headers: Mapping[str, str], length: int) -> bytes:
    """A header that somebody else wrote, as the type of an object in S3, stays one header."""
    lines = [f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {length}\r\n"]
    lines += [f"{name}: {value.translate(_NO_LINE_ENDS)}\r\n" for name, value in headers.items()]
    lines.append("\r\n")
    return "".join(lines).encode("latin-1", "replace")
