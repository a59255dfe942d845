"""Starts execution environments through the spawner, follows how they end, and ends, stops and continues them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

import sagehound
from sagehound.localcloud.functions.sandbox import Sandbox
from sagehound.localcloud.processes.host_init import LINUX

SEND_BUFFER = 1 << 20
KERNEL_LISTS_CHILDREN = Path(f"/proc/self/task/{os.getpid()}/children").exists()


class StartFailed(Exception):
    """The operating system did not let a process start; the text says why."""


@dataclass(frozen=True, slots=True)
class Program:
    """What an environment runs."""

    argv: list[str]
    env: Mapping[str, str]
    cwd: str
    sandbox: Sandbox | None


class RunningProgram:
    """A started environment: its init, and its main process by which it is stopped and continued."""

    def __init__(self, init: int, pidfd: int | None, private: bool) -> None:
        self.init = init
        self.private = private
        self.main: int | None = None
        self._apart: list[int] = []
        self.exit_code: int | None = None
        """As of subprocess: negative for a signal; None when nobody saw how it ended (it was killed)."""
        self.ended = False
        self._pidfd = pidfd
        self._on_end: Callable[[], None] | None = None

    def when_ended(self, call: Callable[[], None]) -> None:
        """Call once when every process of it has ended."""
        self._on_end = call
        if self.ended:
            call()

    def await_end(self, loop: asyncio.AbstractEventLoop) -> None:
        """Its init ends: it has closed its files, but only when it is a zombie is the rest of its sandbox dead too."""
        if self._pidfd is None:
            self._end()
        else:
            loop.add_reader(self._pidfd, self._on_zombie, loop)

    def _on_zombie(self, loop: asyncio.AbstractEventLoop) -> None:
        assert self._pidfd is not None, "it is closed by what follows alone"
        loop.remove_reader(self._pidfd)
        self._end()

    def _end(self) -> None:
        self.ended = True
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
        if self._on_end is not None:
            self._on_end()

    def kill(self) -> None:
        """End every process of it, now; what `when_ended` was given follows."""
        number = signal.SIGKILL if self.private else signal.SIGTERM
        with suppress(ProcessLookupError):
            if self._pidfd is not None:
                signal.pidfd_send_signal(self._pidfd, number)
            elif not self.ended:
                os.kill(self.init, number)

    def find_main(self) -> int:
        """The main process's number here, which differs from the one that it has itself; 0 when it has ended."""
        if self.main is None:
            self.main = next(iter(_children(self.init)), None)
        return self.main or 0

    def members(self) -> list[int]:
        """Every process of it but its init."""
        found: list[int] = []
        queue = [self.init]
        while queue:
            below = _children(queue.pop())
            found += below
            queue += below
        return found

    def stop_all(self) -> None:
        """SIGSTOP to every process of it: to the main one's group at once, then to those that have left that."""
        self._to_group(signal.SIGSTOP)
        for pid in self.members():
            with suppress(ProcessLookupError):
                if os.getpgid(pid) != self.main:
                    os.kill(pid, signal.SIGSTOP)
                    self._apart.append(pid)

    def continue_all(self) -> None:
        """SIGCONT to all that were stopped."""
        apart, self._apart = self._apart, []
        for pid in apart:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._to_group(signal.SIGCONT)

    def _to_group(self, number: int) -> None:
        if self.main and not self.ended:
            with suppress(ProcessLookupError):
                os.killpg(self.main, number)


def _children(pid: int) -> list[int]:
    if not KERNEL_LISTS_CHILDREN:
        with suppress(psutil.Error):
            return [child.pid for child in psutil.Process(pid).children()]
        return []
    found: list[int] = []
    with suppress(OSError):  # it has ended
        for thread in os.listdir(f"/proc/{pid}/task"):
            children = Path(f"/proc/{pid}/task/{thread}/children")
            with suppress(OSError):
                found += map(int, children.read_text().split())
    return found


