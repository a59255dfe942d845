"""Scenarios: scripts as a person would write them, run side by side, each a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cloud_process import CloudProcess

AT_ONCE = 6
"""Scenarios at the same time: an SDK sleeps most of its time, up to 30 s between two looks at a job."""
LIMIT = 900.0
"""Seconds after which a scenario that has not come to its end counts as broken."""
_TOLD = 4000
"""Characters of the cloud's last words that a failure shows."""


@dataclass(frozen=True)
class Ended:
    """How a scenario ended, and all that it wrote."""

    code: int
    output: str


def names(folder: Path) -> list[str]:
    """The scenarios of a folder: its scripts."""
    return sorted(path.name for path in folder.iterdir() if path.suffix in (".py", ".sh"))


def command(cloud: CloudProcess, words: list[str]) -> list[str]:
    """How a person starts something for which AWS shall be the local cloud."""
    return [str(Path(sys.prefix) / "bin" / "sagehound"), "exec", "--data-dir", str(cloud.data_dir), "--", *words]


def surroundings(python: Path, home: Path) -> dict[str, str]:
    """What the person has: the environment's own commands first, nothing about AWS, and a place for what is left."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAGEMAKER_"))}
    temporary = home / "tmp"
    temporary.mkdir(exist_ok=True)
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "HOME": str(home), "TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"}


class Scenarios:
    """The scenarios of one folder, with one python and one cloud."""

    def __init__(self, cloud: CloudProcess, python: Path, folder: Path, home: Path) -> None:
        self._cloud = cloud
        self._python = python
        self._folder = folder
        self._home = home
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._ends: dict[str, Future[Ended]] = {}
        self._processes: set[subprocess.Popen[str]] = set()
        self._closing = False

    def start(self, wanted: list[str]) -> None:
        """Begin all of them, as many at a time as may be."""
        self._ends = {name: self._pool.submit(self._run, name) for name in wanted}

    def passed(self, name: str) -> None:
        """Wait for one scenario's end; it fails the test with all that it and the cloud wrote unless it ended well."""
        ended = self._ends[name].result()
        if ended.code != 0:
            told = f"{name} ended with {ended.code}:\n{ended.output}\nthe cloud:\n{self._cloud.log()[-_TOLD:]}"
            pytest.fail(told, pytrace=False)

    def close(self) -> None:
        """End what still runs."""
        self._closing = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in list(self._processes):
            _end(process)
        self._pool.shutdown()

    def _run(self, name: str) -> Ended:
        interpreter = str(self._python) if name.endswith(".py") else "bash"
        process = subprocess.Popen(
            command(self._cloud, [interpreter, str(self._folder / name)]),
            cwd=self._folder,
            env=surroundings(self._python, self._home),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._processes.add(process)
        if self._closing:  # it began while the others were ended
            _end(process)
        try:
            output, _ = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            _end(process)
            output = f"{process.communicate()[0]}\n{name} was ended: it had not ended by itself after {LIMIT:.0f} s."
        finally:
            self._processes.discard(process)
        return Ended(process.returncode, output)


def _end(process: subprocess.Popen[str]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.wait()
