"""The engine: boots instances, serves their metadata, adopts them after a crash, and leaves nothing of them."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from sagehound.localcloud.instances import boot_file, control, disk
from sagehound.localcloud.instances.imds import MetadataService, new_listener
from sagehound.localcloud.instances.privacy import Privacy
from sagehound.localcloud.instances.spec import (
    CONSOLE_LIMIT,
    BytesSink,
    Command,
    Ended,
    Ending,
    Handle,
    InstanceSpec,
    Metadata,
    NotRunning,
)
from sagehound.localcloud.interception.variables import bundle_of
from sagehound.localcloud.processes.supervisor import Exit, Host, Supervisor

logger = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")
KILL_PATIENCE = 10.0
"""Seconds beside the grace that an instance's own way down gets."""


@dataclass
class _Running:
    """An instance that this server looks after."""

    handle: Handle
    service: MetadataService
    follower: asyncio.Task[None]
    asked: bool = False
    """shut_down or remove was called."""


class Instances:
    """`InstanceEngine` with processes of this machine. `data_dir` is what no instance sees.

    Without `private_roots` an instance has its disk as HOME and working directory only, as where there are none.
    """

    def __init__(self, data_dir: Path, supervisor: Supervisor, private_roots: bool = True) -> None:
        self._bundle = bundle_of(data_dir)
        self._supervisor = supervisor
        self._privacy = Privacy(data_dir, private_roots)
        self._running: dict[str, _Running] = {}

    async def why_not_private(self) -> str:
        """Why instances have no private roots here; empty when they have."""
        await self._privacy.find_out()
        return "" if self._privacy.private else self._privacy.why_not

    async def boot(
        self, spec: InstanceSpec, metadata: Metadata, env: Mapping[str, str], first: bool, ended: Ended
    ) -> Handle:
        """Start an instance; returns once its first process is up."""
        await self._privacy.find_out()
        run = _run(spec.root)
        run.mkdir(parents=True, exist_ok=True)
        for stale in ("ended.json", "control", "ready"):
            (run / stale).unlink(missing_ok=True)
        listener = new_listener()
        secret, token = secrets.token_hex(32), secrets.token_hex(16)
        name = f"imds-{secrets.token_hex(8)}" if self._privacy.private else None
        port = listener.getsockname()[1]
        handle: Handle = {"token": token, "port": port, "secret": secret, "host": f"{name}:{port}" if name else None}
        try:
            given = {**env, "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://{name or '127.0.0.1'}:{port}"}
            boot_file.keep_handle(spec.root, handle)
            path = await _to_its_end(boot_file.write, spec, given, name, token, first, self._privacy, self._bundle)
            handle["program"] = await self._start(spec, path)
            with suppress(NotRunning):  # its user data has ended it already: `ended` is called
                await control.keep_listener(run, listener)
            await self._look_after(spec, metadata, handle, listener, ended)
        except BaseException:
            listener.close()
            if "program" in handle:
                await self._kill(handle["program"])
            raise
        return handle

    async def _start(self, spec: InstanceSpec, path: Path) -> Handle:
        """The first process, once it says that it is up. OSError when it ends before that."""
        ready = _run(spec.root) / "ready"
        os.mkfifo(ready)
        descriptor = os.open(ready, os.O_RDONLY | os.O_NONBLOCK)
        try:
            program = await self._supervisor.start(Host(spec.hostname, spec.root), boot_file.program(path))
            await self._until_up(spec, program, descriptor)
        finally:
            os.close(descriptor)
            ready.unlink(missing_ok=True)
        return program

    async def _until_up(self, spec: InstanceSpec, program: Handle, descriptor: int) -> None:
        told = asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, told.set)
        telling = asyncio.create_task(told.wait())
        following = asyncio.create_task(self._follow(program))
        try:
            await asyncio.wait({telling, following}, return_when=asyncio.FIRST_COMPLETED)
            if not os.read(descriptor, 16):  # closed without a word
                await following
                last = self.console(spec)[-500:].decode(errors="replace").strip().rpartition("\n")[2]
                raise OSError(f"the instance cannot be started: {last}")
        except BaseException:
            await self._kill(program)
            raise
        finally:
            for task in (telling, following):
                task.cancel()
            await asyncio.gather(telling, following, return_exceptions=True)
            asyncio.get_running_loop().remove_reader(descriptor)

    async def _kill(self, program: Handle) -> None:
        """In a task of its own: within one that is being cancelled, timeouts of early Pythons 3.11 end it once more."""
        await asyncio.create_task(self._supervisor.stop(program, 0))

    async def _look_after(
        self, spec: InstanceSpec, metadata: Metadata, handle: Handle, listener: socket.socket, ended: Ended
    ) -> None:
        service = MetadataService(spec, metadata, bytes.fromhex(handle["secret"]), handle["host"])
        try:
            await service.listen(listener)
        except BaseException:
            service.close()
            raise
        follower = asyncio.create_task(self._until_ended(spec, handle, ended))
        self._running[spec.instance_id] = _Running(handle, service, follower)

    async def _until_ended(self, spec: InstanceSpec, handle: Handle, ended: Ended) -> None:
        await self._follow(handle["program"])
        running = self._running.pop(spec.instance_id)
        running.service.close()
        ended(spec.instance_id, Ending.SHUT_DOWN if running.asked else _ending(spec.root, handle))

    async def _follow(self, program: Handle) -> Exit:
        """Until none of its processes is left; nobody wants its lines as they come."""
        path = Path(program["root"], "run", "output.log")
        size = path.stat().st_size if path.exists() else 0
        return await self._supervisor.follow(program, lambda _time, _line: None, size)

    async def adopt(self, spec: InstanceSpec, metadata: Metadata, handle: Handle, ended: Ended) -> bool:
        """Take over an instance of an earlier server; False when it has ended."""
        if not self.is_running(handle):
            await self._supervisor.stop(handle["program"], 0)  # of a first process that was killed the rest may run
            ended(spec.instance_id, _ending(spec.root, handle))
            return False
        listener = None
        with suppress(NotRunning):  # it has only begun to boot, or is about to end: who follows it tells that
            listener = await control.kept_listener(_run(spec.root))
            if listener is None:
                listener = _new_listener(spec, handle)
                await control.keep_listener(_run(spec.root), listener)
        await self._look_after(spec, metadata, handle, listener or _new_listener(spec, handle), ended)
        return True

    def find(self, spec: InstanceSpec) -> Handle | None:
        """The running instance of this root, of a server that died before it kept the handle."""
        program = self._supervisor.find(spec.root)
        kept = boot_file.read_handle(spec.root)
        return None if program is None or kept is None else {**kept, "program": program}

    def is_running(self, handle: Handle) -> bool:
        """Whether its first process lives."""
        return self._supervisor.is_running(handle["program"])

    async def shut_down(self, handle: Handle, grace: float) -> None:
        """End it: in order, and by force when that takes too long."""
        running = self._of(handle)
        if running is not None:
            running.asked = True
        await self._end(handle, grace)
        if running is not None:
            await asyncio.wait([running.follower])

    async def _end(self, handle: Handle, grace: float) -> None:
        root = Path(handle["program"]["root"])
        following = asyncio.create_task(self._follow(handle["program"]))
        try:
            await control.power(_run(root), "shut-down", grace)
            async with asyncio.timeout(grace + KILL_PATIENCE):
                await asyncio.shield(following)
        except (NotRunning, TimeoutError):
            await self._supervisor.stop(handle["program"], 0)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    def _of(self, handle: Handle) -> _Running | None:
        found = [one for one in self._running.values() if one.handle["token"] == handle["token"]]
        return found[0] if found else None

    async def reboot(self, handle: Handle, grace: float = 30.0) -> None:
        """End all its processes and boot again; it has been asked for at return. NotRunning when it has ended."""
        await control.power(_run(Path(handle["program"]["root"])), "reboot", grace)

    async def remove(self, spec: InstanceSpec) -> None:
        """Delete its root; what still runs of it is killed first."""
        running = self._running.get(spec.instance_id)
        program = self._supervisor.find(spec.root)
        if running is not None:
            await self.shut_down(running.handle, 0)
        elif program is not None:
            await self._supervisor.stop(program, 0)
        if spec.root.exists():
            await asyncio.to_thread(disk.remove_tree, spec.root)

    def console(self, spec: InstanceSpec) -> bytes:
        """The last 64 KB of its console."""
        try:
            with (_run(spec.root) / "output.log").open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - CONSOLE_LIMIT))
                return file.read(CONSOLE_LIMIT)
        except FileNotFoundError:
            return b""

    def console_time(self, spec: InstanceSpec) -> float | None:
        """When its console was written last."""
        try:
            written = (_run(spec.root) / "output.log").stat()
        except FileNotFoundError:
            return None
        return written.st_mtime if written.st_size else None

    async def run(self, handle: Handle, command: Command, stdout: BytesSink, stderr: BytesSink) -> Exit:
        """Run a command on the instance to its end."""
        return await control.run_command(_run(Path(handle["program"]["root"])), command, stdout, stderr)

    async def close(self) -> None:
        """Stop looking after instances; they run on."""
        for running in list(self._running.values()):
            running.service.close()
            running.follower.cancel()
            await asyncio.wait([running.follower])
        self._running.clear()


def _run(root: Path) -> Path:
    return root / "run"


async def _to_its_end(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run in a thread that has ended at return, also of a task that is cancelled: a later boot finds nobody at work."""
    working = asyncio.create_task(asyncio.to_thread(call, *args, **kwargs))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])
        raise


def _new_listener(spec: InstanceSpec, handle: Handle) -> socket.socket:
    """For an instance that has not got its socket when its server died."""
    try:
        return new_listener(handle["port"])
    except OSError as error:  # another program has taken the port since
        logger.error("%s has no metadata service: port %s: %s", spec.instance_id, handle["port"], error)
        return new_listener()


def _ending(root: Path, handle: Handle) -> Ending:
    """What its first process has left; nothing when it was killed."""
    try:
        found = json.loads((_run(root) / "ended.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return Ending.CRASHED
    return Ending(found["ending"]) if found["token"] == handle["token"] else Ending.CRASHED
