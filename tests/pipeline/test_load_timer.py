"""The timers of the sender: never too early, and without a processor that turns while it waits."""

from __future__ import annotations

import asyncio
import os
import sys
import time

import pytest

from sagehound.pipeline.load.timer import KernelTimer, LoopTimer, Timer, timer


async def waits(one: Timer, seconds: float, times: int) -> list[float]:
    found = []
    for _ in range(times):
        began = time.monotonic()
        await one.sleep(seconds)
        found.append(time.monotonic() - began)
    return found


@pytest.mark.parametrize("seconds", [0.0, 0.0001, 0.0007, 0.004])
async def test_the_kernels_timer_never_wakes_too_early(seconds: float) -> None:
    with timer() as one:
        found = await waits(one, seconds, 50)
    assert min(found) >= seconds
    assert isinstance(one, KernelTimer) == sys.platform.startswith("linux")


async def test_short_waits_do_not_turn_the_loop() -> None:
    began, cpu = time.monotonic(), time.process_time()
    await waits(LoopTimer(), 0.0002, 200)
    assert (time.process_time() - cpu) < 0.9 * (time.monotonic() - began)


async def test_a_wait_that_is_cancelled_leaves_the_timer_usable_and_its_descriptor_is_given_back() -> None:
    before = set(os.listdir("/proc/self/fd")) if sys.platform.startswith("linux") else set()
    with timer() as one:
        waiting = asyncio.create_task(one.sleep(30))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert (await waits(one, 0.002, 1))[0] >= 0.002
    after = set(os.listdir("/proc/self/fd")) if sys.platform.startswith("linux") else set()
    assert len(after - before) <= 1  # the folder itself, while it is read
