"""The memory of running environments: the most that was used, and an end for those that use more than they may."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

LOOK_SECONDS = 0.05
PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024
_PEAK = b"VmHWM:"


class PeakMeter:
    """The most memory that one process has had resident, as the kernel keeps it: no sampling misses it."""

    def __init__(self, pid: int) -> None:
        self._descriptor = -1
        with suppress(OSError):
            self._descriptor = os.open(f"/proc/{pid}/status", os.O_RDONLY)

    def read_kb(self) -> int:
        """0 when the process has ended or the system does not tell."""
        if self._descriptor < 0:
            return 0
        try:
            text = os.pread(self._descriptor, 4096, 0)
        except OSError:
            return 0
        start = text.find(_PEAK)
        return int(text[start + len(_PEAK) : text.index(b"kB", start)]) if start >= 0 else 0

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def resident_kb(pids: Iterable[int]) -> int:
    """What these processes have in memory now."""
    return sum(map(_resident_kb, pids))


def _resident_kb(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * PAGE_KB
    except (OSError, IndexError):
        return 0


class Watched(Protocol):
    """A busy environment."""

    def check_memory(self) -> None:
        """Look at what it uses, and end it when that is too much."""


class MemoryWatch:
    """Looks at every busy environment twenty times a second; costs nothing while none is busy for that long."""

    def __init__(self) -> None:
        self._busy: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, environment: Watched) -> None:
        """It is busy from now on."""
        self._busy.add(environment)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def discard(self, environment: Watched) -> None:
        """It is busy no more."""
        self._busy.discard(environment)

    def _look(self) -> None:
        self._timer = None
        for environment in list(self._busy):
            environment.check_memory()
        if self._busy:
            self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
