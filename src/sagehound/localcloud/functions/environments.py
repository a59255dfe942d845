"""All execution environments: an idle one or a new one for every invocation, provisioned ones kept ready, all ended."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from sagehound.localcloud.functions import report
from sagehound.localcloud.functions.environment import Environment
from sagehound.localcloud.functions.launcher import StartFailed
from sagehound.localcloud.functions.log import EnvironmentLog, LogSink
from sagehound.localcloud.functions.machine import Machine
from sagehound.localcloud.functions.pool import Pool
from sagehound.localcloud.functions.spec import FunctionSpec, InitFailed, Invocation, Outcome
from sagehound.localcloud.functions.work import InitFailure, NeverDelivered

Credentials = Callable[[FunctionSpec], dict[str, Any]]
"""The role's session for a version: AccessKeyId, SecretAccessKey, SessionToken, Expiration."""

INIT_SECONDS = 10.0
PROVISIONED_INIT_SECONDS = 130.0
"""The least that a provisioned environment gets to initialise; a longer timeout of the function counts instead."""
STARTS_AT_ONCE = max(4, 2 * (os.cpu_count() or 1))
START_TURN_SECONDS = 1.0
"""An initialisation that waits for something makes room for another start after this long."""
CREDENTIALS_MARGIN = 60.0
STOP_SECONDS = 5.0
LOOK_SECONDS = 5.0
FIRST_RETRY, LAST_RETRY = 1.0, 60.0

logger = logging.getLogger(__name__)


