"""The network: a pretrained backbone by name, and a linear head on its standardized features."""

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sagehound.classifier import efficientnet_lite
from sagehound.classifier.backbones import VARIANTS, UnknownBackbone, known_weights, weights_path
from sagehound.classifier.linear_head import LinearHead, standardization
from sagehound.classifier.preprocessing import Preprocessing


class Backbone(nn.Module):
    """Pixels [N, 3, size, size] in 0..255 -> features [N, feature_count].

    The normalization of the pixels is part of it, so nobody who runs an exported file can forget it.
    """

    def __init__(
        self,
        name: str,
        body: nn.Module,
        feature_count: int,
        preprocessing: Preprocessing,
        pixel_mean: tuple[float, ...],
        pixel_std: tuple[float, ...],
        weights: str | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.body = body
        self.feature_count = feature_count
        self.preprocessing = preprocessing
        self.weights = weights
        """SHA-256 of the published weights; None where they have no file of their own."""
        self.pixel_mean: Tensor
        self.pixel_std: Tensor
        self.register_buffer("pixel_mean", torch.tensor(pixel_mean).view(1, 3, 1, 1))
        self.register_buffer("pixel_std", torch.tensor(pixel_std).view(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.body((pixels - self.pixel_mean) / self.pixel_std)
        return features

    def train(self, mode: bool = True) -> "Backbone":
        """Training mode for all but BatchNorm, which keeps the pretrained statistics.

        The batches are small and each host sees its own: statistics taken from them would drift, and differ by host.
        """
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def freeze(self) -> None:
        """Take the backbone out of training."""
        self.requires_grad_(False)

    def unfreeze(self) -> None:
        """Let the backbone's weights be trained."""
        self.requires_grad_(True)

    def stages(self) -> list[nn.Module]:
        """The parts in the order in which a picture passes them, for learning rates that rise with depth."""
        children = list(self.body.children())
        while len(children) == 1:
            children = list(children[0].children())
        return children


class Head(nn.Module):
    """Features [N, feature_count] -> logits [N, classes], after standardizing with the training split's statistics."""

    def __init__(self, feature_count: int, classes: int) -> None:
        super().__init__()
        self.feature_mean: Tensor
        self.feature_std: Tensor
        self.register_buffer("feature_mean", torch.zeros(feature_count))
        self.register_buffer("feature_std", torch.ones(feature_count))
        self.linear = nn.Linear(feature_count, classes)
        # The loss is convex in them: a random start gains nothing, and from zeros each training begins at guessing.
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def standardize(self, features: NDArray[np.float32]) -> None:
        """Take mean and deviation [feature_count] from the training split's features [N, feature_count]."""
        mean, std = standardization(features)
        self.feature_mean.copy_(torch.from_numpy(mean))
        self.feature_std.copy_(torch.from_numpy(std))

    def arrays(self) -> LinearHead:
        """The head as arrays on the CPU."""
        mean, std, weight, bias = (
            value.detach().float().cpu().numpy().copy()
            for value in (self.feature_mean, self.feature_std, self.linear.weight, self.linear.bias)
        )
        return LinearHead(mean, std, weight, bias)

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.linear((features - self.feature_mean) / self.feature_std)
        return logits


class Classifier(nn.Module):
    """Pixels [N, 3, size, size] in 0..255 -> logits [N, classes]."""

    def __init__(self, backbone: Backbone, head: Head) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(pixels))
        return logits


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that share a learning rate and a weight decay."""

    parameters: list[nn.Parameter]
    learning_rate: float
    weight_decay: float


def parameter_groups(
    module: nn.Module,
    learning_rate: float,
    weight_decay: float,
    *,
    stage_decay: float = 0.8,
    backbone_share: float = 0.1,
) -> list[ParameterGroup]:
    """The groups an optimizer needs for a Head or a whole Classifier.

    The head learns at `learning_rate`; the backbone's last stage at `backbone_share` of it and each stage before at
    `stage_decay` of the next (discriminative learning rates, Howard and Ruder 2018). Vectors (biases and BatchNorm)
    are not decayed.
    """
    parts: list[tuple[nn.Module, float]] = [(module, learning_rate)]
    if isinstance(module, Classifier):
        stages = module.backbone.stages()
        rates = [learning_rate * backbone_share * stage_decay ** (len(stages) - 1 - i) for i in range(len(stages))]
        # Parameters outside all stages (a class token, a position embedding) learn as slowly as the first stage.
        staged = {id(p) for stage in stages for p in stage.parameters()}
        loose = nn.ParameterList([p for p in module.backbone.parameters() if id(p) not in staged])
        parts = [(module.head, learning_rate), (loose, rates[0]), *zip(stages, rates, strict=True)]
    return [group for part, rate in parts for group in _by_decay(part, rate, weight_decay)]


def _by_decay(module: nn.Module, learning_rate: float, weight_decay: float) -> Iterator[ParameterGroup]:
    trainable = [p for p in module.parameters() if p.requires_grad]
    matrices = [p for p in trainable if p.ndim > 1]
    vectors = [p for p in trainable if p.ndim <= 1]
    if matrices:
        yield ParameterGroup(matrices, learning_rate, weight_decay)
    if vectors:
        yield ParameterGroup(vectors, learning_rate, 0.0)


def _efficientnet_lite(name: str, pretrained: bool) -> Backbone:
    network = efficientnet_lite.EfficientNetLite(name)
    weights = None
    if pretrained:
        efficientnet_lite.load_weights(network, weights_path(name))
        weights = known_weights(name)
    mean, std = efficientnet_lite.PIXEL_MEAN, efficientnet_lite.PIXEL_STD
    return Backbone(name, network, efficientnet_lite.FEATURES, Preprocessing(VARIANTS[name][2]), mean, std, weights)


def _from_timm(name: str, pretrained: bool) -> Backbone:
    timm: Any = importlib.import_module("timm")
    body: Any = timm.create_model(name, pretrained=pretrained, num_classes=0)
    data: dict[str, Any] = timm.data.resolve_model_data_config(body)
    preprocessing = Preprocessing(int(data["input_size"][-1]), float(data["crop_pct"]), str(data["interpolation"]))
    mean = tuple(255.0 * v for v in data["mean"])
    std = tuple(255.0 * v for v in data["std"])
    with torch.inference_mode():
        features = body.eval()(torch.zeros(1, 3, preprocessing.size, preprocessing.size))
    return Backbone(name, body, int(features.shape[1]), preprocessing, mean, std)


_REGISTRY: dict[str, Callable[[str, bool], Backbone]] = dict.fromkeys(VARIANTS, _efficientnet_lite)


def _timm_has(name: str) -> bool:
    """Whether timm, which is optional, is installed and knows the name."""
    if importlib.util.find_spec("timm") is None:
        return False
    timm: Any = importlib.import_module("timm")
    return bool(timm.is_model(name))


def create_backbone(name: str, *, pretrained: bool = True) -> Backbone:
    """A backbone by name, in evaluation mode and frozen.

    Raises UnknownBackbone, or MissingWeights when the weights are not installed.
    """
    builder = _REGISTRY.get(name) or (_from_timm if _timm_has(name) else None)
    if builder is None:
        raise UnknownBackbone(
            f"there is no backbone {name!r}: choose one of {', '.join(sorted(_REGISTRY))}, "
            "or install timm for the names of its model zoo"
        )
    backbone = builder(name, pretrained).eval()
    backbone.freeze()
    return backbone
