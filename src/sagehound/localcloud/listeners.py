"""Sockets on which the cloud answers beside its own: those in the networks of jobs, opened and closed as it runs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

BACKLOG = 2048

NewConnection = Callable[[], asyncio.BaseProtocol]


class Listeners:
    """What is opened before the server accepts connections waits for `begin`: the kernel keeps who connects."""

    def __init__(self) -> None:
        self._new_connection: NewConnection | None = None
        self._servers: dict[socket.socket, asyncio.Server | None] = {}

    async def begin(self, new_connection: NewConnection) -> None:
        """Answer on every open socket, as on the server's own."""
        self._new_connection = new_connection
        for listener in list(self._servers):
            await self._serve(listener)

    async def open(self, listener: socket.socket) -> None:
        """Answer on `listener`, which is this object's from now on."""
        self._servers[listener] = None
        await self._serve(listener)

    def close(self, listener: socket.socket) -> None:
        """Accept nothing more there; connections that are open go on."""
        server = self._servers.pop(listener, None)
        if server is not None:
            server.close()
        listener.close()

    def end(self) -> None:
        """Accept nothing more anywhere: the server stops."""
        self._new_connection = None
        for listener in list(self._servers):
            self.close(listener)

    async def _serve(self, listener: socket.socket) -> None:
        if self._new_connection is None:
            return
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._new_connection, sock=listener, backlog=BACKLOG)
        if listener in self._servers:
            self._servers[listener] = server
        else:
            server.close()  # it was closed while we waited
