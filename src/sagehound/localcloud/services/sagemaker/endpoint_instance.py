"""One instance of an endpoint: a model server process that is started, watched, started again, and drained."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any

from sagehound.localcloud.container.invocations import Connections
from sagehound.localcloud.container.ledger import Ledger
from sagehound.localcloud.processes.log_pump import LogPump
from sagehound.localcloud.processes.supervisor import Exit, Host
from sagehound.localcloud.services.sagemaker.endpoint_health import Killed, NotHealthy, ended, ending, why
from sagehound.localcloud.services.sagemaker.endpoint_log import InstanceLog
from sagehound.localcloud.services.sagemaker.endpoint_memory import limit_memory
from sagehound.localcloud.services.sagemaker.endpoint_program import SESSION_SECONDS, InstanceHome
from sagehound.localcloud.services.sagemaker.endpoint_status import INSTANCE, Record, is_serverless
from sagehound.localcloud.services.sagemaker.model_data import ModelData
from sagehound.localcloud.services.sagemaker.providers import Providers

logger = logging.getLogger(__name__)

STARTUP_LIMIT = 240.0
"""Seconds until /ping must answer, unless ContainerStartupHealthCheckTimeoutInSeconds says otherwise."""
STARTUP_POLL = 0.02
PING_SECONDS = 1.0
PING_LIMIT = 2.0
UNANSWERED_SECONDS = 30.0
"""How long /ping may fail before the process is started again."""
STOP_GRACE = 30.0
BACKOFF = (0.0, 0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before the next start, by the number of starts that did not last a minute."""
HEALTHY_AGAIN = 60.0
STARTS = 3
"""How often a model server that is killed from outside before it is healthy is started: that says nothing of it."""


