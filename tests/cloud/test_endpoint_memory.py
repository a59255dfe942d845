"""MemorySizeInMB: a container that has more in memory is ended, with all that it has started, and the log says why."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from sagehound.localcloud.processes.local import LocalSupervisor
from sagehound.localcloud.processes.supervisor import Host, Program
from sagehound.localcloud.services.sagemaker.endpoint_memory import limit_memory

OWN = "held = bytearray(200 << 20); import time; time.sleep(600)"
CHILD = """
import subprocess, sys, threading
threading.Thread(target=subprocess.run, args=([sys.executable, "-c", {!r}],)).start()
"""


@pytest.mark.parametrize("code", [OWN, CHILD.format(OWN)])
async def test_a_container_with_too_much_in_memory_is_ended(tmp_path: Path, code: str) -> None:
    supervisor, said = LocalSupervisor(), list[str]()
    program = Program([sys.executable, "-c", code], {}, tmp_path)
    handle = await supervisor.start(Host("algo-1", tmp_path / "root"), program)
    async with asyncio.timeout(60):
        await limit_memory(150, handle, supervisor, said.append)
    assert not supervisor.is_running(handle)
    (line,) = said
    assert line.endswith("MB in memory, more than its MemorySizeInMB (150): it is ended.")


async def test_one_that_stays_below_is_left_alone(tmp_path: Path) -> None:
    supervisor, said = LocalSupervisor(), list[str]()
    program = Program([sys.executable, "-c", "held = bytearray(40 << 20)"], {}, tmp_path)
    handle = await supervisor.start(Host("algo-1", tmp_path / "root"), program)
    async with asyncio.timeout(60):
        await limit_memory(150, handle, supervisor, said.append)
    assert said == []
