"""Quotas on running instances: vCPUs by class of instance type, as Service Quotas has them on AWS."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.ec2 import instance_types

Record = dict[str, Any]
STANDARD = "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances"
_CLASSES = {
    "dl": "Running On-Demand DL instances",
    "f": "Running On-Demand F instances",
    "g": "Running On-Demand G and VT instances",
    "vt": "Running On-Demand G and VT instances",
    "inf": "Running On-Demand Inf instances",
    "p": "Running On-Demand P instances",
    "trn": "Running On-Demand Trn instances",
    "u": "Running On-Demand High Memory instances",
    "x": "Running On-Demand X instances",
}
_COUNTED = ("pending", "running")


def name_of(instance_type: str) -> str:
    """The quota that an instance type counts for."""
    letters = re.match(r"[a-z]+", instance_type)
    return _CLASSES.get(letters[0] if letters else "", STANDARD)


def admitted(limits: Mapping[str, int], instances: Sequence[Record], instance_type: str, least: int, most: int) -> int:
    """How many of `least` to `most` more instances the quota lets run; AwsError when not even `least`."""
    quota = name_of(instance_type)
    if quota not in limits:
        return most
    used = sum(
        _vcpus(record["InstanceType"])
        for record in instances
        if record["InstanceState"] in _COUNTED and name_of(record["InstanceType"]) == quota
    )
    fitting = (limits[quota] - used) // _vcpus(instance_type)
    if fitting < least:
        message = (
            f"You have requested more vCPU capacity than your current vCPU limit of {limits[quota]} allows for the "
            "instance bucket that the specified instance type belongs to. Please visit "
            "http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit."
        )
        raise AwsError("VcpuLimitExceeded", message)
    return min(most, fitting)


def _vcpus(instance_type: str) -> int:
    return int(instance_types.known(instance_type)["VCpuInfo"]["DefaultVCpus"])