class Instance:
    """The process behind one slot of a variant. `ready` decides whether the router may send it requests."""

    def __init__(
        self, record: Record, variant: Record, providers: Providers, model_data: ModelData, changed: Callable[[], None]
    ) -> None:
        self.record = record
        self.variant = variant
        self.connections: Connections | None = None
        self.in_flight = 0
        self.entered = 0.0
        """When the last request was sent to it."""
        self.ledger: Ledger | None = None
        self._providers = providers
        self._changed = changed
        self._home = InstanceHome(record["EndpointName"], record["InstanceId"], providers, model_data)
        self._log = InstanceLog(record, providers)
        self._idle = asyncio.Event()
        self._doubted = asyncio.Event()
        self._leaving = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._memory: asyncio.Task[None] | None = None
        self._removed = False
        self._healthy = bool(record.get("Healthy"))

    @property
    def ready(self) -> bool:
        """Whether it answers and takes requests."""
        return self.connections is not None and not self._leaving.is_set() and not self._doubted.is_set()

    @property
    def in_service(self) -> bool:
        """Whether it has become healthy and stays: a moment without an answer does not end its service."""
        return self._healthy and not self._leaving.is_set()

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        handle = self.record.get("Handle")
        return handle is not None and self._providers.supervisor.is_running(handle)

    @property
    def begun(self) -> bool:
        """Whether its process is being looked after already."""
        return self._task is not None

    @property
    def instance_id(self) -> str:
        return str(self.record["InstanceId"])

    async def come_up(self) -> None:
        """Start (or adopt) the process and wait until it is healthy; NotHealthy says why it is not."""
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(first), name=f"instance {self.instance_id}")
        await first

    def look_for_process(self) -> None:
        """After a restart: a server that was killed in the middle of a start has not kept which process it started."""
        if not self.alive and (handle := self._providers.supervisor.find(self._home.root)) is not None:
            self._save(Handle=handle)

    def keep_up(self) -> None:
        """Start (or adopt) the process in the background and never give up: its endpoint was in service before."""
        self._task = asyncio.create_task(self._run(None), name=f"instance {self.instance_id}")

    async def leave(self, drain_seconds: float) -> None:
        """Take no more requests, finish those in flight, then end the process and forget the instance."""
        self._leaving.set()
        if self.in_flight:
            self._idle.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(drain_seconds):
                    await self._idle.wait()
        handle = self.record.get("Handle")
        if handle is not None:
            await self._providers.supervisor.stop(handle, STOP_GRACE)
            if self._task is not None:
                await asyncio.wait({self._task}, timeout=PING_LIMIT)  # it stores the last lines, then ends
        await self.let_go()
        self._removed = True
        if handle is not None:
            self._providers.supervisor.remove(handle)
        self._providers.store.delete(INSTANCE, self.record["Region"], self.instance_id)
        await self._home.remove()

    async def let_go(self) -> None:
        """Stop watching; the process itself goes on."""
        if self._memory is not None:
            self._memory.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None
        if self.connections is not None:
            self.connections.close()
            self.connections = None

    async def shut_down(self) -> None:
        """The cloud is stopped on purpose: end the process, which the next start brings back."""
        await self.let_go()
        handle = self.record.get("Handle")
        if handle is not None:
            await self._providers.supervisor.stop(handle, STOP_GRACE)

    def doubt(self) -> None:
        """A request did not get through: send no more until the process has answered /ping again."""
        self._doubted.set()

    def enter(self) -> None:
        """A request goes to this instance."""
        self.in_flight += 1
        self.entered = time.monotonic()

    def exit(self) -> None:
        """A request has come back from it, one way or another."""
        self.in_flight -= 1
        if not self.in_flight:
            self._idle.set()

    async def _run(self, first: asyncio.Future[None] | None) -> None:
        """Start, watch, start again; the first start may fail for good when somebody waits for it."""
        starts = 0
        while True:
            try:
                healthy_since = time.monotonic()
                pump = await self._launch()
                try:
                    await self._until_ready(pump)
                    healthy_since = time.monotonic()
                    if first is not None and not first.done():
                        first.set_result(None)
                    await self._watch(pump)
                finally:
                    self._unready()
                    if not pump.done():
                        pump.cancel()
                        await asyncio.wait({pump})
            except Exception as error:
                if first is not None and not first.done() and not (isinstance(error, Killed) and starts + 1 < STARTS):
                    first.set_exception(error if isinstance(error, NotHealthy) else NotHealthy(str(error)))
                    return
                if not self._leaving.is_set():
                    logger.exception("instance %s is not healthy", self.instance_id)
            starts = 0 if time.monotonic() - healthy_since > HEALTHY_AGAIN else starts + 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BACKOFF[min(starts, len(BACKOFF) - 1)]):
                    await self._leaving.wait()
            if self._leaving.is_set():
                if first is not None and not first.done():
                    first.set_exception(NotHealthy("The instance leaves before it has become healthy."))
                return

    async def _launch(self) -> asyncio.Task[Exit]:
        """The process, adopted when it lives, otherwise started; the task ends with it, when its log is stored."""
        supervisor = self._providers.supervisor
        handle = self.record.get("Handle")
        if handle is not None and supervisor.is_running(handle):
            self._renew_session()
            self.ledger = self.ledger or self._home.ledger()
        else:
            if handle is not None:  # the last words of a process that ended while nobody looked
                await LogPump(supervisor, handle, self._keep_lines, self.record.get("LogOffset", 0)).run()
            program = await self._home.prepare(self.record, self.variant, self._log.say)
            if self._leaving.is_set():
                raise NotHealthy("The instance leaves: nobody would end a process that is started now.")
            self._renew_session()
            host = Host(self.instance_id, self._home.root, shared=self._home.shared)
            handle = await supervisor.start(host, program)
            self._save(Handle=handle)
            self.ledger = self._home.ledger()
        if is_serverless(self.variant):
            limit = self.variant["ServerlessConfig"]["MemorySizeInMB"]
            self._memory = asyncio.create_task(limit_memory(limit, handle, supervisor, self._log.say))
        pump = LogPump(supervisor, handle, self._keep_lines, self.record.get("LogOffset", 0))
        return asyncio.create_task(pump.run(), name=f"log of {self.instance_id}")

    async def _until_ready(self, pump: asyncio.Task[Exit]) -> None:
        """Ask /ping every 20 ms, until it answers, the process ends, or the limit has passed."""
        limit = float(self.variant.get("StartupLimit", STARTUP_LIMIT))
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            connections = await self._answering()
            if connections is not None:
                self._doubted.clear()
                self.connections = connections
                if not self._healthy:
                    self._healthy = True
                    self._save(Healthy=True)
                self._changed()
                return
            await asyncio.wait({pump}, timeout=STARTUP_POLL)
            if pump.done():
                raise ended(pump.result(), self.record["VariantName"], self._log.last_words())
        said = f"/ping did not answer within {limit:g} seconds."
        raise NotHealthy(why(said, self.record["VariantName"], self._log.last_words()))

    async def _answering(self) -> Connections | None:
        port = self._home.port()
        if port is None:
            return None
        connections = Connections(port, self._home.key())
        if await self._ping(connections):
            return connections
        connections.close()
        return None

    async def _watch(self, pump: asyncio.Task[Exit]) -> None:
        """Ask /ping every second until the process ends; end it when it has not answered for long."""
        answered = renewed = time.monotonic()
        while True:
            await self._pause(pump)
            if pump.done():
                if not self._leaving.is_set():
                    logger.warning("the model server of %s ended (%s)", self.instance_id, ending(pump.result()))
                return
            assert self.connections is not None
            if time.monotonic() - renewed > SESSION_SECONDS / 2:
                self._renew_session()
                renewed = time.monotonic()
            if await self._ping(self.connections):
                answered = time.monotonic()
                if self._doubted.is_set():
                    self._doubted.clear()
                    self._changed()
                continue
            self._doubted.set()
            if time.monotonic() - answered > UNANSWERED_SECONDS and not pump.done():
                self._log.say(f"/ping has failed for {UNANSWERED_SECONDS:g} s: the model server is started again")
                await self._providers.supervisor.stop(self.record["Handle"], 2.0)
                await asyncio.wait({pump})
                return

    async def _pause(self, pump: asyncio.Task[Exit]) -> None:
        """Until the next /ping is due, the process has ended, or a request has just failed to reach it."""
        if self._doubted.is_set():
            await asyncio.wait({pump}, timeout=STARTUP_POLL)
            return
        doubted = asyncio.ensure_future(self._doubted.wait())
        try:
            await asyncio.wait({pump, doubted}, timeout=PING_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            doubted.cancel()

    async def _ping(self, connections: Connections) -> bool:
        try:
            return (await connections.request("GET", "/ping", {}, limit=PING_LIMIT)).status == 200
        except OSError:
            return False

    def _unready(self) -> None:
        """What a process that lives has taken in is left to it: sent elsewhere, it would be handled twice."""
        if self.connections is not None:
            (self.connections.close if self.alive else self.connections.abort)()
            self.connections = None

    def _renew_session(self) -> None:
        self._home.renew_session(self.variant["ExecutionRoleArn"], self._log.say)

    def _save(self, **members: Any) -> None:
        self.record.update(members)
        if not self._removed:
            self._providers.store.put(INSTANCE, self.record["Region"], self.instance_id, self.record)

    def _keep_lines(self, batch: list[tuple[float, str]], offset: int) -> None:
        with self._providers.store.transaction():
            self._log.append(batch)
            self._save(LogOffset=offset)
