"""The Lambda Runtime API (2018-06-01) of one environment: the requests of its runtime client, parsed as bytes come.

One listener an environment. In a sandbox the client knows it by a name that only its own /etc/hosts has, and a request
that does not name it is refused: an environment that finds another one's port cannot speak for it.
"""

from __future__ import annotations

import asyncio
import json
from typing import Protocol, cast

import httptools

from sagehound.localcloud.functions.spec import Invocation

BASE = "/2018-06-01/runtime/"
RESPONSE_LIMIT = 6 * 1024 * 1024 + 100
ERROR_LIMIT = 1024 * 1024
PENDING_CONNECTIONS = 16


class Runtime(Protocol):
    """What the API tells of its client."""

    def on_next(self, client: RuntimeClient) -> None:
        """The client is ready and waits for an invocation."""

    def on_response(self, request_id: str, body: bytes, too_large: bool) -> bool:
        """The handler has answered; False when it was not asked."""

    def on_error(self, request_id: str, body: bytes) -> bool:
        """The handler has raised; False when it was not asked."""

    def on_init_error(self, body: bytes, error_type: str) -> bool:
        """The code could not be loaded; False when it was already."""


def _message(status: str, body: dict[str, str]) -> bytes:
    text = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    return head.encode() + text


ACCEPTED = _message("202 Accepted", {"status": "OK"})
TOO_LARGE = _message(
    "413 Request Entity Too Large",
    {
        "errorMessage": f"Exceeded maximum allowed payload size ({RESPONSE_LIMIT} bytes).",
        "errorType": "RequestEntityTooLarge",
    },
)
WRONG_ID = _message("400 Bad Request", {"errorMessage": "Invalid request ID", "errorType": "InvalidRequestID"})
WRONG_STATE = _message(
    "403 Forbidden", {"errorMessage": "State transition is not allowed", "errorType": "InvalidStateTransition"}
)
NO_ENVIRONMENT = _message("403 Forbidden", {"errorMessage": "Not this environment's API", "errorType": "Forbidden"})
NOT_FOUND = _message("404 Not Found", {"errorMessage": "Not found", "errorType": "NotFound"})
BAD_REQUEST = _message("400 Bad Request", {"errorMessage": "Bad request", "errorType": "BadRequest"})


def event_message(invocation: Invocation, deadline_ms: int) -> bytes:
    """The answer to `next`: the event, and in its headers whose it is and until when."""
    lines = [
        "HTTP/1.1 200 OK",
        "Content-Type: application/json",
        f"Lambda-Runtime-Aws-Request-Id: {invocation.request_id}",
        f"Lambda-Runtime-Deadline-Ms: {deadline_ms}",
        f"Lambda-Runtime-Invoked-Function-Arn: {invocation.invoked_arn}",
        f"Lambda-Runtime-Trace-Id: {_one_line(invocation.trace_id)}",
    ]
    if invocation.client_context:
        lines.append(f"Lambda-Runtime-Client-Context: {_one_line(invocation.client_context)}")
    lines.append(f"Content-Length: {len(invocation.payload)}\r\n\r\n")
    return "\r\n".join(lines).encode() + invocation.payload


def _one_line(text: str) -> str:
    """JSON may be written over several lines; a header may not."""
    return text.replace("\r", " ").replace("\n", " ")


class RuntimeClient(asyncio.Protocol):
    """A connection of the runtime client. The parser calls the on_... methods, in the order of the bytes."""

    def __init__(self, runtime: Runtime, host: bytes) -> None:
        self._runtime = runtime
        self._host = host
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._start()

    def _start(self) -> None:
        self._url = b""
        self._sent_host = b""
        self._error_type = ""
        self._expects = False
        self._parts: list[bytes] = []
        self._size = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.write(BAD_REQUEST)
            if self._transport is not None:
                self._transport.close()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        lowered = name.lower()
        if lowered == b"host":
            self._sent_host = value
        elif lowered == b"lambda-runtime-function-error-type":
            self._error_type = value.decode("latin-1")
        elif lowered == b"expect":
            self._expects = True

    def on_headers_complete(self) -> None:
        if self._expects:
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= RESPONSE_LIMIT:
            self._parts.append(data)
        else:
            self._parts.clear()

    def on_message_complete(self) -> None:
        url, body = self._url.decode("latin-1"), b"".join(self._parts)
        size, host, error_type = self._size, self._sent_host, self._error_type
        method = self._parser.get_method()
        self._start()
        if host != self._host:
            self.write(NO_ENVIRONMENT)
            return
        self._dispatch(method, url, body, size, error_type)

    def _dispatch(self, method: bytes, url: str, body: bytes, size: int, error_type: str) -> None:
        if not url.startswith(BASE):
            self.write(NOT_FOUND)
            return
        match method, url[len(BASE) :].split("/"):
            case b"GET", ["invocation", "next"]:
                self._runtime.on_next(self)
            case b"POST", ["invocation", request_id, "response"]:
                too_large = size > RESPONSE_LIMIT
                known = self._runtime.on_response(request_id, body, too_large)
                self.write(WRONG_ID if not known else TOO_LARGE if too_large else ACCEPTED)
            case b"POST", ["invocation", request_id, "error"]:
                self.write(ACCEPTED if self._runtime.on_error(request_id, body[:ERROR_LIMIT]) else WRONG_ID)
            case b"POST", ["init", "error"]:
                self.write(ACCEPTED if self._runtime.on_init_error(body[:ERROR_LIMIT], error_type) else WRONG_STATE)
            case _:
                self.write(NOT_FOUND)

    @property
    def connected(self) -> bool:
        return self._transport is not None

    def write(self, message: bytes) -> None:
        """Send a whole message, unless the client has gone."""
        if self._transport is not None:
            self._transport.write(message)


async def listen(runtime: Runtime, name: str) -> tuple[asyncio.Server, str]:
    """An API for one environment on a loopback port; what its client is told as AWS_LAMBDA_RUNTIME_API."""
    address: list[str] = []
    server = await asyncio.get_running_loop().create_server(
        lambda: RuntimeClient(runtime, address[0].encode()), "127.0.0.1", 0, backlog=PENDING_CONNECTIONS
    )
    address.append(f"{name}:{server.sockets[0].getsockname()[1]}")
    return server, address[0]
