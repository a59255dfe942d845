"""Training steps on a GPU: mixed precision, recorded once as a CUDA graph, gradients summed over processes by nccl."""

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional

from sagehound.classifier.distributed import Group


class GpuSteps:
    """Forward, backward and the optimizer's step for one batch after another.

    A network runs under autocast in bfloat16, a head alone in float32. Batches of the largest size seen so far are
    recorded and replayed; the last one of an epoch may be smaller and runs launch by launch, and so does the first, in
    which libraries set themselves up.
    """

    def __init__(self, module: nn.Module, optimizer: torch.optim.Optimizer, group: Group) -> None:
        self._module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimizer = optimizer
        self._group = group
        # gloo, which processes that share a GPU must take, cannot be recorded.
        self._recordable = group.world == 1 or group.gradients is not None
        self._parameters = [p for rates in optimizer.param_groups for p in rates["params"]]
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs = self._labels = self._weight = torch.empty(0)
        self._results = (torch.empty(0), torch.empty(0))
        self._seen = torch.Size()
        self._gradients: list[Tensor | None] = []
        if group.world > 1:
            for value in module.state_dict().values():
                dist.broadcast(value, src=0, group=group.gradients)

    def __call__(self, inputs: Tensor, labels: Tensor, pictures: int) -> tuple[Tensor, Tensor]:
        """Train on this process's share of a batch of `pictures`: the loss summed over it, and how many are right.

        Both stay on the GPU.
        """
        if self._graph is not None and inputs.shape == self._inputs.shape:
            self._inputs.copy_(inputs)
            self._labels.copy_(labels)
            self._weight.fill_(1 / pictures)
            self._graph.replay()
            for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
                parameter.grad = gradient
            results = self._results[0].clone(), self._results[1].clone()
            self._optimizer.step()
            return results
        ready = self._recordable and inputs.is_cuda and len(inputs) > len(self._inputs)
        if ready and inputs.shape == self._seen:
            self._record(inputs, labels)
            return self(inputs, labels, pictures)
        self._seen = inputs.shape
        self._optimizer.zero_grad(set_to_none=True)
        weight = torch.full((), 1 / pictures, device=inputs.device)
        if ready:
            # A recording wants what it repeats to have run before on another stream than the default one.
            side, main = self._side(inputs.device), torch.cuda.current_stream(inputs.device)
            side.wait_stream(main)
            with torch.cuda.stream(side):
                results = self._forward_backward(inputs, labels, weight)
            main.wait_stream(side)
        else:
            results = self._forward_backward(inputs, labels, weight)
        self._optimizer.step()
        return results

    def _side(self, device: torch.device) -> torch.cuda.Stream:
        stream: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        return stream

    def _record(self, inputs: Tensor, labels: Tensor) -> None:
        self._inputs, self._labels = inputs.clone(), labels.clone()
        if inputs.ndim == 4:
            self._inputs = self._inputs.contiguous(memory_format=torch.channels_last)
        self._weight = torch.ones((), device=inputs.device)
        self._optimizer.zero_grad(set_to_none=True)
        torch.cuda.synchronize(inputs.device)
        graph = torch.cuda.CUDAGraph()
        # Other threads decode meanwhile: what they ask of CUDA is no part of the graph.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._results = self._forward_backward(self._inputs, self._labels, self._weight)
        self._gradients = [parameter.grad for parameter in self._parameters]
        self._graph = graph

    def _forward_backward(self, inputs: Tensor, labels: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        network = inputs.ndim == 4
        with torch.autocast(
            inputs.device.type, torch.bfloat16, enabled=network and inputs.is_cuda, cache_enabled=False
        ):
            logits = self._module(inputs)
        loss_sum = functional.cross_entropy(logits.float(), labels, reduction="sum")
        (loss_sum * weight).backward()  # type: ignore[no-untyped-call]
        if self._group.world > 1:
            self._sum_gradients()
        return loss_sum.detach(), (logits.argmax(1) == labels).sum()

    def _sum_gradients(self) -> None:
        """Every process has its share of the batch's mean: together they are the mean."""
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self._parameters]
        # In the order of their memory: the optimizer wants each gradient laid out as its parameter.
        flat = torch.cat([gradient.as_strided((gradient.numel(),), (1,)) for gradient in gradients])
        dist.all_reduce(flat, group=self._group.gradients)
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        for parameter, gradient, part in zip(self._parameters, gradients, parts, strict=True):
            parameter.grad = part.as_strided(gradient.size(), gradient.stride())
