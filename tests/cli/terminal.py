"""A terminal with a person before it: what is typed, and what is on the screen."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Mapping
from pathlib import Path

from tests.cli.people import usual_signals

LIMIT = 120.0


class Terminal:
    """Runs one program on a terminal of its own."""

    def __init__(self, command: list[str], environment: Mapping[str, str], cwd: Path) -> None:
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (50, 250))  # no line of a test is wider: a shell does not break it
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *command],
            env={**environment, "TERM": "dumb"}, cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs,
            preexec_fn=usual_signals,
        )  # fmt: skip
        os.close(theirs)
        self.screen = ""
        self._read = 0

    def until(self, text: str) -> str:
        """All that has come up to and with `text`, since the last time."""
        deadline = time.monotonic() + LIMIT
        while text not in self.screen[self._read :]:
            left = deadline - time.monotonic()
            assert left > 0, f"waited for {text!r}:\n{self.screen}"
            if select.select([self._ours], [], [], left)[0]:
                try:
                    self.screen += os.read(self._ours, 65536).decode(errors="replace")
                except OSError as error:  # the program has ended
                    raise AssertionError(f"ended before {text!r}:\n{self.screen}") from error
        end = self.screen.index(text, self._read) + len(text)
        found = self.screen[self._read : end]
        self._read = end
        return found

    def type(self, line: str) -> None:
        """A line, and the return key."""
        self.press(f"{line}\n")

    def press(self, keys: str) -> None:
        """Keys as they are."""
        os.write(self._ours, keys.encode())

    def ended(self) -> int:
        """The exit code, once it has ended."""
        while True:  # what is written must be read, or the program waits
            try:
                if not os.read(self._ours, 65536):
                    break
            except OSError:
                break
        return self.process.wait(LIMIT)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)