class Environments:
    """Pools by the key of a version. The caller counts concurrency; here an invocation always gets an environment."""

    def __init__(
        self,
        folder: Path,
        *,
        credentials: Credentials,
        logs: LogSink,
        endpoint_url: Callable[[], str],
        hidden: tuple[Path, ...] = (),
        bundle: Path | None = None,
        idle_seconds: float = 600.0,
        look_seconds: float = LOOK_SECONDS,
        init_seconds: float = INIT_SECONDS,
        sandbox: bool = True,
    ) -> None:
        self._machine = Machine(folder, hidden, sandbox, bundle)
        self._credentials = credentials
        self._logs = logs
        self._endpoint_url = endpoint_url
        self._idle_seconds = idle_seconds
        self._look_seconds = look_seconds
        self._init_seconds = init_seconds
        self._pools: dict[str, Pool] = {}
        self._homes: dict[Environment, Pool] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._starts = asyncio.Semaphore(STARTS_AT_ONCE)
        self._stopping = False

    @property
    def private(self) -> bool:
        """Whether environments have a root and processes of their own on this machine."""
        return self._machine.private

    async def start(self) -> None:
        """Begin to find out what this machine allows; nothing is started for any function yet."""
        self._machine.start()
        self._background(self._look_after())

    async def ready(self) -> None:
        """Return when it is known what this machine allows; invocations wait for that by themselves."""
        await self._machine.ready()

    async def stop(self) -> None:
        """End every process; invocations under way are answered as killed."""
        self._stopping = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        environments = list(self._homes)
        for environment in environments:
            environment.end()
        try:
            with suppress(TimeoutError):  # what has not even started ends with the machine's spawner
                async with asyncio.timeout(STOP_SECONDS):
                    for environment in environments:
                        await environment.wait_closed()
        finally:
            await self._machine.close()

    # -- invocations

    async def invoke(self, spec: FunctionSpec, invocation: Invocation, *, provisioned: bool) -> Outcome:
        """Run an invocation; StartFailed when the operating system gives no process."""
        pool = self._pool(spec)
        while True:
            environment = pool.take(provisioned, time.time() + spec.timeout)
            if environment is None:
                return await self._invoke_cold(pool, spec, invocation)
            try:
                return await environment.run(invocation, timeout=spec.timeout)
            except NeverDelivered:
                continue

    async def _invoke_cold(self, pool: Pool, spec: FunctionSpec, invocation: Invocation) -> Outcome:
        await self._machine.ready()
        environment = self._new(pool, spec, provisioned=False)
        spent = 0.0
        try:
            await self._initialise(environment, self._init_seconds)
        except InitFailure as failed:
            environment.log.line(report.init_report_line(failed.seconds, failed.failure, "init"))
            if failed.failure.document is not None:
                return environment.fail(invocation, failed.failure, failed.seconds)
            # As on AWS an initialisation that was too long or crashed begins again within the invocation's own time.
            environment = self._new(pool, spec, provisioned=False, log=environment.log)
            try:
                await self._initialise(environment, spec.timeout)
            except InitFailure as again:
                environment.log.line(report.init_report_line(again.seconds, again.failure, "invoke"))
                return environment.fail(invocation, again.failure, again.seconds)
            spent = environment.init_seconds
        init_seconds = None if spent else environment.init_seconds
        try:
            return await environment.run(invocation, timeout=spec.timeout, init_seconds=init_seconds, spent=spent)
        except NeverDelivered:  # it was there and ended by itself: a third environment would do the same
            return environment.fail(invocation, environment.ending, environment.init_seconds)

    def _pool(self, spec: FunctionSpec) -> Pool:
        pool = self._pools.get(spec.key)
        if pool is None or pool.retired:
            pool = self._pools[spec.key] = Pool(spec)
        return pool

    def _new(
        self, pool: Pool, spec: FunctionSpec, *, provisioned: bool, log: EnvironmentLog | None = None
    ) -> Environment:
        if log is None:
            log = EnvironmentLog(spec, self._logs)
            for note in self._machine.notes(spec):
                log.line(note)
        environment = Environment(spec, self._machine, self, log, provisioned=provisioned)
        pool.members.add(environment)
        self._homes[environment] = pool
        return environment

    async def _initialise(self, environment: Environment, limit: float) -> None:
        """Initialise with a session of the role, a few at a time so that they do not take each other's seconds."""
        try:
            credentials = self._credentials(environment.spec)
            environment.credentials_end = credentials["Expiration"].timestamp()
            await self._starts.acquire()
            turn = asyncio.get_running_loop().call_later(START_TURN_SECONDS, self._starts.release)
            try:
                await environment.initialise(limit, credentials, self._endpoint_url())
            finally:
                if turn.when() > asyncio.get_running_loop().time():
                    turn.cancel()
                    self._starts.release()
        except BaseException:
            self.ended(environment)
            raise

    # -- what environments tell

    def answered(self, environment: Environment) -> None:
        """Its handler has answered: it is idle."""
        pool = self._homes.get(environment)
        if pool is not None:
            pool.give(environment)

    def ended(self, environment: Environment) -> None:
        """Its processes have gone; a provisioned one is replaced."""
        pool = self._homes.pop(environment, None)
        if pool is None:
            return
        pool.forget(environment)
        if environment.provisioned and pool.missing and not self._stopping:
            self._background(self._refill(pool))
        self._drop_if_unused(pool)

    def _drop_if_unused(self, pool: Pool) -> None:
        if not pool.members and not pool.wanted and not pool.starting and self._pools.get(pool.spec.key) is pool:
            del self._pools[pool.spec.key]

    # -- provisioned concurrency

    async def provision(self, spec: FunctionSpec, count: int) -> None:
        """Keep `count` environments initialised; returns when they are. InitFailed when one cannot be."""
        pool = self._pool(spec)
        pool.wanted = count
        pool.shrink()
        starts = [self._add_provisioned(pool) for _ in range(pool.missing)]
        results = await asyncio.gather(*starts, return_exceptions=True)
        pool.shrink()
        self._drop_if_unused(pool)
        for result in results:
            if isinstance(result, InitFailure):
                pool.wanted = min(pool.wanted, len(pool.allocated))
                raise InitFailed(result.failure.payload("").decode("utf-8", "replace")) from result
            if isinstance(result, StartFailed):
                pool.wanted = min(pool.wanted, len(pool.allocated))
                raise InitFailed(str(result)) from result
            if isinstance(result, BaseException):
                raise result

    def _add_provisioned(self, pool: Pool) -> asyncio.Task[None]:
        pool.starting += 1
        return asyncio.create_task(self._start_provisioned(pool))

    async def _start_provisioned(self, pool: Pool) -> None:
        try:
            await self._machine.ready()
            environment = self._new(pool, pool.spec, provisioned=True)
            try:
                await self._initialise(environment, max(PROVISIONED_INIT_SECONDS, pool.spec.timeout))
            except InitFailure as failed:
                environment.log.line(report.init_report_line(failed.seconds, failed.failure, "init"))
                environment.log.flush()
                raise
        finally:
            pool.starting -= 1
        pool.allocated.add(environment)
        pool.give(environment)

    async def _refill(self, pool: Pool) -> None:
        """Replace what has crashed; one that cannot be initialised is tried again, less and less often."""
        wait = FIRST_RETRY
        while pool.missing and not pool.retired:
            try:
                await self._add_provisioned(pool)
            except Exception as failure:  # noqa: BLE001 - whatever keeps it from starting, a role that has gone too
                logger.info("no provisioned environment of %s: %s", pool.spec.function_arn, failure)
                await asyncio.sleep(wait)
                wait = min(2 * wait, LAST_RETRY)

    def provisioned(self, key: str) -> tuple[int, int]:
        """(initialised, of these idle) provisioned environments of a version."""
        pool = self._pools.get(key)
        return (len(pool.allocated), len(pool.provisioned)) if pool is not None else (0, 0)

    def idle(self, key: str) -> int:
        """How many environments of a version wait for an invocation."""
        pool = self._pools.get(key)
        return len(pool.provisioned) + len(pool.on_demand) if pool is not None else 0

    def retire(self, key: str) -> None:
        """The version has changed or gone: idle environments end now, busy ones when they have answered."""
        pool = self._pools.pop(key, None)
        if pool is None:
            return
        pool.retired = True
        pool.wanted = 0
        for environment in [*pool.provisioned, *pool.on_demand]:
            environment.end()

    # -- as time goes by

    async def _look_after(self) -> None:
        while True:
            await asyncio.sleep(self._look_seconds)
            for pool in list(self._pools.values()):
                good_until = time.time() + pool.spec.timeout + CREDENTIALS_MARGIN
                pool.end_idle(time.monotonic() - self._idle_seconds, good_until)

    def _background(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
