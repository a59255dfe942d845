"""Events on their way to functions: stored before they are acknowledged, tried again after errors and throttles.

A handler's error is tried again after one minute and once more after two; an event that finds no place waits, from one
second up to five minutes, until it is too old. https://docs.aws.amazon.com/lambda/latest/dg/invocation-async.html
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import heapq
import logging
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.lambda_.event_outcomes import RECURSIVE, EventOutcomes
from sagehound.localcloud.services.lambda_.event_table import Event, EventTable
from sagehound.localcloud.services.lambda_.invocation_needs import Functions, Target
from sagehound.localcloud.services.lambda_.invoker import Invoker, Ran, new_trace_id
from sagehound.localcloud.services.lambda_.metrics import FunctionMetrics
from sagehound.localcloud.state.clock import Clock

logger = logging.getLogger(__name__)

Record = dict[str, Any]
Key = tuple[str, str]

MAX_RETRIES = 2
MAX_AGE = 21600.0
RETRY_WAIT = 60.0
"""After the first error; twice as much after the second."""
FIRST_BACKOFF, MAX_BACKOFF = 1.0, 300.0
"""Between two tries of an event that finds no place."""
AT_ONCE = 16
"""Events of one function that run at once: its queue is read by so many; more wait in it."""
MAX_HOPS = 16
"""AWS stops a loop of functions when the same event has gone through sixteen."""


class EventQueue:
    """Runs every stored event to its end; what a dead server left is taken up again by `start`."""

    def __init__(
        self,
        table: EventTable,
        clock: Clock,
        functions: Functions,
        invoker: Invoker,
        metrics: FunctionMetrics,
        config: Callable[[str, str, str], Record],
        outcomes: EventOutcomes,
    ) -> None:
        """`config` gives the event invoke config of (region, name, qualifier); an empty one when there is none."""
        self._table = table
        self._clock = clock
        self._functions = functions
        self._invoker = invoker
        self._metrics = metrics
        self._config = config
        self._outcomes = outcomes
        outcomes.enqueue = self.add
        self._due: list[tuple[float, int, Key]] = []
        self._ready: dict[Key, deque[int]] = defaultdict(deque)
        self._running: dict[Key, set[asyncio.Task[None]]] = defaultdict(set)
        self._changed = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take up all events that are stored. A clock that ran fast has begun again at the real time: waits of the
        run before are bounded by what a wait can be."""
        now = self._clock.time()
        for number, due, accepted, key in self._table.waiting():
            if due > now + MAX_BACKOFF or accepted > now:
                due, accepted = min(due, now + RETRY_WAIT), min(accepted, now)
                self._table.shift(number, due, accepted)
            heapq.heappush(self._due, (due, number, key))
        self._loop = asyncio.create_task(self._run(), name="lambda-events")

    async def stop(self) -> None:
        """Let go; whatever has not come to its end is taken up next time."""
        tasks = [task for running in self._running.values() for task in running]
        if self._loop is not None:
            tasks.append(self._loop)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def add(
        self,
        region: str,
        target: Target,
        payload: bytes,
        request_id: str,
        *,
        client_context: str | None = None,
        trace_id: str | None = None,
        hops: int = 0,
    ) -> None:
        """Accept an event: it is stored when this returns. Inside a transaction it is part of that transaction."""
        now = self._clock.time()
        event = Event(
            0,
            request_id,
            region,
            target.name,
            target.qualifier,
            target.arn,
            payload,
            client_context,
            trace_id or new_trace_id(),
            accepted=now,
            due=now,
            failures=0,
            throttles=0,
            hops=hops,
        )
        number = self._table.add(event)
        self._metrics.event(region, target, "AsyncEventsReceived")
        # Not before the transaction around this has ended.
        asyncio.get_running_loop().call_soon(self._wait, now, number, (region, target.name))

    def _wait(self, due: float, number: int, key: Key) -> None:
        heapq.heappush(self._due, (due, number, key))
        self._changed.set()

    async def _run(self) -> None:
        """Start what is due; a function has so many readers, and what they leave waits for one of them."""
        while True:
            self._changed.clear()
            now = self._clock.time()
            while self._due and self._due[0][0] <= now:
                _, number, key = heapq.heappop(self._due)
                self._ready[key].append(number)
                self._read(key)
            seconds = (self._due[0][0] - now) / self._clock.speed if self._due else None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._changed.wait()

    def _read(self, key: Key) -> None:
        ready, running = self._ready[key], self._running[key]
        while ready and len(running) < AT_ONCE:
            number = ready.popleft()
            task = asyncio.create_task(self._try(number))
            running.add(task)
            task.add_done_callback(functools.partial(self._ended, key, number))

    def _ended(self, key: Key, number: int, task: asyncio.Task[None]) -> None:
        self._running[key].discard(task)
        if task.cancelled():
            return
        if (fault := task.exception()) is not None:
            logger.error("an event of %s was not brought to its end; it is tried again", key[1], exc_info=fault)
            self._wait(self._clock.time() + RETRY_WAIT, number, key)
        self._read(key)

    async def _try(self, number: int) -> None:
        """One attempt at an event."""
        event = self._table.get(number)
        if event is None:
            return
        now = self._clock.time()
        try:
            target = self._functions.resolve(event.region, event.arn, None)
        except AwsError:
            # The function, or the version or alias of it, has been deleted meanwhile.
            self._table.remove(number)
            return
        config = self._config(event.region, event.name, event.qualifier)
        self._metrics.event(event.region, target, "AsyncEventAge", max(0.0, now - event.accepted) * 1000)
        failed = replace(event, attempts=event.failures)
        if event.hops > MAX_HOPS:
            await self._outcomes.failed(failed, target, config, RECURSIVE, None)
        elif self._functions.reserved(event.region, event.name) == 0:
            await self._outcomes.failed(failed, target, config, "ZeroReservedConcurrency", None)
        elif now - event.accepted >= config.get("MaximumEventAgeInSeconds", MAX_AGE):
            await self._outcomes.failed(failed, target, config, "EventAgeExceeded", None)
        else:
            await self._invoke(event, target, config)

    async def _invoke(self, event: Event, target: Target, config: Record) -> None:
        try:
            ran = await self._invoker.run(
                event.region,
                target,
                event.payload,
                event.request_id,
                client_context=event.client_context,
                trace_id=event.trace_id,
            )
        except AwsError as error:
            logger.info("an event of %s waits: %s", event.name, error)
            self._back_off(event, config)
            return
        event = replace(event, attempts=event.failures + 1)
        if ran.outcome.error is None:
            await self._outcomes.succeeded(event, target, config, ran)
        else:
            await self._failed(event, target, config, ran)

    async def _failed(self, event: Event, target: Target, config: Record, ran: Ran) -> None:
        """The handler failed: again after a while, or the end."""
        if event.failures >= config.get("MaximumRetryAttempts", MAX_RETRIES):
            await self._outcomes.failed(event, target, config, "RetriesExhausted", ran)
            return
        due = self._clock.time() + RETRY_WAIT * (event.failures + 1)
        if due - event.accepted >= config.get("MaximumEventAgeInSeconds", MAX_AGE):
            await self._outcomes.failed(event, target, config, "EventAgeExceeded", ran)
            return
        self._table.postpone(event.number, due, failures=event.failures + 1, throttles=0)
        self._wait(due, event.number, (event.region, event.name))

    def _back_off(self, event: Event, config: Record) -> None:
        """No place, or a fault of ours: later, but not later than the event's end."""
        backoff = min(MAX_BACKOFF, FIRST_BACKOFF * 2 ** min(event.throttles, 10))
        end = event.accepted + config.get("MaximumEventAgeInSeconds", MAX_AGE)
        due = min(self._clock.time() + backoff, end)
        self._table.postpone(event.number, due, failures=event.failures, throttles=event.throttles + 1)
        self._wait(due, event.number, (event.region, event.name))
