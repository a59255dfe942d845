"""What an instance type has: virtual processors, GPUs, a disk of its own, as AWS documents its families"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SIZES = {"nano": 2, "micro": 2, "small": 2, "medium": 2, "large": 2, "xlarge": 4}
_ODD = {"t2.nano": 1, "t2.micro": 1, "t2.small": 1, "p3.2xlarge": 8, "p3.8xlarge": 32, "p3.16xlarge": 64}
"""Types whose number of processors their size does not tell."""
_GPUS = {
    **{f"g4dn.{size}": 1 for size in ("xlarge", "2xlarge", "4xlarge", "8xlarge", "16xlarge")},
    **{f"{family}.{size}": 1 for family in ("g5", "g6") for size in ("xlarge", "2xlarge", "4xlarge", "8xlarge")},
    "g4dn.12xlarge": 4,
    "g5.12xlarge": 4,
    "g6.12xlarge": 4,
    "p3.2xlarge": 1,
    "p3.8xlarge": 4,
    "p3.16xlarge": 8,
}
_KIND = {"g4dn": "NVIDIA T4", "g5": "NVIDIA A10G", "g6": "NVIDIA L4", "p3": "NVIDIA V100"}
_OWN_DISK = re.compile(r"^(?:g4dn|g5|g6|p3dn|p4d|p4de|p5|m5d|c5d|r5d|trn1)$")
"""Families with a disk of their own: SageMaker uses it and bills no volume."""
_WHOLE = re.compile(r"^(?P<count>\d+)xlarge$")


@dataclass(frozen=True)
class Hardware:
    """One instance."""

    vcpus: int
    gpus: int
    gpu: str


def hardware_of(instance_type: str) -> Hardware | None:
    """What an EC2 or SageMaker instance type has; None for one whose size is unknown."""
    plain = instance_type.removeprefix("ml.")
    family, _, size = plain.partition(".")
    many = _WHOLE.match(size)
    vcpus = _ODD.get(plain) or (int(many["count"]) * 4 if many else _SIZES.get(size))
    if vcpus is None:
        return None
    gpus = _GPUS.get(plain, 0)
    return Hardware(vcpus, gpus, _KIND.get(family, "GPU") if gpus else "")


def has_local_storage(instance_type: str) -> bool:
    """Whether SageMaker bills no volume for it, because the type has a disk of its own."""
    return bool(_OWN_DISK.match(instance_type.removeprefix("ml.").partition(".")[0]))


def burstable(instance_type: str) -> bool:
    """Whether its processors are only lent: t2 and t3 run at a fraction of themselves once their credits are spent."""
    return instance_type.removeprefix("ml.").startswith("t")
