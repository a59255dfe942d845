"""What the server asks of a running instance, answered by its first process: run a command, shut down."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sagehound.localcloud.instances.children import safe_power, spawn
from sagehound.localcloud.instances.loop import Loop

MESSAGE_LIMIT = 1 << 20
KIND = socket.SOCK_SEQPACKET if hasattr(socket, "SOCK_SEQPACKET") else socket.SOCK_STREAM
CONTROL = "control"


def socket_path(run: int) -> str:
    """The control socket below an open folder: a socket's own path may have 107 bytes only."""
    return f"/proc/self/fd/{run}/{CONTROL}"


def listen(run: int) -> socket.socket:
    """The control socket of a new boot."""
    path = socket_path(run)
    if os.path.lexists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, KIND)
    listener.bind(path)
    listener.listen(64)
    listener.setblocking(False)
    return listener


class Requests:
    """Answers one connection per request. `power` is asked to end the instance: (what, grace in seconds)."""

    def __init__(
        self,
        listener: socket.socket,
        loop: Loop,
        env: dict[str, str],
        prefix: str,
        power: Callable[[str, float], None],
    ) -> None:
        self._listener = listener
        self._loop = loop
        self._env = env
        self._prefix = prefix
        self._power = power
        self._kept: int | None = None
        loop.watch(listener.fileno(), self._accept)

    def _accept(self) -> None:
        try:
            connection, _address = self._listener.accept()
        except BlockingIOError:
            return
        connection.setblocking(False)
        self._loop.watch(connection.fileno(), lambda: self._read(connection))

    def _read(self, connection: socket.socket) -> None:
        try:
            message, descriptors, _flags, _address = socket.recv_fds(connection, MESSAGE_LIMIT, 3)
        except BlockingIOError:
            return
        except OSError:
            message, descriptors = b"", []
        self._loop.forget(connection.fileno())
        if not message:
            connection.close()
            return
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        self._carry_out(json.loads(message), descriptors, connection)

    def _carry_out(self, request: dict[str, Any], descriptors: list[int], connection: socket.socket) -> None:
        match request["do"]:
            case "run":
                self._run(request, (descriptors[0], descriptors[1], descriptors[2]), connection)
            case "keep":
                self._kept = descriptors[0]
                _answer(connection, {"done": True})
            case "give":
                _answer(connection, {"done": self._kept is not None}, [] if self._kept is None else [self._kept])
            case what:
                _answer(connection, {"done": True})
                self._power(str(what), float(request["grace"]))

    def _run(self, request: dict[str, Any], descriptors: tuple[int, int, int], connection: socket.socket) -> None:
        env = {**self._env, **request["env"]}
        argv = [os.fsdecode(safe_power(os.fsencode(word), self._prefix)) for word in request["argv"]]
        try:
            pid = spawn(argv, env, self._prefix + request["cwd"], descriptors, die_with_parent=bool(self._prefix))
        except OSError as error:
            os.write(descriptors[2], f"cannot run {argv[0]}: {error.strerror}\n".encode())
            _answer(connection, {"exit": 127 if isinstance(error, FileNotFoundError) else 126})
            return
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        number = connection.fileno()

        def gone() -> None:
            """Whoever asked has gone, or wants it ended: kill what it started, and answer once that has ended."""
            _kill_group(pid)
            self._loop.forget(number)
            self._loop.when_ended(pid, lambda _code: connection.close())

        def ended(code: int) -> None:
            self._loop.forget(number)
            _answer(connection, {"exit": code})

        self._loop.watch(number, gone)
        self._loop.when_ended(pid, ended)


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _answer(connection: socket.socket, what: dict[str, Any], descriptors: list[int] | None = None) -> None:
    """The one answer to a request; who asked may be gone."""
    with suppress(OSError):
        socket.send_fds(connection, [json.dumps(what).encode()], descriptors or [])
    connection.close()
