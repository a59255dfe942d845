"""How instances end: from inside, from outside, during their boot, killed; and how they boot again."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from sagehound.localcloud.instances.init import FIRST_PROCESS
from sagehound.localcloud.instances.spec import Ending, NotRunning
from tests.waiting import until

from .conftest import Lab, processes_of

CALLS = ["shutdown -h now", "sudo poweroff", "halt", "/sbin/shutdown -P now", "shutdown -h +0", "/usr/sbin/poweroff"]


async def test_shut_down_inside(lab: Lab) -> None:
    for call in CALLS:
        spec = lab.spec(f"#!/bin/bash\necho working\n{call}\nsleep 600\n", f"i-0{CALLS.index(call)}")
        handle = await lab.boot(spec)
        assert await lab.ended(spec) is Ending.SHUT_DOWN_INSIDE, call
        assert not lab.engine.is_running(handle)
        assert "working" in lab.console(spec)
        assert "Power down" in lab.console(spec)
        assert processes_of(spec.root) == []


async def test_programs_get_time_to_end(lab: Lab) -> None:
    spec = lab.spec("#!/bin/bash\ntrap 'echo saved; exit' TERM\necho ready\nwhile :; do sleep 0.1; done\n")
    handle = await lab.boot(spec)
    await until(lambda: "ready" in lab.console(spec))
    await lab.engine.shut_down(handle, 30)
    assert "saved" in lab.console(spec)
    assert lab.endings == {spec.instance_id: Ending.SHUT_DOWN}


async def test_programs_that_do_not_end_are_killed(lab: Lab) -> None:
    spec = lab.spec("#!/bin/bash\ntrap '' TERM\n(setsid sleep 600 &)\necho ready\nwhile :; do sleep 0.1; done\n")
    handle = await lab.boot(spec)
    await until(lambda: "ready" in lab.console(spec))
    await lab.engine.shut_down(handle, 0.2)
    assert lab.endings == {spec.instance_id: Ending.SHUT_DOWN}
    assert processes_of(spec.root) == []


async def test_a_planned_shutdown_can_be_cancelled(lab: Lab) -> None:
    spec = lab.spec()
    handle = await lab.boot(spec)
    await lab.booted(spec)
    assert (await lab.sh(handle, "shutdown -h +1 && shutdown -c"))[0].success
    await until(lambda: "The planned shutdown is cancelled" in lab.console(spec))
    assert "will power off in 60 s" in lab.console(spec)
    done, said = await lab.sh(handle, "shutdown tomorrow")
    assert (done.code, said) == (1, "shutdown: Failed to parse time specification: tomorrow\n")


@pytest.mark.parametrize("inside", [True, False])
async def test_reboot(lab: Lab, inside: bool) -> None:
    spec = lab.spec("#!/bin/bash\necho once\n(setsid sleep 600 &)\n")
    handle = await lab.boot(spec)
    await lab.booted(spec)
    if inside:
        await lab.sh(handle, "reboot")
    else:
        await lab.engine.reboot(handle)
    console = await lab.booted(spec, boots=2)
    assert console.count("\nonce\n") == 1
    assert "Restarting system" in console
    assert lab.engine.is_running(handle)
    assert lab.endings == {}
    assert (await lab.sh(handle, "ec2-metadata -i"))[1] == "instance-id: i-0a1\n"
    assert not any("sleep" in Path(f"/proc/{pid}/cmdline").read_text() for pid in processes_of(spec.root))
    await lab.engine.shut_down(handle, 10)
    assert lab.endings == {spec.instance_id: Ending.SHUT_DOWN}


async def test_stopped_while_it_boots(lab: Lab) -> None:
    spec = lab.spec("#!/bin/bash\nsleep 600\n")
    booting = asyncio.create_task(lab.boot(spec))
    await until(lambda: (spec.root / "run" / "program.json").exists() or booting.done())
    booting.cancel()
    await asyncio.wait([booting])
    if not booting.cancelled():
        await lab.engine.shut_down(booting.result(), 1)
    assert processes_of(spec.root) == []
    handle = await lab.boot(spec)  # and nothing is in the way of the next boot
    await lab.engine.shut_down(handle, 0)
    assert lab.endings == {spec.instance_id: Ending.SHUT_DOWN}


async def test_one_whose_first_process_does_not_answer_is_killed(lab: Lab) -> None:
    spec = lab.spec("#!/bin/bash\n(setsid sleep 600 &)\n")
    handle = await lab.boot(spec)
    await lab.booted(spec)
    below = psutil.Process(handle["program"]["pid"]).children(recursive=True)
    (first,) = [process for process in below if FIRST_PROCESS in process.cmdline()]
    first.suspend()
    rebooting = asyncio.create_task(lab.engine.reboot(handle))
    await lab.engine.shut_down(handle, 0)
    with pytest.raises(NotRunning):
        await rebooting
    assert lab.endings == {spec.instance_id: Ending.SHUT_DOWN}
    assert processes_of(spec.root) == []


@pytest.mark.parametrize("what", ["mkfifo $LOG", "mkfifo /tmp/pipe; ln -s /tmp/pipe $LOG", "ln -s nowhere $LOG"])
async def test_what_is_in_the_place_of_the_log_stops_no_boot(private_lab: Lab, what: str) -> None:
    lab = private_lab
    spec = lab.spec("#!/bin/bash\necho once\n")
    handle = await lab.boot(spec)
    await lab.booted(spec)
    log = "/var/log/cloud-init-output.log"
    done, said = await lab.sh(handle, f"LOG={log}; rm $LOG; {what}")
    assert done.success, said
    await lab.engine.reboot(handle)
    await lab.booted(spec, boots=2)
    assert "Cloud-init finished" in (await lab.sh(handle, f"test -f {log} && cat {log}"))[1]
    await lab.engine.shut_down(handle, 0)
    assert lab.endings == {spec.instance_id: Ending.SHUT_DOWN}


async def test_a_boot_that_is_cancelled_leaves_nobody_at_work_on_its_disk(lab: Lab) -> None:
    spec = lab.spec()
    booting = asyncio.create_task(lab.boot(spec))
    await until(lambda: (spec.root / "run" / "handle.json").exists())
    booting.cancel()
    await asyncio.wait([booting])
    assert booting.cancelled()
    assert (spec.root / "disk/opt/sagehound/bin/poweroff").exists()
    assert processes_of(spec.root) == []
    await lab.engine.remove(spec)
    assert not spec.root.exists()


async def test_a_program_that_cannot_be_started_leaves_no_descriptor(lab: Lab) -> None:
    spec = lab.spec()
    (spec.root / "run" / "program.json").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        await lab.boot(spec)
    opened = [os.path.realpath(path) for path in Path("/proc/self/fd").iterdir()]
    assert [path for path in opened if path.startswith(str(spec.root))] == []
    assert not (spec.root / "run" / "ready").exists()


async def test_what_a_killed_server_has_left_of_its_probe_goes(private_lab: Lab) -> None:
    later = Lab(private_lab.data_dir)
    left = later.data_dir / "probe-abc" / "disk.changes"
    left.mkdir(parents=True)
    assert await later.engine.why_not_private() == ""
    assert list(later.data_dir.glob("probe-*")) == []


async def test_a_killed_first_process_is_a_crash(lab: Lab) -> None:
    spec = lab.spec("#!/bin/bash\n(setsid sleep 600 &)\necho ready\nsleep 600\n")
    handle = await lab.boot(spec)
    await until(lambda: "ready" in lab.console(spec))
    os.kill(handle["program"]["pid"], signal.SIGKILL)
    assert await lab.ended(spec) is Ending.CRASHED
    assert processes_of(spec.root) == []
    with pytest.raises(NotRunning):
        await lab.sh(handle, "true")
    with pytest.raises(NotRunning):
        await lab.engine.reboot(handle)
    await lab.engine.shut_down(handle, 1)  # safe of one that has ended


async def test_user_data_that_ends_the_instance_at_once(lab: Lab) -> None:
    """The first process may be gone before the server has spoken to it."""
    for number in range(3):
        spec = lab.spec("#!/opt/sagehound/bin/poweroff\n" if lab.private else "#!/bin/sh\npoweroff\n", f"i-0{number}")
        await lab.boot(spec)
        assert await lab.ended(spec) is Ending.SHUT_DOWN_INSIDE


async def test_a_root_that_cannot_be_made_is_said(private_lab: Lab) -> None:
    spec = private_lab.spec()
    spec.root.mkdir(parents=True)
    (spec.root / "changes").write_text("a file where a folder belongs")
    with pytest.raises(OSError, match=r"the instance cannot be started: .*Not a directory"):
        await private_lab.boot(spec)
    assert processes_of(spec.root) == []
    assert private_lab.endings == {}


async def test_what_cannot_be_started_is_said(lab: Lab) -> None:
    spec = lab.spec()
    spec.root.mkdir(parents=True)
    (spec.root / "disk").write_text("a file where a folder belongs")
    with pytest.raises(OSError):
        await lab.boot(spec)
    assert processes_of(spec.root) == []
    assert lab.endings == {}


async def test_remove_leaves_nothing(lab: Lab) -> None:
    spec = lab.spec("#!/bin/bash\nmkdir -p $HOME/a/b; chmod 0 $HOME/a\n(setsid sleep 600 &)\nsleep 600\n")
    handle = await lab.boot(spec)
    await until(lambda: (spec.root / "disk/var/lib/cloud/instance/scripts/part-001").exists())
    began = time.monotonic()
    await lab.engine.remove(spec)
    assert time.monotonic() - began < 30
    assert not spec.root.exists()
    assert processes_of(spec.root) == []
    assert str(spec.root) not in Path("/proc/mounts").read_text()
    assert not lab.engine.is_running(handle)
    assert lab.engine.console(spec) == b""
    await lab.engine.remove(spec)
    assert [path.name for path in lab.data_dir.rglob("*")] == ["ec2"]
