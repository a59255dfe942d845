"""Waking a coroutine when a file grows or a process ends: inotify and pidfd on Linux, polling elsewhere."""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path

IN_MODIFY = 0x2
_EVENT = struct.Struct("iIII")

Unwatch = Callable[[], None]


class FileWatcher:
    """One inotify instance for every file that is followed (a user may have only 128 of them)."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
        self._fd = -1
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wakes: dict[int, list[asyncio.Event]] = {}

    def watch(self, path: Path, wake: asyncio.Event) -> Unwatch | None:
        """Set `wake` at every write to `path` until the result is called; None when the system cannot tell."""
        if self._libc is None or not self._open():
            return None
        number = self._libc.inotify_add_watch(self._fd, os.fsencode(path), IN_MODIFY)
        if number < 0:
            self._close_if_idle()
            return None
        self._wakes.setdefault(number, []).append(wake)
        return lambda: self._forget(number, wake)

    def _open(self) -> bool:
        loop = asyncio.get_running_loop()
        if self._fd >= 0:
            return loop is self._loop
        assert self._libc is not None
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            return False
        self._loop = loop
        loop.add_reader(self._fd, self._on_events)
        return True

    def _on_events(self) -> None:
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return
        position = 0
        while position < len(data):
            number, _mask, _cookie, length = _EVENT.unpack_from(data, position)
            position += _EVENT.size + length
            for wake in self._wakes.get(number, ()):
                wake.set()

    def _forget(self, number: int, wake: asyncio.Event) -> None:
        wakes = self._wakes[number]
        wakes.remove(wake)
        if not wakes:
            del self._wakes[number]
            assert self._libc is not None
            self._libc.inotify_rm_watch(self._fd, number)
        self._close_if_idle()

    def _close_if_idle(self) -> None:
        if self._fd >= 0 and not self._wakes and self._loop is not None:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd, self._loop = -1, None


def watch_exit(pid: int, wake: asyncio.Event) -> Unwatch | None:
    """Set `wake` when process `pid` has ended; None when the system cannot tell (the caller polls then)."""
    if sys.platform != "linux":
        return None
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        wake.set()
        return lambda: None
    except OSError:
        return None
    loop = asyncio.get_running_loop()
    closed = False

    def close() -> None:
        nonlocal closed
        if not closed:
            closed = True
            loop.remove_reader(fd)
            os.close(fd)

    def on_exit() -> None:
        close()
        wake.set()

    loop.add_reader(fd, on_exit)
    return close
