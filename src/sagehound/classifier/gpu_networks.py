"""A frozen backbone as a GPU runs it fastest: folded where it is an EfficientNet-Lite, as one CUDA graph a batch size."""

from collections.abc import Callable

import torch
from torch import Tensor

from sagehound.classifier.efficientnet_lite import EfficientNetLite
from sagehound.classifier.gpu_lite import FusedLite
from sagehound.classifier.network import Backbone

Network = Callable[[Tensor], Tensor]
"""uint8 pixels [N, 3, size, size] -> float32 features [N, feature_count]"""


def fast_network(backbone: Backbone, device: torch.device) -> Network:
    """The backbone in half precision; its features agree with the full precision's to about a thousandth."""
    if isinstance(backbone.body, EfficientNetLite):
        dtype = torch.float16 if device.type == "cuda" else torch.float32
        network: Network = FusedLite(backbone, device, dtype)
        return Graphed(network) if device.type == "cuda" else network
    return HalfPrecision(backbone, device)


class HalfPrecision:
    """Any backbone under autocast; a batch whose features leave the range of float16 runs in full precision."""

    def __init__(self, backbone: Backbone, device: torch.device) -> None:
        self._backbone = backbone.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    @torch.inference_mode()
    def __call__(self, pixels: Tensor) -> Tensor:
        x = pixels.float().contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, torch.float16, enabled=x.is_cuda):
            features: Tensor = self._backbone(x).float()
        return features if bool(features.isfinite().all()) else self._backbone(x).float()


class Graphed:
    """A network whose launches are recorded once for the batch size that comes again, and replayed."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._seen: tuple[int, ...] = ()
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs = self._outputs = torch.empty(0)

    def __call__(self, pixels: Tensor) -> Tensor:
        """What the network gives; the tensor is overwritten by the next call."""
        if self._graph is not None and pixels.shape == self._inputs.shape:
            self._inputs.copy_(pixels)
            self._graph.replay()
            return self._outputs
        first = tuple(pixels.shape) != self._seen
        self._seen = tuple(pixels.shape)
        if first or self._graph is not None:
            return self._network(pixels)
        self._record(pixels)
        return self(pixels)

    def _record(self, pixels: Tensor) -> None:
        self._inputs = pixels.clone()
        graph = torch.cuda.CUDAGraph()
        # Other threads decode meanwhile: what they ask of CUDA is no part of the graph.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._outputs = self._network(self._inputs)
        self._graph = graph
