"""Provisioned concurrency kept: as many environments of a version initialised as its configs ask for.

What is wanted follows from the records alone, so a start after kill -9 fills the pools again as a call would.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.functions.spec import FunctionSpec, InitFailed
from sagehound.localcloud.services.lambda_ import records
from sagehound.localcloud.services.lambda_.concurrency import Concurrency
from sagehound.localcloud.services.lambda_.invocation_needs import Engine, Functions
from sagehound.localcloud.services.lambda_.metrics import FunctionMetrics
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store

logger = logging.getLogger(__name__)

Record = dict[str, Any]
Key = tuple[str, str, str]
"""Region, function, version."""

IN_PROGRESS, READY, FAILED = "IN_PROGRESS", "READY", "FAILED"
INIT_FAILED = "FUNCTION_ERROR_INIT_FAILURE"
METRIC_SECONDS = 60.0
Listener = Callable[[str, str, str, str], None]
"""Called with region, function, qualifier and why it failed ("" when it did not)."""


@dataclass(slots=True)
class Pool:
    """The environments of one version: how many there should be, and how far that is."""

    spec: FunctionSpec
    qualifier: str
    """Of the config: the version itself, or an alias that points to it."""
    count: int
    status: str = IN_PROGRESS
    reason: str | None = None
    task: asyncio.Task[None] | None = None


class ProvisionedPools:
    """The pools of all versions."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        functions: Functions,
        engine: Engine,
        concurrency: Concurrency,
        metrics: FunctionMetrics,
    ) -> None:
        self._store = store
        self._clock = clock
        self._functions = functions
        self._engine = engine
        self._concurrency = concurrency
        self._metrics = metrics
        self._pools: dict[Key, Pool] = {}
        self._filling: set[asyncio.Task[None]] = set()
        self._reporting: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.listeners: list[Listener] = []
        """Told when a pool has become what was asked for, or will not."""
        functions.listeners.append(self._changed)

    async def start(self) -> None:
        """Fill every pool that there is a config for."""
        self._loop = asyncio.get_running_loop()
        configs = records.everywhere(self._store, records.PROVISIONED)
        for region, name in {(region, config["FunctionName"]) for region, _, config in configs}:
            self.reconcile(region, name)
        self._reporting = asyncio.create_task(self._report(), name="lambda-provisioned")

    async def stop(self) -> None:
        """Let go of what is being filled."""
        tasks = [*self._filling, *([self._reporting] if self._reporting else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def pool(self, region: str, name: str, qualifier: str) -> Pool | None:
        """The pool that a config of this version or alias keeps."""
        for (pool_region, pool_name, _), pool in self._pools.items():
            if (pool_region, pool_name, pool.qualifier) == (region, name, qualifier):
                return pool
        return None

    def ready(self, pool: Pool) -> int:
        """How many environments of a pool are initialised."""
        return self._engine.provisioned(pool.spec.key)[0]

    def reconcile(self, region: str, name: str) -> None:
        """Make the pools of a function what its configs say, now that one of them, or an alias, has changed."""
        wanted = self._wanted(region, name)
        for key in [key for key in self._pools if key[:2] == (region, name) and key not in wanted]:
            pool = self._pools.pop(key)
            self._concurrency.allot(*key, 0)
            pool.count = 0
            self._fill(key, pool)
        for key, config in wanted.items():
            spec, qualifier, count = config
            known = self._pools.get(key)
            if known is not None and known.spec.key == spec.key:
                known.qualifier = qualifier
                if known.count == count and known.status != FAILED:
                    continue
                known.count = count
            else:
                if known is not None:
                    known.count = 0
                    self._fill(key, known)
                known = self._pools[key] = Pool(spec, qualifier, count)
            self._concurrency.allot(*key, count)
            self._fill(key, known)

    def _changed(self, region: str, name: str, _: str | None) -> None:
        """An alias leads elsewhere, a version is ready or gone: looked at when the change is complete."""
        if self._loop is not None:
            self._loop.call_soon(self.reconcile, region, name)

    def _wanted(self, region: str, name: str) -> dict[Key, tuple[FunctionSpec, str, int]]:
        found: dict[Key, tuple[FunctionSpec, str, int]] = {}
        for config in records.under(self._store, records.PROVISIONED, region, name):
            qualifier = config["Qualifier"]
            try:
                version = self._functions.resolve(region, name, qualifier).versions[0][0]
                spec = self._functions.spec(region, name, version)
            except AwsError as refusal:
                # A version that is still being made is told of when it is ready; with one that has been deleted, or
                # the alias that led to it, its config goes.
                if refusal.code == "ResourceNotFoundException":
                    self._store.delete(records.PROVISIONED, region, f"{name}:{qualifier}")
                continue
            found[region, name, version] = (spec, qualifier, config["RequestedProvisionedConcurrentExecutions"])
        return found

    def _fill(self, key: Key, pool: Pool) -> None:
        pool.status, pool.reason = IN_PROGRESS, None
        if pool.task is None or pool.task.done():
            pool.task = asyncio.create_task(self._keep(key, pool))
            self._filling.add(pool.task)
            pool.task.add_done_callback(self._filling.discard)

    async def _keep(self, key: Key, pool: Pool) -> None:
        """Initialise or end environments until there are as many as are wanted, which may change meanwhile."""
        count = -1
        while count != pool.count:
            count = pool.count
            try:
                await self._engine.provision(pool.spec, count)
            except InitFailed as failure:
                logger.info("provisioned concurrency of %s:%s failed: %s", key[1], key[2], failure)
                outcome: tuple[str, str | None] = (FAILED, INIT_FAILED)
            except AwsError as refusal:
                logger.info("provisioned concurrency of %s:%s failed: %s", key[1], key[2], refusal)
                outcome = (FAILED, refusal.message)
            else:
                outcome = (READY, None)
            if count == pool.count:
                pool.status, pool.reason = outcome
                for listener in self.listeners:
                    listener(key[0], key[1], pool.qualifier, outcome[1] or "")

    async def _report(self) -> None:
        """Once a minute how much is in use, also when nobody calls: scaling in needs to see that."""
        while True:
            await self._clock.sleep(METRIC_SECONDS)
            for (region, name, version), pool in self._pools.items():
                running = self._concurrency.provisioned_running(region, name, version)
                self._metrics.utilization(region, name, pool.qualifier, running, pool.count)
