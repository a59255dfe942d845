"""Commands on their way: each instance runs its part, so many at a time, until too many have failed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.instances.spec import NotRunning
from sagehound.localcloud.processes.supervisor import Exit
from sagehound.localcloud.services.ssm import command_status, shell_script
from sagehound.localcloud.services.ssm.command_status import LIFECYCLE
from sagehound.localcloud.services.ssm.command_table import CommandTable
from sagehound.localcloud.services.ssm.needs import Machines
from sagehound.localcloud.services.ssm.output import Output
from sagehound.localcloud.services.ssm.upload import Upload
from sagehound.localcloud.state.clock import Clock

logger = logging.getLogger(__name__)
Record = dict[str, Any]
STOPPED_PREEMPTIVELY = 137
"""The agent's ResponseCode of a script that it has killed."""
_DIED = "The local cloud ended while this command was running, and the command with it."


class Delivery:
    """Runs commands. What stands in the records is enough to go on after a death of the server."""

    def __init__(self, table: CommandTable, clock: Clock, machines: Machines, folder: Path, upload: Upload) -> None:
        self._table = table
        self._clock = clock
        self._machines = machines
        self._folder = folder
        self._upload = upload
        self._commands: set[asyncio.Task[None]] = set()
        self._running: dict[tuple[str, str], asyncio.Task[Exit]] = {}
        self._stopping = False

    def start(self) -> None:
        """Take up what an earlier server has left: what was running has ended with it, what was not begins now."""
        self._stopping = False
        for command in self._table.commands():
            waiting = False
            for invocation in self._table.invocations(command):
                if invocation["Status"] == "Pending":
                    waiting = True
                elif not LIFECYCLE.is_final(invocation["Status"]):
                    self._died(command, invocation)
            if waiting:
                self.begin(command)
        # What a server left behind that was killed between telling an end and deleting its output.
        shutil.rmtree(self._folder, ignore_errors=True)

    async def stop(self) -> None:
        """End what runs; what waits goes on with the next server."""
        self._stopping = True
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._commands, return_exceptions=True)

    def begin(self, command: Record) -> None:
        """Send a command to its instances, soon."""
        task = asyncio.get_running_loop().create_task(self._deliver(command), name=f"ssm-{command['CommandId']}")
        self._commands.add(task)
        task.add_done_callback(self._done)

    def cancel(self, command: Record, instance_ids: list[str]) -> None:
        """Cancel a command on instances: what waits never begins, what runs is killed."""
        for instance_id in instance_ids:
            name = command["CommandId"], instance_id
            if self._table.advance(command["region"], *name, "Cancelling"):
                if name in self._running:
                    self._running[name].cancel()
            else:
                self._table.advance(command["region"], *name, "Cancelled")

    async def _deliver(self, command: Record) -> None:
        waiting = [entry["InstanceId"] for entry in self._table.invocations(command) if entry["Status"] == "Pending"]
        active: set[asyncio.Task[None]] = set()
        limit = command_status.concurrency(command)
        while (waiting or active) and not (self._stopping and not active):
            if command_status.is_over_errors(command, self._table.invocations(command)):
                for instance_id in waiting:
                    self._advance(command, instance_id, "Cancelled", "Terminated")
                waiting = []
            while waiting and len(active) < limit and not self._stopping:
                active.add(asyncio.create_task(self._invoke(command, waiting.pop(0))))
            if active:
                done, active = await asyncio.wait(active, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()

    async def _invoke(self, command: Record, instance_id: str) -> None:
        """One instance from Pending to its end, whatever fails here."""
        if self._stopping:
            return  # its turn comes with the next server
        try:
            await self._run(command, instance_id)
        except Exception as error:
            logger.exception("command %s on %s", command["CommandId"], instance_id)
            told = {"StandardErrorContent": f"The local cloud could not run this command: {error}"}
            self._advance(command, instance_id, "Failed", Finished=self._clock.now(), **told)

    async def _run(self, command: Record, instance_id: str) -> None:
        now, name = self._clock.now(), (command["CommandId"], instance_id)
        if now > command["RequestedDateTime"] + timedelta(seconds=command["TimeoutSeconds"]):
            self._advance(command, instance_id, "TimedOut", "DeliveryTimedOut")
            return
        if all(machine.instance_id != instance_id for machine in self._machines.running(command["region"])):
            told = {"StandardErrorContent": "The instance was not running when its turn came."}
            self._advance(command, instance_id, "Failed", "Undeliverable", **told)
            return
        if not self._advance(command, instance_id, "InProgress", Started=now):
            return  # cancelled meanwhile
        output = self.output(command, instance_id)
        output.begin()
        script = shell_script.parse(command["Parameters"])
        task = self._running[name] = asyncio.get_running_loop().create_task(
            self._machines.run(
                command["region"],
                instance_id,
                script.command(*name, command["region"], self._clock.speed),
                output.stdout,
                output.stderr,
            )
        )
        await asyncio.wait([task])
        del self._running[name]
        output.close()
        status, details, code, sentence = self._ending(task)
        if sentence:
            output.say(sentence)
        await self._end(command, instance_id, output, status, details, code)

    def _ending(self, task: asyncio.Task[Exit]) -> tuple[str, str, int, str]:
        """Status, details, ResponseCode and the last line of the errors, as the agent tells them."""
        if task.cancelled():
            if self._stopping:
                return "Failed", "Failed", STOPPED_PREEMPTIVELY, _DIED
            return "Cancelled", "Cancelled", STOPPED_PREEMPTIVELY, "failed to run commands: signal: killed"
        error = task.exception()
        if isinstance(error, TimeoutError):
            said = "failed to run commands: exit status 137 (executionTimeout)"
            return "TimedOut", "ExecutionTimedOut", STOPPED_PREEMPTIVELY, said
        if isinstance(error, NotRunning):
            return "Failed", "Failed", -1, "failed to run commands: the instance has ended"
        if error is not None:
            logger.error("a command could not be run", exc_info=error)
            return "Failed", "Failed", -1, f"failed to run commands: {error}"
        ended = task.result()
        if ended.success:
            return "Success", "Success", 0, ""
        if ended.code is None:
            return "Failed", "Failed", -1, f"failed to run commands: signal {ended.signal}"
        return "Failed", "Failed", ended.code, f"failed to run commands: exit status {ended.code}"

    async def _end(
        self, command: Record, instance_id: str, output: Output, status: str, details: str, code: int
    ) -> None:
        """The end is told once its output is where the request wants it."""
        try:
            await self._upload.put(command, instance_id, output)
        except (AwsError, OSError) as reason:
            logger.warning("output of command %s is not in S3: %s", command["CommandId"], reason)
        told = {"ResponseCode": code, "Finished": self._clock.now(), **output.texts()}
        if not self._advance(command, instance_id, status, details, **told):
            # It was to be cancelled just when it ended by itself, or the other way round.
            self._advance(command, instance_id, "Failed", details, **told)
        output.remove()

    def _died(self, command: Record, invocation: Record) -> None:
        """The end of what ran when an earlier server died."""
        instance_id = invocation["InstanceId"]
        output = self.output(command, instance_id)
        output.say(_DIED)
        to = "Cancelled" if invocation["Status"] == "Cancelling" else "Failed"
        told = {"ResponseCode": STOPPED_PREEMPTIVELY, "Finished": self._clock.now(), **output.texts()}
        self._advance(command, instance_id, to, to, **told)
        output.remove()

    def output(self, command: Record, instance_id: str) -> Output:
        """Where the streams of an invocation are."""
        folder = self._folder / command["CommandId"] / instance_id
        return Output(folder, whole=bool(command["OutputS3BucketName"]))

    def _advance(self, command: Record, instance_id: str, status: str, details: str = "", **members: Any) -> bool:
        return self._table.advance(
            command["region"], command["CommandId"], instance_id, status, details or status, **members
        )

    def _done(self, task: asyncio.Task[None]) -> None:
        self._commands.discard(task)
        with contextlib.suppress(asyncio.CancelledError):
            if task.exception() is not None:
                logger.error("%s could not go on", task.get_name(), exc_info=task.exception())