class Launcher:
    """The server's side of the spawner, which is started again should it have ended."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._sending = asyncio.Lock()
        self._closed = False

    async def start(self, program: Program, output: int) -> RunningProgram:
        """Start a program that writes to the pipe `output` (closed here); StartFailed when it cannot be."""
        report, reported = os.pipe()
        os.set_blocking(report, False)
        message = json.dumps(
            {"argv": program.argv, "env": dict(program.env), "cwd": program.cwd, "sandbox": program.sandbox}
        )
        try:
            async with self._sending:
                await self._send(message.encode(), [reported, output])
        except OSError as error:
            os.close(report)
            raise StartFailed(str(error)) from error
        finally:
            os.close(reported)
            os.close(output)
        return await _Reports(report, program.sandbox is not None).started()

    async def _send(self, message: bytes, descriptors: list[int]) -> None:
        loop = asyncio.get_running_loop()
        if self._closed:
            raise OSError("the cloud is stopping")
        if self._process is None or self._process.poll() is not None:
            self._start_spawner()
        assert self._socket is not None
        while True:
            try:
                socket.send_fds(self._socket, [message], descriptors)
                return
            except BlockingIOError:
                writable: asyncio.Future[None] = loop.create_future()
                loop.add_writer(self._socket.fileno(), _wake, writable)
                try:
                    await writable
                finally:
                    loop.remove_writer(self._socket.fileno())

    def _start_spawner(self) -> None:
        if self._socket is not None:
            self._socket.close()
        kind = socket.SOCK_SEQPACKET if LINUX else socket.SOCK_DGRAM
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, kind)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        code_root = str(Path(next(iter(sagehound.__path__))).parent)
        with theirs:
            self._process = subprocess.Popen(
                [os.path.realpath(sys.executable), "-S", "-P", "-m", "sagehound.localcloud.functions.spawner",
                 str(theirs.fileno())],
                env={"PYTHONPATH": code_root, "PYTHONDONTWRITEBYTECODE": "1"},
                cwd="/",
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )  # fmt: skip

    def close(self) -> None:
        """End the spawner, and with it everything that it has started."""
        self._closed = True
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class _Reports:
    """The lines of one environment's init: its number, that the program runs, how it ended; then the pipe closes."""

    def __init__(self, descriptor: int, private: bool) -> None:
        self._descriptor = descriptor
        self._private = private
        self._partial = b""
        self._program: RunningProgram | None = None
        self._failure = ""
        self._loop = asyncio.get_running_loop()
        self._running: asyncio.Future[RunningProgram] = self._loop.create_future()
        self._handlers: dict[str, Callable[[Any], None]] = {
            "pid": self._on_pid,
            "running": self._on_running,
            "exit": self._on_exit,
            "failed": self._on_failed,
        }
        self._loop.add_reader(descriptor, self._on_readable)

    async def started(self) -> RunningProgram:
        return await self._running

    def _on_readable(self) -> None:
        try:
            data = os.read(self._descriptor, 65536)
        except BlockingIOError:
            return
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            for name, value in json.loads(line).items():
                self._handlers[name](value)
        if not data:
            self._on_end()

    def _on_pid(self, pid: int) -> None:
        # Its init has the other end of this pipe, so as long as that is open the number is still the init's.
        pidfd = None
        if LINUX:
            with suppress(ProcessLookupError):
                pidfd = os.pidfd_open(pid)
        self._program = RunningProgram(pid, pidfd, self._private)

    def _on_running(self, _value: bool) -> None:
        assert self._program is not None, "a fork is reported before what it does"
        if not self._running.done():
            self._running.set_result(self._program)

    def _on_exit(self, code: int) -> None:
        assert self._program is not None, "a fork is reported before how it ended"
        self._program.exit_code = code

    def _on_failed(self, why: str) -> None:
        self._failure = why

    def _on_end(self) -> None:
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        if self._program is not None:
            self._program.await_end(self._loop)
        if not self._running.done():
            self._running.set_exception(StartFailed(self._failure or "its first process was killed"))
