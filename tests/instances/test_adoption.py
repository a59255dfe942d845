"""A server that is killed with an instance running: the next one adopts it, and its console has gone on meanwhile."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from sagehound.localcloud.instances.spec import Ending
from tests.waiting import until

from .conftest import Lab, processes_of

COUNTING = "#!/bin/bash\nfor n in $(seq 100000); do echo line $n; sleep 0.05; done\n"
ROOT = Path(__file__).parents[2]


def killed_owner(lab: Lab, user_data: str, when: str) -> dict[str, Any]:
    """Boot an instance from another process, which is killed once `when` is on the console; the handle that it kept."""
    mode = "private" if lab.private else "plain"
    owner = subprocess.Popen(
        [sys.executable, "-m", "tests.instances.owner", str(lab.data_dir), mode, user_data],
        cwd=ROOT, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert owner.stdout is not None
    handle: dict[str, Any] = json.loads(owner.stdout.readline())
    spec = lab.spec(user_data)
    lab.specs.append(spec)
    while when not in lab.console(spec):
        assert owner.poll() is None
    owner.kill()
    owner.wait()
    owner.stdout.close()
    return handle


async def test_adopted_with_its_console_and_its_metadata(lab: Lab) -> None:
    handle = await asyncio.to_thread(killed_owner, lab, COUNTING, "line 3\n")
    spec = lab.specs[0]
    seen = lab.console(spec).count("line ")
    await until(lambda: lab.console(spec).count("line ") > seen + 3)  # nobody looks after it, and it goes on
    asking = asyncio.create_task(asyncio.to_thread(_status_without_token, handle))
    assert lab.engine.find(spec) == handle
    assert await lab.engine.adopt(spec, lab.metadata, handle, lab.on_end)
    assert await asking == (403 if lab.private else 401)  # a request of the meantime is answered
    assert (await lab.sh(handle, "ec2-metadata -i"))[1] == "instance-id: i-0a1\n"
    now = lab.console(spec).count("line ")
    await until(lambda: lab.console(spec).count("line ") > now + 3)
    numbers = [int(line.split()[1]) for line in lab.console(spec).splitlines() if line.startswith("line ")]
    assert numbers == list(range(1, len(numbers) + 1))
    await lab.engine.shut_down(handle, 10)
    assert lab.endings == {spec.instance_id: Ending.SHUT_DOWN}
    assert processes_of(spec.root) == []


def _status_without_token(handle: dict[str, Any]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", handle["port"], timeout=30)
    connection.request("GET", "/latest/meta-data/")
    status = connection.getresponse().status
    connection.close()
    return status


async def test_adopted_before_it_can_be_asked_anything(lab: Lab) -> None:
    """A server that dies at once leaves one without its control socket: as if it had come to no more than that."""
    handle = await asyncio.to_thread(killed_owner, lab, COUNTING, "line 2\n")
    spec = lab.specs[0]
    (spec.root / "run" / "control").unlink()
    assert await lab.engine.adopt(spec, lab.metadata, handle, lab.on_end)
    now = lab.console(spec).count("line ")
    await until(lambda: lab.console(spec).count("line ") > now + 3)
    assert lab.endings == {}
    await lab.engine.shut_down(handle, 10)
    assert lab.endings == {spec.instance_id: Ending.SHUT_DOWN}
    assert processes_of(spec.root) == []


async def test_one_that_has_ended_meanwhile_tells_how(lab: Lab) -> None:
    handle = await asyncio.to_thread(killed_owner, lab, "#!/bin/bash\necho ready\nsleep 1\npoweroff\n", "ready")
    spec = lab.specs[0]
    await until(lambda: not lab.engine.is_running(handle))
    assert not await lab.engine.adopt(spec, lab.metadata, handle, lab.on_end)
    assert lab.endings == {spec.instance_id: Ending.SHUT_DOWN_INSIDE}


async def test_one_that_was_killed_meanwhile_has_crashed(lab: Lab) -> None:
    handle = await asyncio.to_thread(killed_owner, lab, COUNTING, "line 2\n")
    spec = lab.specs[0]
    os.kill(handle["program"]["pid"], signal.SIGKILL)
    await until(lambda: not lab.engine.is_running(handle))
    assert not await lab.engine.adopt(spec, lab.metadata, handle, lab.on_end)
    assert lab.endings == {spec.instance_id: Ending.CRASHED}
    assert processes_of(spec.root) == []
    assert lab.engine.find(spec) is None


async def test_removed_by_a_server_that_never_knew_it(lab: Lab) -> None:
    await asyncio.to_thread(killed_owner, lab, COUNTING, "line 2\n")
    spec = lab.specs[0]
    await lab.engine.remove(spec)
    assert processes_of(spec.root) == []
    assert not spec.root.exists()
