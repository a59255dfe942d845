"""What an instance type has: vCPUs and GPUs, from AWS's naming rule and its exceptions."""

from __future__ import annotations

import os
import re
from pathlib import Path

_VCPUS = {"medium": 2, "large": 2, "xlarge": 4}
_VCPU_EXCEPTIONS = {"ml.c4.8xlarge": 36}
_GPUS: dict[str, dict[str, int]] = {
    "p2": {"xlarge": 1, "8xlarge": 8, "16xlarge": 16},
    "p3": {"2xlarge": 1, "8xlarge": 4, "16xlarge": 8},
    "p3dn": {"24xlarge": 8},
    "p4d": {"24xlarge": 8},
    "p4de": {"24xlarge": 8},
    "p5": {"4xlarge": 1, "48xlarge": 8},
    "p5e": {"48xlarge": 8},
    "p5en": {"48xlarge": 8},
    "p6-b200": {"48xlarge": 8},
    "p6-b300": {"48xlarge": 8},
    "p6e-gb200": {"36xlarge": 4},
    "g4dn": {"12xlarge": 4, "": 1},
    "g5": {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8, "": 1},
    "g6": {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8, "": 1},
    "g6e": {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8, "": 1},
    "g7": {"12xlarge": 2, "24xlarge": 4, "48xlarge": 8, "": 1},
    "g7e": {"12xlarge": 2, "24xlarge": 4, "48xlarge": 8, "": 1},
}
"""GPUs by family and size; the size '' stands for all sizes that are not named."""


def vcpus(instance_type: str) -> int:
    """The vCPUs of an instance type: Nxlarge has 4 N."""
    if instance_type in _VCPU_EXCEPTIONS:
        return _VCPU_EXCEPTIONS[instance_type]
    size = instance_type.rsplit(".", 1)[-1]
    many = re.fullmatch(r"(\d+)xlarge", size)
    return 4 * int(many[1]) if many else _VCPUS.get(size, 2)


def gpus(instance_type: str) -> int:
    """The GPUs of an instance type on AWS."""
    family, _, size = instance_type.removeprefix("ml.").partition(".")
    sizes = _GPUS.get(family, {})
    return sizes.get(size, sizes.get("", 0))


def machine_cpus() -> int:
    """The cores of this machine that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine_gpus() -> int:
    """The NVIDIA GPUs of this machine."""
    return sum(1 for device in Path("/dev").glob("nvidia[0-9]*"))
