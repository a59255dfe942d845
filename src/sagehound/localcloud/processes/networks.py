"""Networks of their own for jobs: held by descriptors, with the cloud at its usual address inside; one kept ready."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import sagehound
from sagehound.localcloud.listeners import Listeners
from sagehound.localcloud.processes.supervisor import NoNetwork

_PROGRAM = "sagehound.localcloud.processes.network_maker"
_PROGRAM_ENV = {"PYTHONPATH": str(Path(sagehound.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}
_PATIENCE = 30.0
"""Seconds for a process that starts, makes a network and ends."""
_MOST_DESCRIPTORS = 8


class LocalNetwork:
    """One network. It is gone when it was closed and the last process in it has ended."""

    def __init__(self, entrance: str, found: dict[str, int], listeners: Listeners) -> None:
        self.entrance = entrance
        self.listener = socket.socket(fileno=found["listener"])
        self.namespaces = tuple(found[kind] for kind in ("user", "net") if kind in found)
        self._tables = tuple(found[name] for name in ("tcp", "tcp6") if name in found)
        self._listeners = listeners
        self._closed = False

    def connections(self) -> list[str]:
        """The kernel's tables of its TCP connections, also of those closed within the last minute."""
        return [_read_all(table) for table in self._tables]

    def close(self) -> None:
        """Let go of it: nothing more can reach the cloud from there."""
        if not self._closed:
            self._closed = True
            self._listeners.close(self.listener)
            for descriptor in (*self.namespaces, *self._tables):
                os.close(descriptor)


class Networks:
    """Makes networks, each a little before it is asked for: to make one takes some milliseconds."""

    def __init__(self, entrance: Callable[[], str], listeners: Listeners) -> None:
        self._entrance = entrance
        self._listeners = listeners
        self._maker = _Maker()
        self._spare: asyncio.Task[LocalNetwork] | None = None

    def prepare(self) -> None:
        """Begin to make the next one; again where that has failed: what was in the way may be gone."""
        spare = self._spare
        if spare is None or (spare.done() and (spare.cancelled() or spare.exception() is not None)):
            self._spare = asyncio.create_task(self._ask(self._entrance()))

    async def take(self) -> LocalNetwork:
        """A network in which nothing is but the cloud. NoNetwork where this machine gives none."""
        self.prepare()
        assert self._spare is not None
        making, self._spare = self._spare, None
        try:
            network = await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(_close_unused)
            raise
        finally:
            self.prepare()
        return await self._opened(network)

    async def enter(self, pid: int, entrance: str) -> LocalNetwork:
        """The network of a process, with the cloud at `entrance` again. NoNetwork when the process has ended."""
        return await self._opened(await self._ask(entrance, pid))

    async def _opened(self, network: LocalNetwork) -> LocalNetwork:
        try:
            await self._listeners.open(network.listener)
        except BaseException:
            network.close()
            raise
        return network

    async def _ask(self, entrance: str, pid: int | None = None) -> LocalNetwork:
        return LocalNetwork(entrance, await self._maker.ask(entrance, pid), self._listeners)

    async def close(self) -> None:
        """Let go of the one that was kept ready, and of the process that makes them."""
        spare, self._spare = self._spare, None
        if spare is not None:
            await asyncio.wait([spare])
            _close_unused(spare)
        await self._maker.close()


class _Maker:
    """The process that makes networks (network_maker.py). It ends when this one lets go of it, or ends."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._socket: socket.socket | None = None

    async def ask(self, entrance: str, pid: int | None) -> dict[str, int]:
        """The descriptors of a new network, or of that of process `pid`."""
        if sys.platform != "linux":
            raise NoNetwork("only Linux has them")
        url = urlsplit(entrance)
        words = [str(word) for word in (url.hostname, url.port, pid) if word is not None]
        async with self._lock:
            try:
                try:
                    found = await self._exchange(" ".join(words))
                except ConnectionError:  # somebody has killed it
                    self._let_go()
                    found = await self._exchange(" ".join(words))
            except OSError as error:
                self._let_go()
                raise NoNetwork(error.strerror or str(error)) from error
            except BaseException:
                self._let_go()  # its answer would be taken for that to the next request
                raise
        return _by_name(*found)

    async def _exchange(self, request: str) -> tuple[str, list[int]]:
        connection = await self._started()
        connection.send(request.encode())
        await _readable(connection)
        said, descriptors, _, _ = socket.recv_fds(connection, 4096, _MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
        if not said:
            raise ConnectionResetError("the process that makes networks ended without a word")
        return said.decode(), descriptors

    async def close(self) -> None:
        """Wait for its end."""
        async with self._lock:
            self._let_go()
            if self._process is not None:
                try:
                    async with asyncio.timeout(_PATIENCE):
                        await self._process.wait()
                except TimeoutError:  # it hangs, or is stopped
                    self._process.kill()
                    await self._process.wait()
                self._process = None

    async def _started(self) -> socket.socket:
        if self._socket is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._socket = ours
            with theirs:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-S", "-P", "-m", _PROGRAM, str(theirs.fileno())),
                    pass_fds=(theirs.fileno(),),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    env=_PROGRAM_ENV,
                    cwd="/",
                    start_new_session=True,
                )
        return self._socket

    def _let_go(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _by_name(said: str, descriptors: list[int]) -> dict[str, int]:
    names = said.split()
    if descriptors and len(names) == len(descriptors):
        return dict(zip(names, descriptors, strict=True))
    for descriptor in descriptors:
        os.close(descriptor)
    if descriptors:
        raise NoNetwork("this process may open no more files")  # the kernel drops what has no room
    raise NoNetwork(said)


async def _readable(waited: socket.socket) -> None:
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(waited, ready.set)
    try:
        async with asyncio.timeout(_PATIENCE):
            await ready.wait()
    except TimeoutError as error:
        raise NoNetwork("the process that makes them does not answer") from error
    finally:
        loop.remove_reader(waited)


def _close_unused(making: asyncio.Task[LocalNetwork]) -> None:
    if not making.cancelled() and making.exception() is None:
        making.result().close()


def _read_all(table: int) -> str:
    """A list of the kernel's, which it makes anew whenever it is read from the beginning."""
    pieces, size = [], 0
    while piece := os.pread(table, 1 << 16, size):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces).decode()
