"""The server dies: instances run on and are adopted, those that ended meanwhile are told of truly, work goes on."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from sagehound.localcloud.services.ec2.table import KIND, REMEMBERED, InstanceTable
from sagehound.localcloud.services.ec2.tags import TagTable
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store
from tests.cloud.ec2_instances import Machines, until
from tests.cloud_process import CloudProcess

SLOW_TO_END = "#!/bin/bash\ntrap 'sleep 5; exit' TERM\necho it is up\nwhile true; do sleep 0.1; done\n"
COUNTING = "#!/bin/bash\nfor n in $(seq 1 100000); do echo count $n; sleep 0.2; done\n"


@pytest.fixture
def machines(own_cloud: CloudProcess) -> Machines:
    return Machines(own_cloud)


def first_process(machines: Machines, instance_id: str) -> psutil.Process:
    """The outermost one of an instance."""
    found: list[psutil.Process] = until(lambda: machines.processes(instance_id), bool)
    return found[0]


def kept_state(machines: Machines, instance_id: str) -> str:
    """What a server that is dead has left."""
    store = Store(machines.cloud.data_dir / "cloud.sqlite")
    try:
        record = store.get(KIND, machines.region, instance_id)
        assert record is not None
        return str(record["InstanceState"])
    finally:
        store.close()


def lines(text: str) -> int:
    return text.count("count ")


def test_an_instance_runs_on_without_the_server_and_its_console_goes_on(machines: Machines) -> None:
    instance_id = machines.run(COUNTING, ClientToken="once")["InstanceId"]
    before = lines(machines.console(instance_id, "count 3"))
    machines.cloud.kill()
    machines.cloud.start()
    assert machines.get(instance_id)["State"]["Name"] == "running"
    # A client whose answer was cut off asks again.
    assert machines.run(COUNTING, ClientToken="once")["InstanceId"] == instance_id

    def counted() -> int:
        return lines(machines.ec2.get_console_output(InstanceId=instance_id)["Output"])

    assert until(counted, lambda count: count > before + 5)
    status = machines.ec2.describe_instance_status(InstanceIds=[instance_id])["InstanceStatuses"][0]
    assert status["InstanceStatus"]["Status"] == "ok"
    machines.remove()
    assert not (machines.cloud.data_dir / "instances" / instance_id).exists()


def test_one_that_ended_while_nobody_looked_is_stopped_and_says_why(machines: Machines) -> None:
    instance_id = machines.run(COUNTING)["InstanceId"]
    machines.console(instance_id, "count 1")
    process = first_process(machines, instance_id)
    machines.cloud.kill()
    os.kill(process.pid, signal.SIGKILL)
    process.wait(60)
    machines.cloud.start()
    stopped = machines.wait(instance_id, "stopped")
    assert stopped["StateReason"]["Code"] == "Server.InternalError"
    assert "ended without a shutdown" in stopped["StateReason"]["Message"]
    machines.ec2.start_instances(InstanceIds=[instance_id])
    machines.wait(instance_id, "running")
    machines.remove()


def test_one_that_is_killed_is_stopped_at_once(machines: Machines) -> None:
    instance_id = machines.run(COUNTING)["InstanceId"]
    machines.console(instance_id, "count 1")
    os.kill(first_process(machines, instance_id).pid, signal.SIGKILL)
    assert machines.wait(instance_id, "stopped")["StateReason"]["Code"] == "Server.InternalError"
    machines.remove()


def test_what_was_under_way_goes_on(machines: Machines) -> None:
    stopping = machines.run(SLOW_TO_END)["InstanceId"]
    ending = machines.run(SLOW_TO_END)["InstanceId"]
    machines.console(stopping, "it is up")
    machines.console(ending, "it is up")
    machines.ec2.stop_instances(InstanceIds=[stopping])
    machines.ec2.terminate_instances(InstanceIds=[ending])
    machines.cloud.kill()
    assert kept_state(machines, stopping) == "stopping"
    assert kept_state(machines, ending) == "shutting-down"
    machines.cloud.start()
    machines.wait(stopping, "stopped")
    machines.wait(ending, "terminated")
    assert not machines.root(ending).exists()
    machines.remove()
    assert not any((machines.cloud.data_dir / "instances").iterdir())


def test_one_that_booted_when_the_server_died_comes_up_and_runs_its_user_data_once(machines: Machines) -> None:
    for _ in range(10):  # until one is caught in the middle
        instance_id = machines.run("#!/bin/bash\necho said once\n")["InstanceId"]
        until(machines.root(instance_id).is_dir, bool)
        machines.cloud.kill()
        state = kept_state(machines, instance_id)
        machines.cloud.start()
        machines.wait(instance_id, "running")
        assert machines.console(instance_id, "Cloud-init finished").count("said once") == 1
        if state == "pending":
            machines.remove()
            return
    pytest.fail("the server never died while an instance booted")


def test_a_terminated_instance_is_forgotten_after_an_hour(tmp_path: Path) -> None:
    async def look() -> None:
        store, clock = Store(tmp_path / "cloud.sqlite"), Clock()
        tags = TagTable(store)
        table = InstanceTable(store, clock, "123456789012", tags)
        for name, age in (("i-0000000000000000a", -60), ("i-0000000000000000b", 60)):
            ended = clock.now() - REMEMBERED - timedelta(seconds=age)
            table.put({"Region": "r", "InstanceId": name, "InstanceState": "terminated", "TerminatedAt": ended})
            table.keep_console({"Region": "r", "InstanceId": name}, b"said", ended)
            tags.set("r", name, {"Name": name})
        assert table.find("r", "i-0000000000000000b") is None
        assert [record["InstanceId"] for record in table.all("r")] == ["i-0000000000000000a"]
        assert [tag["ResourceId"] for tag in tags.all("r")] == ["i-0000000000000000a"]
        assert table.kept_console({"Region": "r", "InstanceId": "i-0000000000000000b"}) is None
        store.close()

    asyncio.run(look())


def test_an_instance_that_cannot_start_is_terminated_and_says_why(machines: Machines) -> None:
    (machines.cloud.data_dir / "instances").write_text("in the way")
    instance_id = machines.run()["InstanceId"]
    ended = machines.wait(instance_id, "terminated")
    assert ended["StateReason"]["Code"] == "Server.InternalError"
    assert "Internal error on launch" in ended["StateReason"]["Message"]
    (machines.cloud.data_dir / "instances").unlink()
    machines.wait(machines.run()["InstanceId"], "running")
    machines.remove()
