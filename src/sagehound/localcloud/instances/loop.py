"""A small event loop for the first process of an instance: descriptors, timers, ended children."""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Callable

Call = Callable[[], None]


class Loop:
    """Calls back until `stop`; a timer has a name, and setting it again moves it."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: dict[str, tuple[float, Call]] = {}
        self._ended: dict[int, Callable[[int], None]] = {}
        self._running = False
        self.on_no_child: Call = _nothing
        self.on_signal: Callable[[int], None] = _ignore
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wake, False)
        self.watch(self._woken, self._on_signals)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, _seen)

    def watch(self, descriptor: int, call: Call) -> None:
        """Call whenever there is something to read."""
        self._selector.register(descriptor, selectors.EVENT_READ, call)

    def forget(self, descriptor: int) -> None:
        self._selector.unregister(descriptor)

    def at(self, name: str, seconds: float, call: Call) -> None:
        """Call once, that many seconds from now."""
        self._timers[name] = (time.monotonic() + seconds, call)

    def cancel(self, name: str) -> bool:
        """Whether there was such a timer."""
        return self._timers.pop(name, None) is not None

    def has_timer(self, name: str) -> bool:
        return name in self._timers

    def when_ended(self, pid: int, call: Callable[[int], None]) -> None:
        """Call with the exit code (negative for a signal) when this child has ended."""
        self._ended[pid] = call

    def stop(self) -> None:
        self._running = False

    def run(self) -> None:
        """Until `stop`."""
        self._running = True
        self.reap()
        while self._running:
            due = min((when for when, _call in self._timers.values()), default=None)
            timeout = None if due is None else max(0.0, due - time.monotonic())
            for key, _events in self._selector.select(timeout):
                if key.fileobj in self._selector.get_map():  # an earlier call may have closed it
                    key.data()
            now = time.monotonic()
            for name, (when, call) in list(self._timers.items()):
                if when <= now and self._timers.pop(name, None) is not None:
                    call()

    def reap(self) -> None:
        """Take every child that has ended; orphans of the instance's programs are ours too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self.on_no_child()
                return
            if not pid:
                return
            call = self._ended.pop(pid, None)
            if call is not None:
                call(os.waitstatus_to_exitcode(status))

    def _on_signals(self) -> None:
        try:
            numbers = os.read(self._woken, 4096)
        except BlockingIOError:
            return
        for number in set(numbers) - {signal.SIGCHLD}:
            self.on_signal(number)
        self.reap()


def _seen(_number: int, _frame: object) -> None:
    """The wake-up descriptor tells the loop."""


def _nothing() -> None:
    """Nobody has asked."""


def _ignore(_number: int) -> None:
    """Nobody has asked."""
