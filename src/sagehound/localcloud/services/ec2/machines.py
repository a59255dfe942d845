"""Instances as they run: brings each to the state that its record wants, and its record to what has happened to it."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from sagehound.localcloud.instances.spec import Ending, Handle, InstanceEngine, InstanceSpec, Metadata, NotRunning
from sagehound.localcloud.services.ec2 import instance_types, states
from sagehound.localcloud.services.ec2.states import LIFECYCLE
from sagehound.localcloud.services.ec2.table import InstanceTable
from sagehound.localcloud.state.clock import Clock

logger = logging.getLogger(__name__)
Record = dict[str, Any]
GRACE = 30.0
"""Seconds that programs have between SIGTERM and SIGKILL when their instance is stopped or terminated."""
AGAIN = 5.0
"""Seconds until this machine is asked again for what it has refused (a full disk, a folder that is in use)."""
MetadataOf = Callable[[str, str], Metadata]


class Machines:
    """Follows every instance. What is wanted stands in the records, so a death of the server forgets nothing."""

    def __init__(
        self,
        table: InstanceTable,
        engine: InstanceEngine,
        clock: Clock,
        root: Path,
        endpoint_url: Callable[[], str],
        metadata_of: MetadataOf,
    ) -> None:
        self._table = table
        self._engine = engine
        self._clock = clock
        self._root = root
        self._endpoint_url = endpoint_url
        self._metadata_of = metadata_of
        self._locks: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Adopt what still runs, find out about what has ended meanwhile, and go on with what was under way."""
        for record in self._table.all():
            region, instance_id = record["Region"], record["InstanceId"]
            if record["InstanceState"] in states.UNSETTLED and "Handle" not in record:
                # Started by a server that died before it had kept the handle.
                handle = self._engine.find(self.spec(record))
                if handle is not None:
                    record |= {"Handle": handle, "FirstBootDone": True}
                    self._table.put(record)
            if "Handle" in record:
                try:
                    await self._adopt(record)
                except Exception:  # one instance that cannot be looked after keeps nobody from the others
                    logger.exception("instance %s is not adopted", instance_id)
            if record["InstanceState"] in states.UNSETTLED:
                self.settle(region, instance_id)

    async def stop(self) -> None:
        """Leave instances running; the next start adopts them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._engine.close()

    def settle(self, region: str, instance_id: str) -> None:
        """Bring an instance to where its record wants it, soon."""
        self._spawn(self._settle(region, instance_id))

    def reboot(self, region: str, instance_id: str) -> None:
        """End all its programs and boot again, soon."""
        self._spawn(self._reboot(region, instance_id))

    def spec(self, record: Record) -> InstanceSpec:
        """An instance as the engine knows it."""
        kind = instance_types.known(record["InstanceType"])
        return InstanceSpec(
            instance_id=record["InstanceId"],
            region=record["Region"],
            image=record["ImageName"],
            instance_type=record["InstanceType"],
            vcpus=kind["VCpuInfo"]["DefaultVCpus"],
            memory_mib=kind["MemoryInfo"]["SizeInMiB"],
            hostname=record["PrivateDnsName"],
            private_ip=record.get("PrivateIpAddress", ""),
            user_data=record.get("UserData"),
            public_keys=(record["PublicKey"],) if "PublicKey" in record else (),
            root=self._root / record["InstanceId"],
        )

    def is_running(self, record: Record) -> bool:
        """Whether the instance's first process lives."""
        handle: Handle | None = record.get("Handle")
        return handle is not None and self._engine.is_running(handle)

    def console(self, record: Record) -> tuple[bytes, datetime]:
        """The last 64 KB of its console, and when it was written last; before anything is, that is the launch.

        That of a terminated instance is kept as long as the instance is told of.
        """
        kept = self._table.kept_console(record)
        if kept is not None:
            return kept
        spec = self.spec(record)
        written = self._engine.console_time(spec)
        moment = record["LaunchTime"] if written is None else self._clock.at(written)
        return self._engine.console(spec), moment

    async def _adopt(self, record: Record) -> None:
        region, instance_id = record["Region"], record["InstanceId"]
        metadata = self._metadata_of(region, instance_id)
        await self._engine.adopt(self.spec(record), metadata, record["Handle"], partial(self._ended, region))

    async def _settle(self, region: str, instance_id: str) -> None:
        async with self._locks[(region, instance_id)]:
            while (record := self._table.find(region, instance_id)) is not None:
                state = record["InstanceState"]
                if state not in states.UNSETTLED:
                    return
                try:
                    await self._step(record)
                except OSError as reason:
                    logger.error("instance %s, %s, is tried again: %s", instance_id, state, reason)
                    await asyncio.sleep(AGAIN)
                except Exception:  # a mistake of ours leaves no instance on its way for ever
                    logger.exception("instance %s, %s, is tried again", instance_id, state)
                    await asyncio.sleep(AGAIN)

    async def _step(self, record: Record) -> None:
        state = record["InstanceState"]
        if state == "pending":
            await self._boot(record)
        elif state == "stopping":
            await self._shut_down(record)
            self._become(record["Region"], record["InstanceId"], "stopping", "stopped")
        else:
            await self._terminate(record)

    async def _boot(self, record: Record) -> None:
        region, instance_id = record["Region"], record["InstanceId"]
        if "Handle" not in record:
            try:
                handle = await self._engine.boot(
                    self.spec(record),
                    self._metadata_of(region, instance_id),
                    {"AWS_ENDPOINT_URL": self._endpoint_url()},
                    not record["FirstBootDone"],
                    partial(self._ended, region),
                )
            except OSError as reason:
                logger.error("instance %s does not start: %s", instance_id, reason)
                self._failed(region, instance_id, str(reason))
                return
            except Exception as mistake:
                logger.exception("instance %s does not start", instance_id)
                self._failed(region, instance_id, f"{type(mistake).__name__}: {mistake}")
                return
            self._update(region, instance_id, Handle=handle, FirstBootDone=True)
        self._become(region, instance_id, "pending", "running")

    def _failed(self, region: str, instance_id: str, reason: str) -> None:
        """A first start that fails leaves nothing, as on AWS; a later one leaves the instance stopped."""
        told = states.reason("Server.InternalError", f"Internal error on launch: {reason}")
        members = {"StateReason": told, "StateTransitionReason": "Server.InternalError"}
        record = self._table.find(region, instance_id)
        if record is not None and record["InstanceState"] == "pending":
            to = "stopped" if record["FirstBootDone"] else "shutting-down"
            self._table.put(LIFECYCLE.advance(record, to, **members))

    async def _shut_down(self, record: Record) -> None:
        handle: Handle | None = record.get("Handle")
        if handle is not None and self._engine.is_running(handle):
            await self._engine.shut_down(handle, 0.0 if record.get("Forced") else GRACE)
        self._update(record["Region"], record["InstanceId"], Handle=None, Forced=None)

    async def _terminate(self, record: Record) -> None:
        region, instance_id = record["Region"], record["InstanceId"]
        await self._shut_down(record)
        spec = self.spec(record)
        if spec.root.is_dir():  # of a start that failed there may be nothing
            self._table.keep_console(record, *self.console(record))
            await self._engine.remove(spec)
        gone = ("PrivateIpAddress", "NetworkInterfaces", "Volume", "SubnetId", "VpcId", "Profile", "IamInstanceProfile")
        nothing = dict.fromkeys(gone)
        ended = {"TerminatedAt": self._clock.now(), "PrivateDnsName": "", "GroupIds": [], "UserData": None}
        left = self._table.find(region, instance_id)
        if left is not None:
            moved = LIFECYCLE.advance(left, "terminated", **nothing, **ended)
            self._table.terminate({name: value for name, value in moved.items() if value is not None})
        self._locks.pop((region, instance_id), None)

    async def _reboot(self, region: str, instance_id: str) -> None:
        async with self._locks[(region, instance_id)]:
            record = self._table.find(region, instance_id)
            if record is not None and record["InstanceState"] == "running" and self.is_running(record):
                try:
                    await self._engine.reboot(record["Handle"])
                except NotRunning as reason:
                    logger.error("instance %s does not reboot: %s", instance_id, reason)

    def _ended(self, region: str, instance_id: str, ending: Ending) -> None:
        """What the engine calls when an instance has come to its end."""
        if ending is not Ending.SHUT_DOWN:
            self._spawn(self._after_end(region, instance_id, ending))

    async def _after_end(self, region: str, instance_id: str, ending: Ending) -> None:
        async with self._locks[(region, instance_id)]:
            record = self._table.find(region, instance_id)
            if record is None or record["InstanceState"] not in ("pending", "running"):
                return  # somebody is ending it anyway
            if ending is Ending.SHUT_DOWN_INSIDE:
                code, message = states.INSIDE
                terminates = record["InstanceInitiatedShutdownBehavior"] == "terminate"
            else:
                code, message = states.CRASHED
                terminates = False
                logger.error("instance %s has crashed", instance_id)
            members = {
                "StateReason": states.reason(code, message),
                "StateTransitionReason": "" if ending is Ending.SHUT_DOWN_INSIDE else code,
            }
            to = "shutting-down" if terminates else "stopping"
            self._table.put(LIFECYCLE.advance(record, to, **members))
        self.settle(region, instance_id)

    def _become(self, region: str, instance_id: str, only: str, to: str, **members: Any) -> None:
        """Move the record on, unless somebody has moved it meanwhile; members that are None are taken away."""
        record = self._table.find(region, instance_id)
        if record is not None and record["InstanceState"] == only:
            moved = LIFECYCLE.advance(record, to, **members)
            self._table.put({name: value for name, value in moved.items() if value is not None})

    def _update(self, region: str, instance_id: str, **members: Any) -> None:
        record = self._table.find(region, instance_id)
        if record is not None:
            changed = {**record, **members}
            self._table.put({name: value for name, value in changed.items() if value is not None})

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("an instance could not be brought to its state", exc_info=task.exception())
