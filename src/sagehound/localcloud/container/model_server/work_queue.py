"""One bounded first-in-first-out queue in front of a few threads."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


class QueueFull(Exception):
    """The queue holds as much as it may: nothing of the request was started."""


class Expired(Exception):
    """The deadline passed; `started` says whether the handler had begun."""

    def __init__(self, started: bool) -> None:
        super().__init__(
            "the handler did not answer in time" if started else "the request waited too long in the queue"
        )
        self.started = started


@dataclass(slots=True, eq=False)
class _Task(Generic[T]):
    work: Callable[[], T]
    future: asyncio.Future[T]
    started: float = 0.0
    claimed: threading.Lock = field(default_factory=threading.Lock)
    """Whoever acquires it decides, once: a thread that the work begins, or the time-out that it never does."""


class WorkQueue:
    """Runs work in `workers` threads in the order of its arrival, at most `size` waiting.

    All methods but the workers' own loop run on the event loop, so the counts need no lock.
    """

    def __init__(self, workers: int, size: int, timeout: float) -> None:
        self.workers = workers
        self.size = size
        self.timeout = timeout
        self._tasks: queue.SimpleQueue[_Task[object] | None] = queue.SimpleQueue()
        self._running: set[_Task[object]] = set()
        self._held = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads = [threading.Thread(target=self._serve, name=f"handler-{i}", daemon=True) for i in range(workers)]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Requests that were taken in and have not begun."""
        return max(0, self._held - self.workers)

    async def run(self, work: Callable[[], T]) -> T:
        """The result of `work`; QueueFull at once when there is no room, Expired after the time-out."""
        if self._held >= self.workers + self.size:
            raise QueueFull
        loop = self._loop = asyncio.get_running_loop()
        task: _Task[T] = _Task(work, loop.create_future())
        self._held += 1
        self._tasks.put(task)  # type: ignore[arg-type]
        timer = loop.call_later(self.timeout, self._expire, task)
        try:
            return await task.future
        finally:
            timer.cancel()

    def overdue(self, seconds: float) -> bool:
        """Whether a handler has been running for longer than `seconds`: Python cannot end a thread, its process can."""
        now = time.monotonic()
        return any(now - task.started > seconds for task in tuple(self._running))

    def _expire(self, task: _Task[T]) -> None:
        never_begins = task.claimed.acquire(blocking=False)
        if not task.future.done():
            task.future.set_exception(Expired(started=not never_begins))

    def _serve(self) -> None:
        while (task := self._tasks.get()) is not None:
            loop = task.future.get_loop()
            result: object = None
            error: BaseException | None = None
            if task.claimed.acquire(blocking=False):
                task.started = time.monotonic()
                self._running.add(task)
                try:
                    result = task.work()
                except BaseException as caught:  # noqa: BLE001 - handed to the one who waits for it
                    error = caught
                self._running.discard(task)
            try:
                loop.call_soon_threadsafe(self._finish, task, result, error)
            except RuntimeError:
                return  # the loop is closed: the server has ended
            del task, result, error

    def _finish(self, task: _Task[object], result: object, error: BaseException | None) -> None:
        self._held -= 1
        if task.future.done():
            return
        if error is not None:
            task.future.set_exception(error)
        else:
            task.future.set_result(result)
