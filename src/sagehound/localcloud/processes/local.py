"""The supervisor of this machine: programs that outlive the server, their output in a file, adopted by identity."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sagehound.localcloud.processes import process_table
from sagehound.localcloud.processes.hosts import hosts_text
from sagehound.localcloud.processes.networks import LocalNetwork, Networks
from sagehound.localcloud.processes.output import LineSplitter
from sagehound.localcloud.processes.supervisor import Exit, Handle, Host, LineSink, NoNetwork, Program
from sagehound.localcloud.processes.watch import FileWatcher, watch_exit

HOST_INIT = Path(__file__).with_name("host_init.py")
READ_SIZE = 64 * 1024
"""Bytes of output taken in one turn of the loop, so that a flood of one program leaves turns to all others."""
POLL = 0.05
"""Seconds between looks where the kernel does not wake us."""
NONE_MADE = "this supervisor makes none"
KILL_PATIENCE = 30.0
"""Seconds that killed processes get to disappear before the machine is called broken."""
_INIT_FORWARDS = {
    signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
}  # fmt: skip


class LocalSupervisor:
    """`Supervisor` with local processes. A host's root holds one running program at a time.

    Without `networks` every program is in the machine's own.
    """

    def __init__(self, now: Callable[[], float] = time.time, networks: Networks | None = None) -> None:
        self._now = now
        self._networks = networks
        self._boot_id = process_table.boot_id()
        self._files = FileWatcher()
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._offsets: dict[tuple[int, str], int] = {}

    async def make_network(self) -> LocalNetwork:
        """A network with nothing in it but the cloud. NoNetwork where the kernel gives none."""
        if self._networks is None:
            raise NoNetwork(NONE_MADE)
        return await self._networks.take()

    async def enter_network(self, handle: Handle, entrance: str) -> LocalNetwork:
        """The network of a program that an earlier server started, which may have died while its init began."""
        if self._networks is None:
            raise NoNetwork(NONE_MADE)
        while self.is_running(handle) and self._init(handle) == {}:  # noqa: ASYNC110 - the init tells nobody
            await asyncio.sleep(POLL)
        if not self.is_running(handle):
            raise NoNetwork("its program has ended")
        return await self._networks.enter(handle["pid"], entrance)

    async def start(self, host: Host, program: Program) -> Handle:
        """Start `program` below an init of its own; what keeps it from starting is said in its output (code 127)."""
        run, opt_ml = host.root / "run", host.root / "opt" / "ml"
        run.mkdir(parents=True, exist_ok=True)
        opt_ml.mkdir(parents=True, exist_ok=True)
        for name in ("exit.json", "init.json"):
            (run / name).unlink(missing_ok=True)
        (run / "hosts").write_text(hosts_text(host.peers or {host.name: host.address}))
        namespaces = host.network.namespaces if host.network is not None else ()
        spec = {
            "argv": program.argv,
            "env": program.env,
            "cwd": str(program.cwd),
            "run": str(run),
            "opt_ml": str(opt_ml),
            "hosts": str(run / "hosts"),
            "hostname": host.name,
            "shared": [name for name in host.shared if (opt_ml / name).is_dir()],
            "folders": {inside: str(folder) for inside, folder in host.folders.items()},
            "namespaces": namespaces,
        }
        spec_path = run / "program.json"
        with open(os.open(spec_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(spec, file)
        with open(run / "output.log", "ab") as output:
            output_start = output.tell()
            child = _spawn_init(spec_path, output.fileno(), namespaces)
        started = process_table.entry(child.pid)
        assert started is not None, "a child that nobody has waited for is there, at least as a zombie"
        self._children[child.pid] = child
        return {
            "pid": child.pid,
            "create_time": started.create_time,
            "boot_id": self._boot_id,
            "root": str(host.root),
            "output_start": output_start,
        }

    def find(self, root: Path) -> Handle | None:
        """The program of this root whose init lives: every init has the path of its program on its command line."""
        pid = process_table.find([str(HOST_INIT), str(root / "run" / "program.json")])
        started = None if pid is None else process_table.create_time(pid)
        if started is None:
            return None
        return {"pid": pid, "create_time": started, "boot_id": self._boot_id, "root": str(root), "output_start": 0}

    def is_running(self, handle: Handle) -> bool:
        """Whether the init of that program lives: it ends after the program and everything that the program started."""
        child = self._children.get(handle["pid"])
        if child is not None and child.poll() is not None:
            return False
        return bool(
            handle["boot_id"] == self._boot_id and process_table.create_time(handle["pid"]) == handle["create_time"]
        )

    async def follow(self, handle: Handle, sink: LineSink, offset: int = 0) -> Exit:
        """Feed lines to `sink` as they are written; inside the sink `output_offset` is already behind its line."""
        path = _run(handle) / "output.log"
        lines = LineSplitter(max(offset, handle["output_start"]))
        self._offsets[_key(handle)] = lines.read_offset
        settled = False
        with self._wakes(handle, path) as (wake, poll):
            while True:
                wake.clear()
                running = self.is_running(handle)
                data = _read(path, lines.read_offset)
                if data:
                    self._feed(handle, sink, lines.feed(data))
                    await asyncio.sleep(0)
                elif running:
                    await _wait(wake, poll)
                elif not settled:
                    await self._end_leftovers(handle)
                    settled = True
                else:
                    break
        self._feed(handle, sink, lines.finish())
        return self._exit(handle)

    def output_offset(self, handle: Handle) -> int:
        """Up to which byte `follow` has fed its sink; of several followers of one program the last one counts."""
        return self._offsets.get(_key(handle), int(handle["output_start"]))

    def signal(self, handle: Handle, number: int) -> None:
        """Send `number` to every process of the program; its init is spared and passes most signals on by itself."""
        if not self.is_running(handle):
            return
        if number in _INIT_FORWARDS:
            _kill(handle["pid"], number)
            return
        for pid in self._members(handle):
            _kill(pid, number)

    async def stop(self, handle: Handle, grace: float) -> Exit:
        """SIGTERM, `grace` seconds, SIGKILL to all processes of the program; returns when none is left."""
        self.signal(handle, signal.SIGTERM)
        await self._wait_end(handle, grace)
        await self._end_leftovers(handle)
        return self._exit(handle)

    def remove(self, handle: Handle) -> None:
        """Delete what the supervisor kept of an ended program (its mounts went with its processes)."""
        if self.is_running(handle):
            raise RuntimeError(f"process {handle['pid']} still runs: stop it before removing it")
        for name in ("output.log", "exit.json", "init.json", "hosts", "program.json"):
            (_run(handle) / name).unlink(missing_ok=True)
        self._children.pop(handle["pid"], None)
        self._offsets.pop(_key(handle), None)

    @contextmanager
    def _wakes(self, handle: Handle, path: Path | None) -> Iterator[tuple[asyncio.Event, float]]:
        """An event set by new output and by the end of the program, and how long to wait for it at most."""
        wake = asyncio.Event()
        watches = [watch_exit(handle["pid"], wake)]
        if path is not None:
            watches.append(self._files.watch(path, wake))
        try:
            yield wake, 1.0 if all(watches) else POLL
        finally:
            for unwatch in watches:
                if unwatch:
                    unwatch()

    async def _wait_end(self, handle: Handle, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        with self._wakes(handle, None) as (wake, poll):
            while self.is_running(handle) and (left := deadline - time.monotonic()) > 0:
                await _wait(wake, min(poll, left))
                wake.clear()

    async def _end_leftovers(self, handle: Handle) -> None:
        """SIGKILL until the program's processes and its init are gone; the init goes last, by itself.

        Nothing is left when an init ended as it should; of one that was killed the whole host may still run.
        """
        done = not self.is_running(handle) and process_table.LINUX and not self._exit(handle).lost
        if done or handle["boot_id"] != self._boot_id:
            return
        began = time.monotonic()
        while (pids := self._members(handle)) or self.is_running(handle):
            if time.monotonic() > began + KILL_PATIENCE:
                raise TimeoutError(f"processes {[handle['pid'], *pids]} do not end on SIGKILL")
            if time.monotonic() > began + KILL_PATIENCE / 6 and self.is_running(handle):
                pids.append(handle["pid"])
            for pid in pids:
                _kill(pid, signal.SIGKILL)
            await self._wait_end(handle, POLL) if self.is_running(handle) else await asyncio.sleep(POLL / 5)

    def _members(self, handle: Handle) -> list[int]:
        started = process_table.create_time(handle["pid"])
        if started not in (None, handle["create_time"]):
            return []  # the number is another process's by now, so the old session is empty
        namespace = self._init(handle).get("mount_namespace")
        return process_table.members(handle["pid"], namespace, (Path(handle["root"]) / "opt" / "ml").resolve())

    def _init(self, handle: Handle) -> dict[str, Any]:
        """What the init says when it is about to start its program; empty before that."""
        found = _read_json(_run(handle) / "init.json")
        return found if found.get("pid") == handle["pid"] else {}

    def _exit(self, handle: Handle) -> Exit:
        result = _read_json(_run(handle) / "exit.json")
        if result.get("pid") == handle["pid"]:
            return Exit(result["code"], result["signal"], at=result.get("time"))
        child = self._children.get(handle["pid"])
        if child is not None and child.poll():
            return Exit(child.returncode) if child.returncode > 0 else Exit(None, lost=True)
        return Exit(None, lost=True)

    def _feed(self, handle: Handle, sink: LineSink, lines: Iterator[tuple[str, int]]) -> None:
        now, key = self._now(), _key(handle)
        for text, after in lines:
            self._offsets[key] = after
            sink(now, text)


def _spawn_init(spec_path: Path, output: int, given: tuple[int, ...]) -> subprocess.Popen[bytes]:
    """The init, in a session of its own, with the signals that it forwards held back until it is ready for them.

    Beside its output it gets the descriptors `given`, by the same numbers.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _INIT_FORWARDS)
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(HOST_INIT), str(spec_path)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={},
            cwd="/",
            pass_fds=given,
            start_new_session=True,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run(handle: Handle) -> Path:
    return Path(handle["root"]) / "run"


def _key(handle: Handle) -> tuple[int, str]:
    return handle["pid"], handle["root"]


def _read(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            return os.pread(file.fileno(), READ_SIZE, offset)
    except FileNotFoundError:
        return b""


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}  # not (yet) written, cut short by a power cut, or overwritten by the program
    return found if isinstance(found, dict) else {}


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


async def _wait(wake: asyncio.Event, seconds: float) -> None:
    # Not wait_for: in Python 3.11 it swallows a cancellation that comes together with the event.
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await wake.wait()
