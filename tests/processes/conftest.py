"""Hosts in a temporary directory and programs written in Python, run by the real supervisor."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from sagehound.localcloud.processes.local import LocalSupervisor
from sagehound.localcloud.processes.supervisor import Host, Program

MakeHost = Callable[..., Host]
MakeProgram = Callable[..., Program]


@pytest.fixture
def supervisor() -> LocalSupervisor:
    return LocalSupervisor()


@pytest.fixture
def make_host(tmp_path: Path) -> MakeHost:
    def make(name: str = "algo-1", **members: object) -> Host:
        return Host(name, tmp_path / name, **members)  # type: ignore[arg-type]

    return make


@pytest.fixture
def python() -> MakeProgram:
    """A program from Python source; its environment holds PATH and what is given, nothing else."""

    def make(source: str, **env: str) -> Program:
        argv = [sys.executable, "-u", "-c", textwrap.dedent(source)]
        return Program(argv, {"PATH": os.environ["PATH"], **env}, Path("/"))

    return make


class Lines(list[str]):
    """A sink that keeps the lines."""

    def __call__(self, time: float, line: str) -> None:
        assert time > 1e9
        self.append(line)


@pytest.fixture
def lines() -> Lines:
    return Lines()
