"""The life of a notebook instance: its lifecycle scripts one after the other, then JupyterLab, again when it ends."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from . import state

JUPYTER_LOG = "jupyter.log"
STARTS = 3
"""JupyterLab is given up when it has ended so many times in a row, each time soon."""
SOON = 20.0
LONGEST_LINE = 250_000
"""Bytes; a longer line is passed on in pieces, each with the name of its stream."""
LAST_OUTPUT = 0.5
"""Seconds that the pipe of an ended script has to be empty; what it left running may write on."""


class Instance:
    """What `instance.json` says: {"hooks": [[stream, path]], "limit": s, "jupyter": argv, "folder": path}."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self._spec = spec
        self._folder = Path(spec["folder"])
        self._state: dict[str, Any] = {"done": []}
        self._stopping = False
        self._writing = threading.Lock()
        signal.signal(signal.SIGTERM, self._stop)

    def run(self) -> int:
        """0 when it was stopped, 1 when a script or JupyterLab has failed: the state says which."""
        state.write(self._folder, self._state)
        for hook, path in self._spec["hooks"]:
            if not self._run_hook(hook, path):
                return 0 if self._stopping else 1
            self._state["done"].append(hook)
            state.write(self._folder, self._state)
        return self._run_jupyter()

    def _run_hook(self, hook: str, path: str) -> bool:
        """A script as AWS runs it: a program of its own, by its `#!` line, in `/`. What it leaves running goes on."""
        process, pump = self._start(["/bin/bash", "-c", shlex.quote(path)], hook, "/")
        try:
            code = process.wait(timeout=self._spec["limit"])
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            pump.join(LAST_OUTPUT)
            return self._fail(hook, "time")
        pump.join(LAST_OUTPUT)
        return self._fail(hook, "code", code) if code else True

    def _run_jupyter(self) -> int:
        shown = os.path.join(os.environ["HOME"], self._spec["shown"])
        ended_soon = 0
        while not self._stopping:
            began = time.monotonic()
            process, pump = self._start([*self._spec["jupyter"], shown], JUPYTER_LOG, os.environ["HOME"])
            code = process.wait()
            pump.join(LAST_OUTPUT)
            if code == state.MISSING:
                self._fail("jupyter", "missing")
                return 1
            ended_soon = ended_soon + 1 if time.monotonic() - began < SOON else 0
            if ended_soon == STARTS and not self._stopping:
                self._fail("jupyter", "code", code)
                return 1
        return 0

    def _start(self, argv: list[str], stream: str, cwd: str) -> tuple[subprocess.Popen[bytes], threading.Thread]:
        """A program in a process group of its own, and what reads its output."""
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            start_new_session=True,
        )
        assert process.stdout is not None
        pump = threading.Thread(target=self._pump, args=(process.stdout, stream), daemon=True)
        pump.start()
        return process, pump

    def _pump(self, output: Any, stream: str) -> None:
        """Each line with the name of its log stream in front, so that one file keeps them all in order.

        Of a line that overwrote itself with carriage returns (progress bars) the last stays: whoever reads the file
        would take the name for a part of what was overwritten.
        """
        while line := output.readline(LONGEST_LINE):
            with self._writing:
                last = line.rstrip(b"\r\n").rpartition(b"\r")[2]
                sys.stdout.buffer.write(stream.encode() + b"\t" + last + b"\n")
                sys.stdout.buffer.flush()

    def _fail(self, what: str, why: str, code: int | None = None) -> bool:
        self._state["failed"] = {"what": what, "why": why, "code": code}
        state.write(self._folder, self._state)
        return False

    def _stop(self, _number: int, _frame: object) -> None:
        """The init has sent SIGTERM to everything that runs here, so all that is left is to wait for it."""
        self._stopping = True


def main(arguments: list[str]) -> int:
    """Run the instance that the file describes."""
    return Instance(json.loads(Path(arguments[0]).read_bytes())).run()
