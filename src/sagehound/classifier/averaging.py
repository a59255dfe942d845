"""Gradients averaged over processes in one message: what DistributedDataParallel does to a module as small as a head

DistributedDataParallel sends gradients in buckets while the backward pass still computes others. A head has one bucket
and nothing left to compute, and constructing DistributedDataParallel imports torch's compiler, which takes as long as
importing torch.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class AveragedGradients(nn.Module):
    """A module that begins on every process as it is on the first, and whose gradients are averages over all.

    Every parameter must take part in every backward(), as in a head it does.
    """

    def __init__(self, module: nn.Module, world: int) -> None:
        super().__init__()
        self.module = module
        self._world = world
        self._trained = [p for p in module.parameters() if p.requires_grad]
        self._left = len(self._trained)
        for value in (*module.parameters(), *module.buffers()):
            dist.broadcast(value.detach(), src=0)
        for parameter in self._trained:
            parameter.register_post_accumulate_grad_hook(self._ready)  # type: ignore[no-untyped-call]

    def forward(self, *inputs: Any) -> Any:
        return self.module(*inputs)

    def _ready(self, _parameter: Tensor) -> None:
        self._left -= 1
        if self._left == 0:
            self._left = len(self._trained)
            self._average()

    @torch.no_grad()
    def _average(self) -> None:
        gradients = [p.grad for p in self._trained if p.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients]).div_(self._world)
        dist.all_reduce(flat)
        averages = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, average in zip(gradients, averages, strict=True):
            gradient.copy_(average.view_as(gradient))
