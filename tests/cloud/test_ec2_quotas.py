"""Quotas on running instances, in vCPUs, as settings have them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.ec2.quotas import STANDARD, admitted, name_of
from tests.cloud.ec2_instances import Machines
from tests.cloud_process import CloudProcess

RUNNING = [
    {"InstanceType": "m5.xlarge", "InstanceState": "running"},
    {"InstanceType": "t3.micro", "InstanceState": "pending"},
    {"InstanceType": "m5.24xlarge", "InstanceState": "stopped"},
    {"InstanceType": "g4dn.xlarge", "InstanceState": "running"},
]


def fits(limits: dict[str, int], kind: str, least: int, most: int) -> int | str:
    try:
        return admitted(limits, RUNNING, kind, least, most)
    except AwsError as refusal:
        return f"{refusal.code}: {refusal.message}"


def test_types_count_for_their_class() -> None:
    assert [name_of(kind) for kind in ("t2.small", "m5.large", "c5.large")] == [STANDARD] * 3
    assert name_of("g4dn.xlarge") == name_of("g5.xlarge") == "Running On-Demand G and VT instances"
    assert name_of("p3.2xlarge") == "Running On-Demand P instances"
    assert name_of("inf2.xlarge") == "Running On-Demand Inf instances"


def test_without_a_quota_everything_fits() -> None:
    assert fits({}, "m5.24xlarge", 1, 50) == 50


def test_what_runs_and_boots_counts_what_is_stopped_or_of_another_class_does_not() -> None:
    # 4 + 2 vCPUs are taken.
    assert fits({STANDARD: 16}, "m5.large", 1, 9) == 5
    assert fits({STANDARD: 16}, "m5.large", 5, 5) == 5
    assert "current vCPU limit of 16" in str(fits({STANDARD: 16}, "m5.large", 6, 9))
    assert fits({"Running On-Demand P instances": 0}, "m5.large", 1, 1) == 1
    assert str(fits({"Running On-Demand P instances": 0}, "p3.2xlarge", 1, 1)).startswith("VcpuLimitExceeded")


def test_quotas_of_the_settings_hold_for_launches_and_starts(tmp_path: Path) -> None:
    cloud = CloudProcess(tmp_path / "data", "--quotas", json.dumps({STANDARD: 4})).start()
    machines = Machines(cloud)
    try:
        machines.run(InstanceType="t3.nano", MaxCount=5)  # of two vCPUs each
        assert len(machines.ids) == 2
        first, second = machines.ids
        machines.wait(first, "running")
        machines.wait(second, "running")
        with pytest.raises(ClientError, match="current vCPU limit of 4") as full:
            machines.run(InstanceType="t3.nano")
        assert full.value.response["Error"]["Code"] == "VcpuLimitExceeded"
        machines.ec2.stop_instances(InstanceIds=[first], Force=True)
        machines.wait(first, "stopped")
        machines.run(InstanceType="t3.nano")
        with pytest.raises(ClientError) as taken:
            machines.ec2.start_instances(InstanceIds=[first])
        assert taken.value.response["Error"]["Code"] == "VcpuLimitExceeded"
        assert machines.get(first)["State"]["Name"] == "stopped"
    finally:
        machines.remove()
        cloud.stop()
