"""A timer that wakes a coroutine within a tenth of a millisecond: event loops themselves know whole ones only"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

_TICK = 0.001
_CLOCK_MONOTONIC = 1


class _TimeSpec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


class _TimerSpec(ctypes.Structure):
    _fields_ = [("interval", _TimeSpec), ("value", _TimeSpec)]


class Timer(Protocol):
    """What the sender needs of a timer."""

    async def sleep(self, seconds: float) -> None:
        """Wait; never for less."""


class LoopTimer:
    """The event loop's own timer. Waits of less than its unit would keep it turning, so they last one."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(max(seconds, _TICK))


class KernelTimer:
    """Linux's timerfd: readable when the time is over. (Python has it from 3.13 on.)"""

    def __init__(self, libc: ctypes.CDLL, descriptor: int) -> None:
        self._libc, self._descriptor = libc, descriptor
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] | None = None
        self._loop.add_reader(descriptor, self._readable)

    async def sleep(self, seconds: float) -> None:
        """Wait; one coroutine at a time."""
        nanoseconds = max(1, int(seconds * 1e9))
        spec = _TimerSpec(_TimeSpec(0, 0), _TimeSpec(nanoseconds // 10**9, nanoseconds % 10**9))
        self._over = self._loop.create_future()
        if self._libc.timerfd_settime(self._descriptor, 0, ctypes.byref(spec), None) != 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")
        await self._over

    def close(self) -> None:
        """Give the descriptor back."""
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _readable(self) -> None:
        try:
            os.read(self._descriptor, 8)
        except BlockingIOError:  # set anew since it was seen to be readable
            return
        if self._over is not None and not self._over.done():
            self._over.set_result(None)


@contextmanager
def timer() -> Iterator[Timer]:
    """The kernel's timer where there is one."""
    if not sys.platform.startswith("linux"):
        yield LoopTimer()
        return
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        yield LoopTimer()
        return
    kernel = KernelTimer(libc, descriptor)
    try:
        yield kernel
    finally:
        kernel.close()
