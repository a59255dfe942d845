"""The clock that every service is given: UTC now, and waiting, both sped up by one factor."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime


class Clock:
    """Time for the whole cloud. `speed` 60 makes a minute of alarms and cooldowns pass in a second."""

    def __init__(self, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError(f"speed must be above 0, got {speed}")
        self.speed = speed
        self.epoch = time.time()
        """When this clock and the real one said the same."""
        self._started = time.monotonic()

    def time(self) -> float:
        """Seconds since 1970, running `speed` times as fast since the clock was made."""
        return self.epoch + (time.monotonic() - self._started) * self.speed if self.speed != 1.0 else time.time()

    def now(self) -> datetime:
        """The same moment as an aware UTC datetime, at the millisecond precision of AWS's wire."""
        return datetime.fromtimestamp(round(self.time(), 3), UTC)

    def at(self, seconds: float) -> datetime:
        """A moment of the real clock (when a file was written) as this clock told it: never later than now."""
        behind = max(0.0, seconds - self.epoch)
        return datetime.fromtimestamp(round(seconds + behind * (self.speed - 1.0), 3), UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait `seconds` of this clock (1/speed of them in real time)."""
        await asyncio.sleep(max(0.0, seconds) / self.speed)
