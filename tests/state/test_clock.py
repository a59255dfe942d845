"""The clock runs as fast as it is told."""

from __future__ import annotations

import time
from datetime import UTC

import pytest

from sagehound.localcloud.state.clock import Clock


def test_a_fast_clock_gains_on_a_real_one() -> None:
    clock = Clock(speed=3600)
    began, real = clock.time(), time.monotonic()
    while time.monotonic() - real < 0.01:
        continue
    assert clock.time() - began >= 36


async def test_sleep_is_shorter_by_the_factor() -> None:
    clock = Clock(speed=36_000)
    began = clock.time()
    await clock.sleep(600)
    assert clock.time() - began >= 590


def test_now_is_utc_at_milliseconds() -> None:
    now = Clock().now()
    assert now.tzinfo is UTC
    assert now.microsecond % 1000 == 0


def test_moments_of_the_real_clock_are_told_as_this_one_told_them() -> None:
    assert Clock().at(1_700_000_000.25).timestamp() == 1_700_000_000.25
    clock = Clock(speed=60)
    began = clock.epoch
    assert clock.at(began + 2).timestamp() == pytest.approx(began + 120, abs=0.001)
    assert clock.at(began - 2).timestamp() == pytest.approx(began - 2, abs=0.001)  # an earlier server's


def test_a_clock_that_stands_still_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Clock(speed=0)
