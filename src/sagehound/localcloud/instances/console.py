"""The console of an instance: what its first process says, and what its programs write there, in the output file."""

from __future__ import annotations

import os
import time

READ_SIZE = 65_536


class Console:
    """Standard output of the first process is the console; `log` is where user data's output goes as well."""

    def __init__(self) -> None:
        self._booted = time.monotonic()
        self._at_line_start = True

    def restart(self) -> None:
        """The uptime counts from now."""
        self._booted = time.monotonic()

    @property
    def uptime(self) -> float:
        return time.monotonic() - self._booted

    def say(self, text: str, log: int | None = None) -> None:
        """A line of ours, on a line of its own."""
        data = f"{text}\n".encode(errors="replace")
        self.write(data if self._at_line_start else b"\n" + data)
        if log is not None:
            write_all(log, data)

    def kernel(self, text: str) -> None:
        """A line with the uptime before it, as the kernel writes them."""
        self.say(f"[{self.uptime:12.6f}] {text}")

    def write(self, data: bytes) -> None:
        """Output of a program."""
        write_all(1, data)
        self._at_line_start = data.endswith(b"\n")


def write_all(descriptor: int, data: bytes) -> None:
    """Write to a file. On a full disk the rest is lost: there is nowhere to say so."""
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except OSError:
            return


def read_available(descriptor: int) -> bytes | None:
    """What can be read now; None when there is nothing more (yet, or ever)."""
    try:
        return os.read(descriptor, READ_SIZE) or None
    except BlockingIOError:
        return None
