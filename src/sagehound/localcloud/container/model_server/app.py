"""The two routes of the container contract as one plain ASGI application."""

from __future__ import annotations

import hmac
import mmap
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from pathlib import Path
from typing import Any

from .handlers import Answer, Handler
from .work_queue import Expired, QueueFull, WorkQueue

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SLOT = "x-slot"
KEY = "x-key"
NOT_STARTED = "x-not-started"
"""Header of answers to requests that no handler has seen: whoever routes may send them elsewhere."""


class TooLarge(Exception):
    """The body is longer than the server takes."""


class Disconnected(Exception):
    """The client left before its body had come: nobody is there to answer."""


class App:
    """/ping answers once the model is loaded (the server listens no earlier); /invocations queues for the handler."""

    def __init__(
        self,
        handler: Handler,
        work: WorkQueue,
        max_request_size: int,
        started_file: Path | None = None,
        key: str = "",
    ) -> None:
        self.handler = handler
        self.work = work
        self.max_request_size = max_request_size
        self._key = key.encode()
        self._started: mmap.mmap | None = None
        if started_file is not None:
            with started_file.open("r+b") as file:
                self._started = mmap.mmap(file.fileno(), 0)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise RuntimeError(f"no {scope['type']} here")
        path, method = scope["path"], scope["method"]
        if path == "/invocations":
            try:
                answer = await self._invoke(scope, receive) if method == "POST" else _text(405, "use POST")
            except Disconnected:
                return
        elif path == "/ping":
            answer = Answer(200, "application/json", b'{"status": "Healthy"}', {})
        else:
            answer = _text(404, f"no such path: {path}")
        await _send(send, answer)

    async def _invoke(self, scope: Message, receive: Receive) -> Answer:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        brought = headers.pop(KEY, "").encode()
        if self._key and not hmac.compare_digest(brought, self._key):
            return _text(
                403, "Who may invoke this model is decided by its endpoint: call InvokeEndpoint.", started=False
            )
        try:
            body = await self._read(receive, int(headers.get("content-length", 0)))
        except TooLarge:
            return _text(413, f"the body is larger than {self.max_request_size} bytes", started=False)
        try:
            return await self.work.run(partial(self._handle, body, headers, headers.get(SLOT)))
        except QueueFull:
            return _text(
                503, f"all {self.work.workers} workers are busy and {self.work.size} requests wait", started=False
            )
        except Expired as error:
            return _text(504, f"{error} ({self.work.timeout:g} s)", started=error.started)

    def _handle(self, body: bytes, headers: dict[str, str], slot: str | None) -> Answer:
        """In a worker's thread: leave the proof that the handler begins, then run it."""
        if slot is not None and self._started is not None:
            self._started[int(slot)] = 1
        return self.handler.handle(body, headers)

    async def _read(self, receive: Receive, expected: int) -> bytes:
        if expected > self.max_request_size:
            raise TooLarge
        chunks: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            chunks.append(message["body"])
            size += len(chunks[-1])
            if size > self.max_request_size:
                raise TooLarge
            more = message["more_body"]
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _text(status: int, text: str, *, started: bool = True) -> Answer:
    return Answer(status, "text/plain", text.encode(), {} if started else {NOT_STARTED: "true"})


async def _send(send: Send, answer: Answer) -> None:
    headers = [
        (b"content-type", answer.content_type.encode("latin-1")),
        (b"content-length", b"%d" % len(answer.body)),
    ]
    headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
