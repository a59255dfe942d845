"""The server's side of a running instance's control socket: one connection per request."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sagehound.localcloud.instances.requests import KIND, MESSAGE_LIMIT, socket_path
from sagehound.localcloud.instances.spec import BytesSink, Command, NotRunning
from sagehound.localcloud.processes.supervisor import Exit

READ_SIZE = 65_536
ANSWER_LIMIT = 10.0
"""Seconds in which an instance that is well answers: what runs on it can keep its first process from doing so."""


@contextmanager
def connected(run: Path) -> Iterator[socket.socket]:
    """A connection to the instance of this folder. NotRunning when nobody answers."""
    connection = socket.socket(socket.AF_UNIX, KIND)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MESSAGE_LIMIT)
    connection.setblocking(False)
    try:
        folder = os.open(run, os.O_RDONLY | os.O_DIRECTORY)
        try:
            connection.connect(socket_path(folder))
        finally:
            os.close(folder)
    except OSError as error:
        connection.close()
        raise NotRunning(f"the instance does not answer: {error.strerror}") from error
    try:
        yield connection
    finally:
        connection.close()


async def ask(connection: socket.socket, request: dict[str, Any], descriptors: Sequence[int] = ()) -> dict[str, Any]:
    """The answer to a request; a descriptor that comes with it is its `descriptor`. NotRunning: the instance ended."""
    try:
        socket.send_fds(connection, [json.dumps(request).encode()], descriptors)
    except OSError as error:
        raise NotRunning(f"the instance does not take the request: {error.strerror}") from error
    await _readable(connection)
    try:
        message, received, _flags, _address = socket.recv_fds(connection, READ_SIZE, 1)
    except OSError as error:
        raise NotRunning(f"the instance has ended: {error.strerror}") from error
    if not message:
        raise NotRunning("the instance has ended")
    answer: dict[str, Any] = json.loads(message)
    return answer | ({"descriptor": received[0]} if received else {})


async def _ask_soon(run: Path, request: dict[str, Any], descriptors: Sequence[int] = ()) -> dict[str, Any]:
    """The answer to a request that is answered at once. NotRunning: there is none, or not within the time limit."""
    try:
        with connected(run) as connection:
            async with asyncio.timeout(ANSWER_LIMIT):
                return await ask(connection, request, descriptors)
    except TimeoutError as error:
        raise NotRunning(f"the instance has not answered within {ANSWER_LIMIT:g} s") from error


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(connection.fileno(), readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(connection.fileno())


async def keep_listener(run: Path, listener: socket.socket) -> None:
    """Let the instance hold its metadata service's socket: the port stays its own while no server runs."""
    await _ask_soon(run, {"do": "keep"}, [listener.fileno()])


async def kept_listener(run: Path) -> socket.socket | None:
    """The socket of `keep_listener` in a new server; None when the earlier one died before it gave it away."""
    answer = await _ask_soon(run, {"do": "give"})
    if "descriptor" not in answer:
        return None
    listener = socket.socket(fileno=answer["descriptor"])
    os.set_inheritable(listener.fileno(), False)
    return listener


async def power(run: Path, what: str, grace: float) -> None:
    """Ask for `shut-down` or `reboot`. NotRunning when it has not been taken within the time limit, too."""
    await _ask_soon(run, {"do": what, "grace": grace})


async def run_command(run: Path, command: Command, stdout: BytesSink, stderr: BytesSink) -> Exit:
    """Run a command to its end, its output to the sinks as it comes."""
    pipes = [_Output(sink) for sink in (stdout, stderr)]
    source, sink = os.pipe()
    feeding = asyncio.create_task(asyncio.to_thread(_feed, sink, command.stdin))
    request = {"do": "run", "argv": list(command.argv), "env": dict(command.env), "cwd": command.cwd}
    try:
        with connected(run) as connection:
            asking = asyncio.create_task(ask(connection, request, [source, *(pipe.sink for pipe in pipes)]))
            try:
                async with asyncio.timeout(command.timeout):
                    answer = await asyncio.shield(asking)
            except (TimeoutError, asyncio.CancelledError):
                # It is killed, with its group, when it sees that we write nothing more; then the connection closes.
                connection.shutdown(socket.SHUT_WR)
                await asyncio.wait([asking], timeout=10)
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
                raise
    finally:
        os.close(source)
        for pipe in pipes:
            pipe.close()
        await feeding
    code = int(answer["exit"])
    return Exit(code) if code >= 0 else Exit(None, signal=-code)


def _feed(sink: int, data: bytes) -> None:
    try:
        with os.fdopen(sink, "wb") as file:
            file.write(data)
    except BrokenPipeError:
        return  # the command does not read what it is given


class _Output:
    """A pipe whose bytes go to a sink as they come; what is left in it at the end, too."""

    def __init__(self, sink: BytesSink) -> None:
        self._take = sink
        self._source, self.sink = os.pipe()
        os.set_blocking(self._source, False)
        asyncio.get_running_loop().add_reader(self._source, self._read)

    def _read(self) -> bool:
        try:
            data = os.read(self._source, READ_SIZE)
        except BlockingIOError:
            return False
        if data:
            self._take(data)
        return bool(data)

    def close(self) -> None:
        os.close(self.sink)
        asyncio.get_running_loop().remove_reader(self._source)
        while self._read():
            continue
        os.close(self._source)
