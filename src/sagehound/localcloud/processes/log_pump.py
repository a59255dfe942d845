"""From a program's lines to batches for a log: few writes, none lost and none doubled across restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sagehound.localcloud.processes.supervisor import Exit, Handle, Supervisor

BatchSink = Callable[[list[tuple[float, str]], int], None]
"""Called with (time, line) pairs and the output offset behind them. It stores both in one transaction: whoever follows
again from the stored offset then gets every line exactly once."""

BATCH_LINES = 1000
BATCH_SECONDS = 0.1


class LogPump:
    """Follows one program and hands its lines over after 100 ms or 1,000 lines, whichever comes first."""

    def __init__(self, supervisor: Supervisor, handle: Handle, sink: BatchSink, offset: int = 0) -> None:
        self._supervisor = supervisor
        self._handle = handle
        self._sink = sink
        self._offset = offset
        self._batch: list[tuple[float, str]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._failure: BaseException | None = None
        self._follower: asyncio.Task[Exit] | None = None

    async def run(self) -> Exit:
        """How the program ended, once all its lines are stored. An error of the sink ends the pump and is raised.

        Cancelling it (the server stops) hands the last batch over first.
        """
        self._follower = asyncio.ensure_future(self._supervisor.follow(self._handle, self._add, self._offset))
        try:
            return await self._follower
        except asyncio.CancelledError:
            if self._failure is not None:
                raise self._failure from None
            raise
        finally:
            if not self._follower.done():
                self._follower.cancel()
            if self._failure is None:
                self._flush()

    def _add(self, time: float, line: str) -> None:
        self._batch.append((time, line))
        self._offset = self._supervisor.output_offset(self._handle)
        if len(self._batch) >= BATCH_LINES:
            self._flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(BATCH_SECONDS, self._flush_in_time)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._batch:
            batch, self._batch = self._batch, []
            self._sink(batch, self._offset)

    def _flush_in_time(self) -> None:
        try:
            self._flush()
        except Exception as error:  # noqa: BLE001 - raised again by run(), where its owner waits
            self._failure = error
            assert self._follower is not None
            self._follower.cancel()
