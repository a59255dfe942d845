"""Commands run on an instance beside what runs there: their output, their end, their time."""

from __future__ import annotations

import asyncio

import pytest

from sagehound.localcloud.instances.spec import Command, NotRunning
from sagehound.localcloud.processes.supervisor import Exit
from tests.waiting import until

from .conftest import Lab, processes_of


async def test_output_and_exit_code(lab: Lab) -> None:
    handle = await lab.boot(lab.spec())
    stdout: list[bytes] = []
    stderr: list[bytes] = []
    command = Command(("/bin/sh", "-c", "cat; echo wrong >&2; exit 3"), 30, stdin=b"given\n")
    assert await lab.engine.run(handle, command, stdout.append, stderr.append) == Exit(3)
    assert (b"".join(stdout), b"".join(stderr)) == (b"given\n", b"wrong\n")


async def test_much_output_and_input_nobody_reads(lab: Lab) -> None:
    handle = await lab.boot(lab.spec())
    size = 0

    def count(data: bytes) -> None:
        nonlocal size
        size += len(data)

    command = Command(("head", "-c", "3000000", "/dev/zero"), 30, stdin=bytes(1 << 20))
    assert (await lab.engine.run(handle, command, count, count)).success
    assert size == 3_000_000


async def test_a_program_that_is_not_there(lab: Lab) -> None:
    handle = await lab.boot(lab.spec())
    said: list[bytes] = []
    assert await lab.engine.run(handle, Command(("no-such",), 30), said.append, said.append) == Exit(127)
    assert b"".join(said) == b"cannot run no-such: No such file or directory\n"


@pytest.mark.parametrize("ending", ["timeout", "cancelled"])
async def test_its_whole_group_is_killed(lab: Lab, ending: str) -> None:
    spec = lab.spec()
    handle = await lab.boot(spec)
    said: list[bytes] = []
    before = processes_of(spec.root)
    command = Command(("/bin/sh", "-c", "sleep 600 & echo ready; sleep 600"), 1.0 if ending == "timeout" else 60)
    running = asyncio.create_task(lab.engine.run(handle, command, said.append, said.append))
    await until(lambda: b"".join(said) == b"ready\n")
    if ending == "cancelled":
        running.cancel()
    await asyncio.wait([running])
    assert running.cancelled() if ending == "cancelled" else isinstance(running.exception(), TimeoutError)
    assert b"".join(said) == b"ready\n"
    await until(lambda: processes_of(spec.root) == before)
    assert (await lab.sh(handle, "echo on"))[1] == "on\n"


async def test_the_instance_ends_meanwhile(lab: Lab) -> None:
    spec = lab.spec()
    handle = await lab.boot(spec)
    running = asyncio.create_task(lab.sh(handle, "trap '' TERM; echo $$; while :; do sleep 1; done"))
    await until(lambda: len(processes_of(spec.root)) > 2 or running.done())
    await lab.engine.shut_down(handle, 0.1)
    done = (await asyncio.gather(running, return_exceptions=True))[0]
    assert isinstance(done, NotRunning) or (isinstance(done, tuple) and done[0].signal == 9)
