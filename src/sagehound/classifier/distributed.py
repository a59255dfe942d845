"""Several hosts train one model: who is who, and the few collective steps that training needs.

Each global batch is cut into one slice a process and the gradients are averaged over pictures, so the same
hyperparameters mean the same training on any number of hosts. Covered: gloo on CPUs and where processes share a GPU,
nccl where each process has one of its own; started by SageMaker's SM_HOSTS, by torchrun or as mpirun starts processes.
Not covered: elastic membership; a lost host ends the job.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from sagehound.classifier.averaging import AveragedGradients
from sagehound.classifier.group_loss import GroupBroken, describe
from sagehound.classifier.place import Place, find_place

__all__ = ["Group", "GroupBroken", "Place", "find_place", "join"]

TIMEOUT = timedelta(minutes=30)
"""Longest wait for the other hosts: they may still be loading data."""
ONE_MESSAGE = 1 << 20
"""Bytes of gradients that DistributedDataParallel would send as one bucket: its first, at the end of the backward."""


@dataclass(frozen=True)
class Group:
    """The processes that train together; a group of one needs no network."""

    rank: int = 0
    world: int = 1
    device: torch.device = torch.device("cpu")
    gradients: dist.ProcessGroup | None = None
    """What averages gradients: nccl where every process has a GPU of its own, None (gloo) elsewhere."""

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
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module with gradients averaged over the group after each backward()."""
        if self.world == 1:
            return module
        size = sum(p.numel() * p.element_size() for p in module.parameters() if p.requires_grad)
        if self.device.type == "cpu" and size <= ONE_MESSAGE:
            return AveragedGradients(module, self.world)
        devices = [self.device.index] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(
            module, device_ids=devices, process_group=self.gradients, broadcast_buffers=False
        )

    def slice(self, count: int) -> slice:
        """This process's share of `count` pictures: contiguous, the shares differ by at most one."""
        return slice(count * self.rank // self.world, count * (self.rank + 1) // self.world)


def share_out(visible: Sequence[tuple[str, ...]]) -> list[int | None]:
    """For each process the index of its GPU among those that it sees (by unique name); None where it sees none.

    Processes that see the same GPUs take them in turn, so more processes than GPUs share them evenly.
    """
    chosen: list[int | None] = []
    for rank, gpus in enumerate(visible):
        turn = sum(other == gpus for other in visible[:rank])
        chosen.append(turn % len(gpus) if gpus else None)
    return chosen


def _visible_gpus() -> tuple[str, ...]:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return tuple(str(torch.cuda.get_device_properties(index).uuid) for index in range(count))


def _use(index: int | None) -> torch.device:
    """The device of an index, made this process's own."""
    if index is None:
        return torch.device("cpu")
    device = torch.device("cuda", index)
    torch.cuda.set_device(device)
    # TensorFloat-32 moves the logits by half a percent from those that the exported file gives on a CPU.
    torch.backends.cudnn.allow_tf32 = False
    return device


@contextmanager
def join(environ: Mapping[str, str]) -> Iterator[Group]:
    """Meet the other hosts, if there are any, and part from them at the end.

    Raises GroupBroken when the hosts do not meet, or when one of them is lost within the block.
    """
    place = find_place(environ)
    if place.world == 1:
        yield Group(device=_use(share_out([_visible_gpus()])[0]))
        return
    try:
        yield _meet(place)
    except RuntimeError as error:  # torch.distributed's own errors among them
        text = describe(error, place, environ)
        if text is None:
            raise
        raise GroupBroken(text) from error
    dist.destroy_process_group()  # after a failure the end of the process does it: nccl would wait for the lost host


def _meet(place: Place) -> Group:
    dist.init_process_group(
        "gloo",
        init_method=f"tcp://{place.address}:{place.port}",
        rank=place.rank,
        world_size=place.world,
        timeout=TIMEOUT,
    )
    everyone = Group(place.rank, place.world)
    visible = everyone.gather(_visible_gpus())
    indices = share_out(visible)
    used = [gpus[index] for gpus, index in zip(visible, indices, strict=True) if index is not None]
    device = _use(indices[place.rank])
    # nccl refuses two processes on one GPU.
    alone = len(set(used)) == place.world
    return Group(place.rank, place.world, device, dist.new_group(backend="nccl") if alone else None)
