"""What is done behind one notebook instance's status: it comes up, is looked after, goes down, is deleted."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from sagehound.localcloud.container.invocations import Connections
from sagehound.localcloud.processes.log_pump import LogPump
from sagehound.localcloud.processes.supervisor import Exit, Handle
from sagehound.localcloud.services.sagemaker.notebook_home import ON_CREATE, SESSION_SECONDS, NotebookHome
from sagehound.localcloud.services.sagemaker.notebook_log import NotebookLog
from sagehound.localcloud.services.sagemaker.notebook_record import NotebookRecord
from sagehound.localcloud.services.sagemaker.notebook_status import (
    NOTEBOOK,
    NotStarted,
    why_not_started,
    with_last_words,
)
from sagehound.localcloud.services.sagemaker.providers import Providers
from sagehound.localcloud.services.sagemaker.tags import Tags

logger = logging.getLogger(__name__)

STOP_GRACE = 10.0
STARTUP_POLL = 0.05
JUPYTER_SECONDS = 180.0
"""How long JupyterLab may take until it answers, once the lifecycle scripts are through."""
STARTS = 3
LASTING = 60.0
"""An instance that has been up for so many seconds was no failed start."""


class NotebookRun:
    """One notebook instance. Each operation on it is one task; the record says which, so a restart resumes it."""

    def __init__(self, region: str, name: str, providers: Providers, tags: Tags) -> None:
        self.region = region
        self.name = name
        self.home = NotebookHome(region, name, providers)
        self._providers = providers
        self._record = NotebookRecord(region, name, providers)
        self._tags = tags
        self._task: asyncio.Task[None] | None = None
        self._pump: asyncio.Task[Exit] | None = None
        self._log: NotebookLog | None = None

    def begin(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run one operation in the background, in the place of what is done with the instance now."""
        before = self._task
        self._task = asyncio.create_task(self._guarded(work, before), name=f"notebook instance {self.name}")

    async def keep_up(self) -> None:
        """Pending -> InService, or Failed with why; then look after it: what is lost is started again."""
        starts = 0
        while True:
            began = time.monotonic()
            try:
                pump = await self._come_up()
                self._record.advance("InService")
                await self._look_after(pump)
                said = f"The notebook instance ended ({_ending(pump.result())}) {STARTS} times, soon after its start."
                failure = NotStarted(with_last_words(said, self._last_words()))
            except NotStarted as error:
                await self._end()
                self._record.advance("Failed", FailureReason=str(error))
                return
            logger.warning("notebook instance %s is lost: it is started again", self.name)
            self._record.advance("Pending")
            starts = 0 if time.monotonic() - began > LASTING else starts + 1
            if starts == STARTS:
                self._record.advance("Failed", FailureReason=str(failure))
                return

    async def halt(self) -> None:
        """Stopping -> Stopped: every process ends; its folder stays."""
        await self._end()
        self._record.advance("Stopped")

    async def update(self) -> None:
        """Updating -> Stopped: what was changed counts from the next start on."""
        self._record.advance("Stopped")

    async def delete(self) -> None:
        """The folder goes, then the record."""
        await self._end()
        await self.home.remove()
        arn = self._record.get()["NotebookInstanceArn"]
        store = self._providers.store
        with store.transaction():
            store.delete(NOTEBOOK, self.region, self.name)
            self._tags.delete(arn)

    async def recover(self) -> None:
        """After a restart of the server, or a fault: go on with what was begun."""
        status = self._record.get()["NotebookInstanceStatus"]
        if status == "InService":
            if self._running() is None:
                self._record.advance("Pending")
                await self.keep_up()
            else:
                await self._resume()
        elif status == "Pending":
            await self.keep_up()
        elif status == "Stopping":
            await self.halt()
        elif status == "Updating":
            await self.update()
        elif status == "Deleting":
            await self.delete()
        elif status == "Failed":
            await self._end()

    async def stop(self) -> None:
        """The server is stopped on purpose: end the processes; its next start brings back what was in service."""
        await self._cancel(self._task)
        await self._end()

    async def _resume(self) -> None:
        """An instance in service that outlived the server is taken over, and never left it."""
        pump = self._follow(self._record.get()["Handle"])
        self.home.renew_session(self._record.get(), self._log_of().say)
        await self._look_after(pump)
        self._record.advance("Pending")
        await self.keep_up()

    async def _come_up(self) -> asyncio.Task[Exit]:
        """The processes, adopted when they live, otherwise started, until JupyterLab answers; NotStarted if not."""
        handle = self._running()
        if handle is None:
            await self._last_lines()
            self._note_created()  # by a start that nobody saw to its end
            record = self._record.get()
            self._log = NotebookLog(record, self.region, self._providers)
            self.home.renew_session(record, self._log.say)
            try:
                program = await self.home.prepare(record, self._record.choose_scripts())
                handle = await self._providers.supervisor.start(self.home.host, program)
            except OSError as error:
                raise NotStarted(f"This machine cannot start the notebook instance: {error}") from error
            self._record.save(Handle=handle, LogOffset=handle["output_start"])
        pump = self._follow(handle)
        await self._until_ready(pump)
        return pump

    async def _until_ready(self, pump: asyncio.Task[Exit]) -> None:
        """Look for what the instance says of itself, and ask JupyterLab until it answers."""
        due: float | None = None
        while True:
            ended = pump.done()
            state = self.home.state()
            self._note_created()
            if "failed" in state:
                await asyncio.wait({pump}, timeout=STOP_GRACE)  # it ends, and the log has its last lines
                record, config_arn = self._record.get(), self._record.config_arn()
                raise why_not_started(record, state["failed"], config_arn, self._last_words())
            if ended:
                said = f"The notebook instance ended ({_ending(pump.result())}) before JupyterLab answered."
                raise NotStarted(with_last_words(said, self._last_words()))
            if len(state.get("done", ())) == len(self._record.get().get("Scripts", ())):
                due = due or time.monotonic() + JUPYTER_SECONDS
                if await self._answers():
                    self._record.save(Created=True)
                    return
                if time.monotonic() > due:
                    said = f"JupyterLab did not answer within {JUPYTER_SECONDS:g} seconds."
                    raise NotStarted(with_last_words(said, self._last_words()))
            await asyncio.wait({pump}, timeout=STARTUP_POLL)

    def _note_created(self) -> None:
        """OnCreate has succeeded, and never runs again."""
        if ON_CREATE in self.home.state().get("done", ()) and "Created" not in self._record.get():
            self._record.save(Created=True)

    async def _look_after(self, pump: asyncio.Task[Exit]) -> None:
        """Renew the role's session in time, until the instance ends by itself."""
        while not pump.done():
            await asyncio.wait({pump}, timeout=SESSION_SECONDS / 2 / self._providers.clock.speed)
            if not pump.done():
                self.home.renew_session(self._record.get(), self._log_of().say)

    async def _answers(self) -> bool:
        port = self.home.port()
        if port is None:
            return False
        connections = Connections(port)
        try:
            return (await connections.request("GET", "/api", {}, limit=5.0)).status == 200
        except OSError:
            return False
        finally:
            connections.close()

    async def _end(self) -> None:
        """Every process of the instance ends, and its last lines are stored."""
        handle = self._running()
        if handle is not None:
            pump = self._follow(handle)
            await self._providers.supervisor.stop(handle, STOP_GRACE)
            await pump
        await self._last_lines()

    async def _last_lines(self) -> None:
        """What an instance printed that nobody has followed to its end; then it is forgotten."""
        handle = self._record.get().get("Handle")
        if handle is None:
            return
        await self._follow(handle)
        self._pump = None
        self._providers.supervisor.remove(handle)
        self._record.forget("Handle")

    def _running(self) -> Handle | None:
        """The instance's processes; found by their directory when the server died before it kept the handle."""
        supervisor = self._providers.supervisor
        handle = self._record.get().get("Handle")
        if handle is None and (handle := supervisor.find(self.home.root)) is not None:
            self._record.save(Handle=handle, LogOffset=0)
        return handle if handle is not None and supervisor.is_running(handle) else None

    def _follow(self, handle: Handle) -> asyncio.Task[Exit]:
        """The task that stores what the instance prints; it ends with the instance. One that failed is replaced."""
        if self._pump is None or (self._pump.done() and (self._pump.cancelled() or self._pump.exception())):
            supervisor, offset = self._providers.supervisor, self._record.get().get("LogOffset", 0)
            pump = LogPump(supervisor, handle, self._keep_lines, offset)
            self._pump = asyncio.create_task(pump.run(), name=f"log of notebook instance {self.name}")
        return self._pump

    def _keep_lines(self, batch: list[tuple[float, str]], offset: int) -> None:
        with self._providers.store.transaction():
            self._log_of().append(batch)
            self._record.save(LogOffset=offset)

    def _log_of(self) -> NotebookLog:
        self._log = self._log or NotebookLog(self._record.get(), self.region, self._providers)
        return self._log

    def _last_words(self) -> str:
        return self._log_of().last_words()

    async def _guarded(self, work: Callable[[], Awaitable[None]], before: asyncio.Task[None] | None) -> None:
        """A fault of ours is said and fails the instance where its status can; it never ends in silence."""
        await self._cancel(before)
        try:
            await work()
        except Exception as error:
            logger.exception("notebook instance %s", self.name)
            if self._record.may("Failed"):
                reason = f"Internal fault: {type(error).__name__}: {error}"[:1024]
                try:
                    if (handle := self._running()) is not None:
                        await self._providers.supervisor.stop(handle, STOP_GRACE)
                finally:
                    self._record.advance("Failed", FailureReason=reason)

    async def _cancel(self, task: asyncio.Task[None] | None) -> None:
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.wait({task})


def _ending(exit: Exit) -> str:
    if exit.signal is not None:
        return f"signal {exit.signal}"
    return "nobody saw how" if exit.lost else f"exit code {exit.code}"
