"""A frozen backbone as a GPU runs it fastest: EfficientNet-Lite folded and recorded, others in mixed precision"""

from collections.abc import Callable

import torch
from torch import Tensor

from sagehound.classifier.efficientnet_lite import EfficientNetLite
from sagehound.classifier.gpu_lite import FusedLite
from sagehound.classifier.network import Backbone

Network = Callable[[Tensor], Tensor]
"""uint8 pixels [N, 3, size, size] -> float32 features [N, feature_count]"""


def fast_network(backbone: Backbone, device: torch.device, batch: int) -> Network:
    """The backbone in half precision; its features agree with the full precision's to a few thousandths.

    It is made ready for batches of `batch` pictures.
    """
    if not isinstance(backbone.body, EfficientNetLite):
        return HalfPrecision(backbone, device)
    if device.type != "cuda":
        return FusedLite(backbone, device, torch.float32)
    size = backbone.preprocessing.size
    # Which GPU is the current one is each thread's own matter, and this may be a new thread.
    with torch.cuda.device(device):
        network = FusedLite(backbone, device)
        network.compile()
        return Recorded(network, torch.zeros((batch, 3, size, size), dtype=torch.uint8, device=device))


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


class Recorded:
    """A network whose launches are recorded for one size of batch and replayed; other batches run as they are."""

    def __init__(self, network: Network, example: Tensor) -> None:
        self._network, self._inputs = network, example
        network(example)  # libraries set themselves up in the first call
        torch.cuda.synchronize(example.device)
        self._graph = torch.cuda.CUDAGraph()
        # Other threads decode meanwhile: what they ask of CUDA is no part of the graph.
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._outputs = network(example)

    def __call__(self, pixels: Tensor) -> Tensor:
        """What the network gives; the next call overwrites it."""
        if pixels.shape != self._inputs.shape:
            return self._network(pixels)
        self._inputs.copy_(pixels)
        self._graph.replay()
        return self._outputs
