"""Serverless variants: no model server until a request comes, one for each request at a time, none when nobody asks.

As on AWS: more than MaxConcurrency requests at a time are throttled, and the wait for a cold start is OverheadLatency.
AWS does not say how long it keeps what is idle; here it is five minutes.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from sagehound.localcloud.services.sagemaker.endpoint_instance import Instance
from sagehound.localcloud.services.sagemaker.endpoint_status import Record, is_serverless
from sagehound.localcloud.state.clock import Clock

logger = logging.getLogger(__name__)

IDLE_SECONDS = 300.0
_LOOK_SECONDS = 15.0

Begin = Callable[[], Instance]
"""Makes one more instance of the variant, which nobody has started yet."""
End = Callable[[Instance], Coroutine[Any, Any, None]]
"""Drains and removes an instance."""


class Replaced(Exception):
    """The endpoint serves something else by now, or nothing: the request has reached no handler."""


class Pool:
    """The model servers of one serverless variant. All methods run on the event loop."""

    def __init__(self, variant: Record, instances: list[Instance], begin: Begin, end: End, clock: Clock) -> None:
        config = variant["ServerlessConfig"]
        self.instances = instances
        self.limit: int = config["MaxConcurrency"]
        self._begin = begin
        self._end = end
        self._clock = clock
        self._requests = 0
        self._taken: set[str] = set()
        self._idle_since: dict[str, float] = {}
        self._starting: set[asyncio.Task[None]] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._reaper = asyncio.create_task(self._reap(), name="idle serverless environments")

    def enter(self) -> bool:
        """A request comes in, unless there are MaxConcurrency already."""
        if self._requests >= self.limit:
            return False
        self._requests += 1
        return True

    def exit(self) -> None:
        """It has been answered, one way or another."""
        self._requests -= 1

    async def take(self, seconds: float) -> Instance:
        """An instance that does nothing, the last that was busy; otherwise a new one, which may take its time.

        NotHealthy says why a new one did not come up, TimeoutError that it was not there in time, Replaced that nobody
        waits for it any more.
        """
        idle = [one for one in self.instances if one.ready and one.instance_id not in self._taken]
        if idle:
            instance = max(idle, key=lambda one: one.entered)
            self._taken.add(instance.instance_id)
            return instance
        if len(self.instances) >= self.limit:
            self._replace_broken()
        instance = self._begin()
        self.instances.append(instance)
        self._taken.add(instance.instance_id)
        start = asyncio.create_task(self._start(instance), name=f"cold start of {instance.instance_id}")
        self._starting.add(start)
        start.add_done_callback(self._starting.discard)
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await asyncio.shield(start)
        except BaseException:
            # Whoever asks next has it, if it comes up after all.
            start.add_done_callback(lambda _: self.give_back(instance))
            if start.cancelled():
                raise Replaced from None
            raise
        return instance

    def give_back(self, instance: Instance) -> None:
        """It does nothing from now on."""
        self._taken.discard(instance.instance_id)
        if instance in self.instances:
            self._idle_since[instance.instance_id] = self._clock.time()

    def close(self) -> None:
        """The variant has been replaced, or the server ends: nothing is started or ended by it any more."""
        self._reaper.cancel()
        for start in self._starting:
            start.cancel()

    def _replace_broken(self) -> None:
        """End one that does not answer, so that there are never more than MaxConcurrency however often they end."""
        for instance in self.instances:
            if instance.instance_id not in self._taken:
                self.instances.remove(instance)
                self._idle_since.pop(instance.instance_id, None)
                ending = asyncio.create_task(self._end_quietly(instance), name=f"end of {instance.instance_id}")
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)
                return

    async def _end_quietly(self, instance: Instance) -> None:
        try:
            await self._end(instance)
        except Exception:
            logger.exception("serverless environment %s is not ended", instance.instance_id)

    async def _start(self, instance: Instance) -> None:
        try:
            await instance.come_up()
        except Exception:
            if instance in self.instances:
                self.instances.remove(instance)
            await self._end(instance)
            raise

    async def _reap(self) -> None:
        """End what nobody has asked for a while."""
        while True:
            await self._clock.sleep(_LOOK_SECONDS)
            now = self._clock.time()
            for instance in list(self.instances):
                name = instance.instance_id
                if name not in self._taken and now - self._idle_since.setdefault(name, now) >= IDLE_SECONDS:
                    self.instances.remove(instance)
                    del self._idle_since[name]
                    await self._end_quietly(instance)


class Pools:
    """The pools of one endpoint: of the serverless variants of what it serves."""

    def __init__(self, add: Callable[[str, Record], Instance], end: End, clock: Clock) -> None:
        self._add = add
        self._end = end
        self._clock = clock
        self._generation = ""
        self._pools: dict[str, Pool] = {}

    def of(self, deployment: Record, instances: Iterable[Instance]) -> dict[str, Pool]:
        """Those of a deployment, by variant, which from now on are the only ones; they begin with what is there."""
        generation = deployment["Generation"]
        if generation != self._generation:
            self.close()
            self._generation = generation
        there = [instance for instance in instances if instance.begun]
        for variant in deployment["Variants"]:
            name = variant["VariantName"]
            if is_serverless(variant) and name not in self._pools:
                its = [instance for instance in there if instance.record["VariantName"] == name]
                begin = functools.partial(self._add, generation, variant)
                self._pools[name] = Pool(variant, its, begin, self._end, self._clock)
        return dict(self._pools)

    def close(self) -> None:
        """Nothing is started or ended by them any more."""
        for pool in self._pools.values():
            pool.close()
        self._pools = {}


def without_instances(deployment: Record) -> Record:
    """A deployment whose serverless variants need no instance: one has shown that there can be others."""
    for variant in deployment["Variants"]:
        if is_serverless(variant):
            variant["InstanceCount"] = 0
    return deployment
