"""Several hosts train one model: who is who, and the few collective steps that training needs.

Each global batch is cut into one slice a process and the gradients are averaged over pictures, so the same
hyperparameters mean the same training on any number of hosts. Covered: one process a host, gloo on CPUs, nccl on GPUs,
started by SageMaker's SM_HOSTS or by torchrun. Not covered: elastic membership; a lost host ends the job.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

TIMEOUT = timedelta(minutes=30)
"""Longest wait for the other hosts: they may still be loading data."""


@dataclass(frozen=True)
class Group:
    """The processes that train together; a group of one needs no network."""

    rank: int = 0
    world: int = 1
    device: torch.device = torch.device("cpu")

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and prints metrics."""
        return self.rank == 0

    def gather(self, value: Any) -> list[Any]:
        """Every process's value, in the order of their ranks."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value)
        return values

    def broadcast(self, value: Any) -> Any:
        """The main process's value, everywhere."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, device=self.device if self.device.type == "cuda" else None)
        return box[0]

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module with gradients averaged over the group after each backward()."""
        if self.world == 1:
            return module
        devices = [self.device.index] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(module, device_ids=devices, broadcast_buffers=False)

    def slice(self, count: int) -> slice:
        """This process's share of `count` pictures: contiguous, the shares differ by at most one."""
        return slice(count * self.rank // self.world, count * (self.rank + 1) // self.world)


@dataclass(frozen=True)
class Place:
    """Where this process stands before it has met the others."""

    rank: int
    world: int
    local_rank: int
    address: str
    port: int


def find_place(environ: Mapping[str, str]) -> Place:
    """Rank, world and meeting point from torchrun's variables, otherwise from SageMaker's SM_HOSTS.

    Raises ValueError when SM_CURRENT_HOST is not among SM_HOSTS.
    """
    port = int(environ.get("MASTER_PORT") or environ.get("SM_MASTER_PORT") or 7777)
    address = environ.get("MASTER_ADDR") or environ.get("SM_MASTER_ADDR")
    if "RANK" in environ and "WORLD_SIZE" in environ:
        rank, world = int(environ["RANK"]), int(environ["WORLD_SIZE"])
        return Place(rank, world, int(environ.get("LOCAL_RANK", 0)), address or "127.0.0.1", port)
    hosts = sorted(json.loads(environ.get("SM_HOSTS") or "[]"), key=_host_number)
    if len(hosts) < 2:
        return Place(0, 1, 0, "127.0.0.1", port)
    current = environ.get("SM_CURRENT_HOST", "")
    if current not in hosts:
        raise ValueError(f"SM_CURRENT_HOST {current!r} is not among SM_HOSTS {hosts}")
    return Place(hosts.index(current), len(hosts), 0, address or hosts[0], port)


def _host_number(host: str) -> tuple[int, str]:
    """algo-10 comes after algo-9."""
    tail = host.rpartition("-")[2]
    return (int(tail) if tail.isdigit() else 0, host)


@contextmanager
def join(environ: Mapping[str, str]) -> Iterator[Group]:
    """Meet the other hosts, if there are any, and part from them at the end.

    Raises torch.distributed.DistNetworkError when the main host cannot be reached.
    """
    place = find_place(environ)
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", place.local_rank) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
        # TensorFloat-32 moves the logits by half a percent from those that the exported file gives on a CPU.
        torch.backends.cudnn.allow_tf32 = False
    if place.world == 1:
        yield Group(device=device)
        return
    dist.init_process_group(
        "nccl" if cuda else "gloo",
        init_method=f"tcp://{place.address}:{place.port}",
        rank=place.rank,
        world_size=place.world,
        timeout=TIMEOUT,
    )
    try:
        yield Group(place.rank, place.world, device)
    finally:
        dist.destroy_process_group()
