"""Waiting for what comes by itself, looked for again and again up to a limit; and processes that end meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil

LIMIT = 60.0
"""Seconds after which what has not happened will not."""


def wait_for(condition: Callable[[], Any], what: str = "the condition", *, limit: float = LIMIT) -> Any:
    """Wait until `condition()` is true; its value."""
    deadline = time.monotonic() + limit
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {limit:g} s for {what}"
        time.sleep(0.01)
    return value


async def until(condition: Callable[[], bool]) -> None:
    """Wait until `condition()` is true."""
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(0.01)


def is_alive(process: psutil.Process) -> bool:
    """Whether it still runs: who has ended and was not yet waited for does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def command_line(process: psutil.Process) -> list[str]:
    """Its words; none of one that has ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """A test that presses Ctrl-C in its own process: Hypothesis listens to the garbage collector, and an interrupt
    that arrives in its listener is dropped by the interpreter."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
