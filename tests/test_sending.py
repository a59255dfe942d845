"""An answer on the wire: whole when its client waits for it, and no longer than its client is there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from sagehound.localcloud.call import FileRange
from sagehound.localcloud.sending import PIECE, WATCHED, send_response
from sagehound.localcloud.wire.protocol import WireResponse

SIZE = WATCHED + 32 * PIECE


class Client:
    """One side of ASGI: it takes `patience` pieces of a body and then hangs up."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.bytes = self.pieces = 0
        self.ended = False
        self.gone = asyncio.Event()

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.body":
            self.bytes += len(message["body"])
            self.pieces += 1
            self.ended = not message.get("more_body", False)
        if self.pieces == self.patience:
            self.gone.set()
        await asyncio.sleep(0)

    async def receive(self) -> MutableMapping[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}


@pytest.fixture
def large(tmp_path: Path) -> WireResponse:
    path = tmp_path / "object"
    path.touch()
    os.truncate(path, SIZE)
    return WireResponse(200, [], FileRange(path, 0, SIZE))


async def test_a_large_object_is_sent_whole(large: WireResponse) -> None:
    client = Client(patience=1_000_000)
    await send_response(large, "GET", client.send, client.receive)
    assert client.bytes == SIZE
    assert client.ended


async def test_nothing_more_is_read_for_a_client_that_has_gone(large: WireResponse) -> None:
    client = Client(patience=3)
    descriptors = len(os.listdir("/dev/fd"))
    await send_response(large, "GET", client.send, client.receive)
    assert client.pieces < 6
    assert not client.ended
    assert len(os.listdir("/dev/fd")) == descriptors
