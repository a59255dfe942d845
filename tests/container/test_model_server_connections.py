"""The router's side of a model server: connections that are kept, and proof of what a dead server had begun."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from sagehound.localcloud.container.invocations import Connections, Lost, Reply, Unreachable
from sagehound.localcloud.container.ledger import HEADER, Ledger

from .model_server_process import ModelServer
from .test_model_server_limits import begun, hold


async def settle(condition: Callable[[], bool]) -> None:
    """Until `condition()` is true."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - it is about another process, which sets no event here
            await asyncio.sleep(0.005)


async def test_connections_are_kept_and_as_many_as_there_are_requests(tmp_path: Path) -> None:
    with ModelServer(tmp_path, hold("THREAD_SAFE = True"), SAGEMAKER_MODEL_SERVER_WORKERS="3") as server:
        assert server.process is not None
        process = psutil.Process(server.process.pid)
        connections = Connections(server.port)

        def established() -> int:
            return sum(one.status == "ESTABLISHED" for one in process.net_connections("tcp"))

        await settle(lambda: established() == 0)
        (tmp_path / "go").touch()
        for _ in range(5):
            reply = await connections.request("POST", "/invocations", {}, str(tmp_path / "go").encode(), limit=30)
            assert (reply.status, reply.body) == (200, b"done")
        assert established() == 1
        (tmp_path / "go").unlink()
        requests = [
            asyncio.create_task(
                connections.request("POST", "/invocations", {}, str(tmp_path / "go").encode(), limit=30)
            )
            for _ in range(3)
        ]
        await settle(lambda: begun(tmp_path) == 8)
        assert established() == 3
        (tmp_path / "go").touch()
        assert [reply.status for reply in await asyncio.gather(*requests)] == [200, 200, 200]
        connections.close()
        await settle(lambda: established() == 0)


async def test_a_header_that_somebody_else_wrote_stays_one_header(tmp_path: Path) -> None:
    code = "def model_fn(d): pass\ndef transform_fn(m, data, c, a): return c + '|' + data.decode()\n"
    wrong = "text/csv\r\ncontent-length: 0\r\n\r\nPOST /invocations HTTP/1.1\r\n"
    with ModelServer(tmp_path, code) as server:
        connections = Connections(server.port)
        for _ in range(2):
            reply = await connections.request("POST", "/invocations", {"Content-Type": wrong}, b"body", limit=30)
            assert reply.body.decode() == wrong.replace("\r\n", "  ") + "|body"
        connections.close()


async def test_a_large_body_goes_there_and_back(tmp_path: Path) -> None:
    code = "def model_fn(d): pass\ndef transform_fn(m, data, c, a): return data[::-1]\n"
    body = bytes(range(256)) * 20_000
    with ModelServer(tmp_path, code) as server:
        connections = Connections(server.port)
        for _ in range(2):
            assert (await connections.request("POST", "/invocations", {}, body, limit=30)).body == body[::-1]
        connections.close()


async def test_a_request_that_takes_too_long_costs_its_connection_only(tmp_path: Path) -> None:
    with ModelServer(tmp_path, hold()) as server:
        connections = Connections(server.port)
        with pytest.raises(TimeoutError):
            await connections.request("POST", "/invocations", {}, str(tmp_path / "go").encode(), limit=0.1)
        assert (await connections.request("GET", "/ping", {}, limit=30)).status == 200
        (tmp_path / "go").touch()
        connections.close()


async def test_nobody_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable):
            await Connections(bound.getsockname()[1]).request("GET", "/ping", {}, limit=30)


async def test_the_ledger_tells_what_a_killed_server_had_begun(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "started")
    with ModelServer(tmp_path, hold(), SAGEMAKER_STARTED_FILE=str(tmp_path / "started")) as server:
        assert server.process is not None
        connections = Connections(server.port)
        slots = [ledger.take(), ledger.take()]

        def send(slot: int | None) -> asyncio.Task[Reply]:
            headers = {HEADER: str(slot)}
            body = str(tmp_path / "never").encode()
            return asyncio.create_task(connections.request("POST", "/invocations", headers, body, limit=30))

        first = send(slots[0])
        await settle(lambda: begun(tmp_path) == 1)
        second = send(slots[1])
        process = psutil.Process(server.process.pid)
        await settle(lambda: sum(one.status == "ESTABLISHED" for one in process.net_connections("tcp")) == 2)
        server.process.kill()
        assert [type(answer) for answer in await asyncio.gather(first, second, return_exceptions=True)] == [Lost, Lost]
        assert [ledger.begun(slot) for slot in slots] == [True, False]


def test_a_slot_is_taken_once_and_clean(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "started")
    slot = ledger.take()
    assert slot is not None
    content = bytearray((tmp_path / "started").read_bytes())
    content[slot] = 1
    with (tmp_path / "started").open("r+b") as file:
        file.write(content)
    assert ledger.begun(slot)
    ledger.give_back(slot)
    assert ledger.take() == slot
    assert not ledger.begun(slot)
    taken = {ledger.take() for _ in range(5000)}
    assert None in taken
    assert slot not in taken
    assert ledger.begun(None), "without a slot nothing is proven"
