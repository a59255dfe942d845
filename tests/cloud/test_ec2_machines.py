"""Instances whose start meets a mistake of this cloud, and not a refusal of this machine."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sagehound.localcloud.instances.engine import Instances
from sagehound.localcloud.instances.spec import Metadata
from sagehound.localcloud.processes.local import LocalSupervisor
from sagehound.localcloud.services.ec2.machines import Machines
from sagehound.localcloud.services.ec2.table import InstanceTable
from sagehound.localcloud.services.ec2.tags import TagTable
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store
from tests.waiting import until

REGION, INSTANCE = "us-east-1", "i-0000000000000000a"


@dataclass
class Following:
    """The machines of a cloud that does not know its own address, and their records."""

    machines: Machines
    table: InstanceTable

    def add(self, **members: object) -> None:
        """An instance that is to start."""
        record = {
            "Region": REGION, "InstanceId": INSTANCE, "InstanceState": "pending", "InstanceType": "t2.small",
            "ImageName": "Deep Learning AMI", "PrivateDnsName": "ip-172-31-5-4", "FirstBootDone": False,
        }  # fmt: skip
        self.table.put(record | members)

    def state(self) -> str:
        return str(self.table.get(REGION, INSTANCE)["InstanceState"])


@pytest.fixture
async def following(tmp_path: Path) -> AsyncIterator[Following]:
    store, clock = Store(tmp_path / "cloud.sqlite"), Clock()
    table = InstanceTable(store, clock, "123456789012", TagTable(store))

    def endpoint_url() -> str:
        raise LookupError("it has none")

    def metadata_of(_region: str, _instance_id: str) -> Metadata:
        raise LookupError("nobody knows")

    engine = Instances(tmp_path, LocalSupervisor())
    machines = Machines(table, engine, clock, tmp_path / "instances", endpoint_url, metadata_of)
    yield Following(machines, table)
    await machines.stop()
    store.close()


@pytest.mark.parametrize(("booted_before", "left"), [(False, "terminated"), (True, "stopped")])
async def test_a_mistake_of_ours_leaves_no_instance_pending(
    following: Following, caplog: pytest.LogCaptureFixture, booted_before: bool, left: str
) -> None:
    following.add(FirstBootDone=booted_before)
    following.machines.settle(REGION, INSTANCE)
    await until(lambda: following.state() == left)
    why = following.table.get(REGION, INSTANCE)["StateReason"]
    assert why["Code"] == "Server.InternalError"
    assert why["Message"] == "Server.InternalError: Internal error on launch: LookupError: nobody knows"
    (logged,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert logged.exc_info is not None
    assert INSTANCE in logged.getMessage()


async def test_one_that_cannot_be_adopted_keeps_nobody_from_the_others(
    following: Following, caplog: pytest.LogCaptureFixture
) -> None:
    following.add(InstanceState="running", Handle={"program": {}})
    following.table.put(following.table.get(REGION, INSTANCE) | {"InstanceId": "i-0000000000000000b"})
    following.add(InstanceId="i-0000000000000000c")
    await following.machines.start()
    await until(lambda: following.table.get(REGION, "i-0000000000000000c")["InstanceState"] == "terminated")
    refused = [record.getMessage() for record in caplog.records if "is not adopted" in record.getMessage()]
    assert refused == [f"instance {one} is not adopted" for one in (INSTANCE, "i-0000000000000000b")]
    assert following.state() == "running"
    assert following.table.get(REGION, "i-0000000000000000b")["InstanceState"] == "running"
