"""The sender: each request goes out when it is due, whether or not earlier ones have been answered"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sagehound.pipeline.load.plan import LoadPlan
from sagehound.pipeline.load.replies import reply_of
from sagehound.pipeline.load.schedule import arrivals, due_between
from sagehound.pipeline.load.signing import SignedRequests
from sagehound.pipeline.load.tally import Reply, Tally
from sagehound.pipeline.load.timer import Timer, timer

_READ_AT_ONCE = 1 << 16
_MOST_KEPT = 1 << 18
"""So much of an answer is kept to be understood; the rest is read and forgotten."""
_AT_ONCE = 16
"""So many late requests are begun before the answers that wait are looked at again."""
_LOST_SECONDS = 0.05
"""How long a caller waits whose request reached no server: it would ask again thousands of times a second."""


class Sender:
    """Sends one load and counts what comes of it."""

    def __init__(self, requests: SignedRequests, plan: LoadPlan, tally: Tally, *, function: bool) -> None:
        import yarl

        self._requests, self._plan, self._tally, self._function = requests, plan, tally, function
        self._url = yarl.URL(requests.url, encoded=True)
        self._free = asyncio.Semaphore(plan.max_in_flight)
        self._tasks: set[asyncio.Task[None]] = set()
        self._began = 0.0
        self._number = 0
        self._broken: BaseException | None = None

    @property
    def second(self) -> float:
        """Seconds since the load began."""
        return time.monotonic() - self._began

    async def run(self, stop: asyncio.Event) -> bool:
        """The whole load and the answers to it; False where ``stop`` has ended it before."""
        async with _session(self._plan) as self._session:
            fresh = asyncio.create_task(self._requests.keep_fresh())
            self._began = time.monotonic()
            work = asyncio.create_task(self._closed() if self._plan.closed else self._open())
            stopped = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
                whole = work.done()
            finally:
                await self._end(work, stopped, fresh)
        if self._broken is not None:
            raise self._broken
        if whole:
            work.result()
        return whole

    async def _end(self, *helpers: asyncio.Task[Any]) -> None:
        """What is still under way is cut off and counted as unanswered."""
        left = [task for task in (*self._tasks, *helpers) if not task.done()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _open(self) -> None:
        """Begin each request at its moment; then wait for the answers."""
        with timer() as clock:
            await self._begin_all(clock)
        await self._answers()

    async def _begin_all(self, clock: Timer) -> None:
        """Begin the requests of the schedule, and count those that nothing became free for."""
        behind = 0
        freed = 0.0
        last = self._plan.duration + self._plan.timeout
        for due in arrivals(self._plan):
            now = self.second
            wait = due - now
            if now > last:
                self._never_sent(due)
                return
            if wait > 0:
                behind = 0
                await clock.sleep(wait)
            elif (behind := behind + 1) % _AT_ONCE == 0:
                await asyncio.sleep(0)
            if self._broken is not None:
                return
            if self._free.locked():
                if not await self._freed(due, last):
                    return
                freed = self.second
            else:
                await self._free.acquire()
            self._begin(due, held_back=due < freed)

    async def _freed(self, due: float, last: float) -> bool:
        """Wait until fewer than the most requests are under way; False where the load is long over by then."""
        try:
            async with asyncio.timeout(max(0.0, last - self.second)):
                await self._free.acquire()
        except TimeoutError:
            self._never_sent(due)
            return False
        except asyncio.CancelledError:
            self._never_sent(due)
            raise
        return True

    def _never_sent(self, due: float) -> None:
        """Count the request that is due, and those that became due after it."""
        self._tally.not_sent = due_between(self._plan, due, min(self.second, self._plan.duration))

    def _begin(self, due: float, *, held_back: bool) -> None:
        self._tally.held_back += held_back
        task = asyncio.create_task(self._due(due, held_back))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._free.release()
        if not task.cancelled() and task.exception() is not None:
            self._broken = self._broken or task.exception()

    async def _answers(self) -> None:
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def _due(self, due: float, held_back: bool) -> None:
        await self._ask(due, None if held_back else self.second - due)

    async def _closed(self) -> None:
        """Callers that each wait for their answer before they ask again, begun one after the other in the ramp."""
        count, ramp = self._plan.concurrency, self._plan.ramp
        async with asyncio.TaskGroup() as callers:
            for number in range(count):
                callers.create_task(self._caller(number * ramp / count))

    async def _caller(self, begin: float) -> None:
        await asyncio.sleep(begin)
        while (due := self.second) < self._plan.duration:
            reply = await self._ask(due, None)
            if reply.lost:
                await asyncio.sleep(_LOST_SECONDS)

    async def _ask(self, due: float, late: float | None) -> Reply:
        """One request and its answer; ``late`` is this program's own lateness."""
        signed = self._requests.at(self._number)
        self._number += 1
        self._tally.send(due, self.second, late)
        try:
            reply = await self._reply(signed.headers, signed.body)
        except asyncio.CancelledError:
            self._tally.cut(due, self.second)
            raise
        self._tally.finish(due, self.second, reply)
        return reply

    async def _reply(self, headers: dict[str, str], body: bytes) -> Reply:
        from aiohttp import ClientConnectorError, ClientError, ServerDisconnectedError

        try:
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
                content = await _content(response)
                return reply_of(response.status, response.headers, content, function=self._function)
        except TimeoutError:
            return Reply("timeout", f"no answer within {self._plan.timeout:g} s", waited=True)
        except ClientConnectorError as error:
            return Reply("no connection", str(error), lost=True)
        except (ServerDisconnectedError, ConnectionError) as error:
            return Reply("connection lost", str(error), lost=True)
        except ClientError as error:
            return Reply(type(error).__name__, str(error), lost=True)


async def _content(response: Any) -> bytes:
    """The whole answer is read; its beginning is kept."""
    kept = b""
    while chunk := await response.content.read(_READ_AT_ONCE):
        if len(kept) < _MOST_KEPT:
            kept = kept + chunk if kept else chunk
    return kept


@asynccontextmanager
async def _session(plan: LoadPlan) -> AsyncIterator[Any]:
    """Pooled connections, as many as requests may be under way; none is shared out by anybody but the plan."""
    import aiohttp

    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=15.0, ttl_dns_cache=60)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=plan.timeout),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
    ) as session:
        yield session
