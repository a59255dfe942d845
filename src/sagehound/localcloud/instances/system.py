"""The running system of an instance: boots, carries out user data, answers, watches memory, goes down, boots again."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat

from sagehound.localcloud.instances import children
from sagehound.localcloud.instances.boot_spec import BootSpec
from sagehound.localcloud.instances.cloud_init import LOG, CloudInit, clear
from sagehound.localcloud.instances.console import Console, read_available
from sagehound.localcloud.instances.loop import Loop
from sagehound.localcloud.instances.requests import Requests

INSIDE_GRACE = 30.0
"""Seconds between SIGTERM and SIGKILL when `shutdown` is called inside."""
MEMORY_LOOK = 0.25
KILL_AGAIN = 0.1
REBOOT, INSIDE, OUTSIDE = "reboot", "shut-down-inside", "shut-down"


class System:
    """Runs in the first process until the instance is down."""

    def __init__(self, boot: BootSpec, listener: socket.socket, notes: list[str]) -> None:
        self._boot = boot
        self._private = boot["private"]
        self._prefix = boot["prefix"]
        self._notes = notes
        self._loop = Loop()
        self._loop.on_no_child = self._no_child
        self._loop.on_signal = self._on_signal
        self._console = Console()
        self._requests = Requests(listener, self._loop, boot["env"], self._prefix, self._power)
        self._cloud_init: CloudInit | None = None
        self._pipes: list[int] = []
        self._going = ""
        self._first = boot["first"]

    def run(self) -> str:
        """How it ended: `shut-down-inside` or `shut-down`."""
        while True:
            self._start()
            self._loop.run()
            self._down()
            if self._going != REBOOT:
                return self._going
            self._going = ""
            self._first = False

    def _start(self) -> None:
        self._console.restart()
        for line in (*self._boot["greeting"], *self._notes):
            self._console.kernel(line)
        self._pipe("/run/initctl", 0o600, self._on_initctl)
        if self._private:
            self._pipe("/dev/console", 0o622, self._on_console)
        self._loop.at("memory", MEMORY_LOOK, self._look_at_memory)
        self._make_way(LOG)
        self._cloud_init = CloudInit(self._boot, self._loop, self._console, self._booted)
        self._cloud_init.start(self._first)

    def _pipe(self, path: str, mode: int, on_data: object) -> None:
        """A named pipe that this process reads, and that never ends."""
        path = self._prefix + path
        if os.path.lexists(path):
            os.unlink(path)
        os.mkfifo(path)
        os.chmod(path, mode)
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self._pipes.append(descriptor)
        assert callable(on_data)
        self._loop.watch(descriptor, lambda: on_data(descriptor))

    def _make_way(self, path: str) -> None:
        """What is there and is no file goes, before anything runs: a pipe that nobody reads would stop us for ever."""
        path = self._prefix + path
        try:
            kind = os.stat(path).st_mode
            if stat.S_ISREG(kind) or stat.S_ISDIR(kind):
                return
            os.unlink(path)
        except OSError:
            return  # nothing there, or nothing to be done about it: who opens it says so
        self._console.say(f"{path} was no file, and has been removed")

    def _booted(self) -> None:
        self._console.say(f"\n{self._boot['hostname']} login: ")

    def _on_console(self, descriptor: int) -> None:
        while (data := read_available(descriptor)) is not None:
            self._console.write(data)

    def _on_initctl(self, descriptor: int) -> None:
        data = read_available(descriptor) or b""
        for line in data.splitlines():
            try:
                wanted = json.loads(line)
                what, seconds = str(wanted["do"]), float(wanted.get("in", 0))
            except (ValueError, KeyError, TypeError, AttributeError):
                self._console.say(f"initctl: not understood: {line[:80]!r}")
                continue
            self._ask(what, seconds)

    def _ask(self, what: str, seconds: float) -> None:
        """shutdown, poweroff, halt or reboot inside."""
        if what == "cancel":
            if self._loop.cancel("shutdown"):
                self._console.say("The planned shutdown is cancelled.")
            return
        if what == "warn":
            return
        ending = REBOOT if what == "reboot" else INSIDE
        if seconds > 0:
            self._console.say(f"The system will {'reboot' if what == 'reboot' else 'power off'} in {seconds:.0f} s.")
            self._loop.at("shutdown", seconds, lambda: self._power(ending, INSIDE_GRACE))
        else:
            self._power(ending, INSIDE_GRACE)

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGTERM:
            self._power(OUTSIDE, INSIDE_GRACE)

    def _power(self, ending: str, grace: float) -> None:
        """End everything that runs. What the server asks for counts more than what was asked for inside."""
        if not self._going:
            self._console.kernel("reboot: Restarting system" if ending == REBOOT else "reboot: Power down")
            children.signal_all(self._private, signal.SIGTERM)
            children.signal_all(self._private, signal.SIGCONT)
        if not self._going or ending == OUTSIDE:
            self._going = ending
        self._loop.at("kill", grace, self._kill)
        self._loop.reap()  # there may be no process at all

    def _kill(self) -> None:
        children.signal_all(self._private, signal.SIGKILL)
        self._loop.at("kill", KILL_AGAIN, self._kill)

    def _no_child(self) -> None:
        if self._going:
            self._loop.stop()

    def _down(self) -> None:
        """Nothing runs any more: what was of this boot only goes."""
        for name in ("kill", "memory", "shutdown"):
            self._loop.cancel(name)
        for descriptor in self._pipes:
            self._loop.forget(descriptor)
            os.close(descriptor)
        self._pipes.clear()
        if self._cloud_init is not None:
            self._cloud_init.close()
            self._cloud_init = None
        if self._private:
            for folder in ("/run", "/dev/shm"):
                clear(folder)
            os.mkdir("/run/lock", 0o1777)

    def _look_at_memory(self) -> None:
        """The largest program goes when all together use more than the type has, as the kernel does it."""
        self._loop.at("memory", MEMORY_LOOK, self._look_at_memory)
        if not children.has_children():
            return
        used = {pid: children.anonymous_kb(pid) for pid in children.everyone(self._private)}
        if sum(used.values()) <= self._boot["memory_mib"] * 1024:
            return
        largest = max(used, key=lambda pid: used[pid])
        name = children.name_of(largest)
        self._console.kernel(f"Out of memory: Killed process {largest} ({name}) anon-rss:{used[largest]}kB")
        try:
            os.kill(largest, signal.SIGKILL)
        except ProcessLookupError:
            return
