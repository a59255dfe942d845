"""EfficientNet-Lite for inference on a GPU: the same function in fewer passes over the maps.

BatchNorm is folded into the convolutions, pointwise convolutions are matrix products on maps [N, H, W, C] with ReLU and
skip connection inside, ReLU6's upper limit is applied where the next layer reads, and the constant that a projection
adds to each channel is carried forward into the layer that reads it. The arithmetic is half precision with sums in
float32.
"""

import importlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sagehound.classifier.efficientnet_lite import InvertedResidual
from sagehound.classifier.network import Backbone


@dataclass(frozen=True)
class _Block:
    """One inverted residual, folded."""

    expand: Tensor | None
    """[inputs, wide]"""
    expand_bias: Tensor | None
    filter: Tensor
    """[kernel * kernel, wide], float32"""
    filter_bias: Tensor
    kernel: int
    stride: int
    before: int
    after: int
    project: Tensor
    """[wide, outputs]"""
    skip: bool


class FusedLite:
    """Pixels [N, 3, size, size] in 0..255 -> features [N, feature_count], as the Backbone that it was made from."""

    def __init__(self, backbone: Backbone, device: torch.device, dtype: torch.dtype = torch.float16) -> None:
        """Raises TypeError when the backbone is no EfficientNet-Lite."""
        self._device, self._dtype = device, dtype
        stages = list(backbone.stages())
        stem, *inner, top = [list(stage.children()) for stage in stages]
        if not all(isinstance(block, InvertedResidual) for blocks in inner for block in blocks):
            raise TypeError(f"{backbone.name} is no EfficientNet-Lite")
        weight, bias = _folded(stem)
        std, mean = backbone.pixel_std.double().cpu().flatten(), backbone.pixel_mean.double().cpu().flatten()
        self._mean = mean.to(device, dtype).view(1, 3, 1, 1)
        self._stem_padding = _padding(stem)
        # Dividing by a deviation of 128 is exact here too.
        self._stem = self._half(weight / std.view(1, 3, 1, 1)).contiguous(memory_format=torch.channels_last)
        self._stem_bias = self._half(bias)
        # The stem's maps carry no constant; from then on `constant` is what the stored maps lack.
        constant = torch.zeros(len(bias), dtype=torch.float64)
        self._blocks = []
        for block in (block for blocks in inner for block in blocks):
            folded, constant = self._fold(block, constant)
            self._blocks.append(folded)
        weight, bias = _folded(top)
        matrix = weight.flatten(1)
        self._top, self._top_bias = self._half(matrix.T), self._half(bias + matrix @ constant)

    def _half(self, value: Tensor) -> Tensor:
        return value.to(self._device, self._dtype).contiguous()

    def _fold(self, block: nn.Module, constant: Tensor) -> tuple[_Block, Tensor]:
        layers = list(block.layers.children())  # type: ignore[union-attr, operator, unused-ignore]
        places = [i for i, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
        *first, at, last = places
        expand = expand_bias = None
        if first:
            weight, bias = _folded(layers[:at])
            matrix = weight.flatten(1)
            expand, expand_bias = self._half(matrix.T), self._half(bias + matrix @ constant)
        depthwise = layers[at]
        middle = layers[at - 1 if at and isinstance(layers[at - 1], nn.ZeroPad2d) else at : last]
        weight, bias = _folded(middle)
        before, after = _padding(middle)
        projection, shift = _folded(layers[last:])
        skip = bool(block.skip)
        return (
            _Block(
                expand,
                expand_bias,
                weight.flatten(1).T.float().to(self._device).contiguous(),
                bias.float().to(self._device),
                int(depthwise.kernel_size[0]),
                int(depthwise.stride[0]),
                before,
                after,
                self._half(projection.flatten(1).T),
                skip,
            ),
            shift + constant if skip else shift,
        )

    def compile(self) -> None:
        """Have the kernels compiled, all at once; without this the first call does it, one by one."""
        kinds = {(block.kernel, block.stride): block for block in self._blocks}
        with ThreadPoolExecutor(len(kinds), "compile") as pool:
            list(pool.map(self._compile, kinds.values()))

    @torch.inference_mode()
    def _compile(self, block: _Block) -> None:
        size = block.kernel + block.stride
        maps = torch.zeros((1, size, size, block.filter.shape[1]), dtype=self._dtype, device=self._device)
        # Each thread has a current GPU of its own, and Triton launches on that.
        with torch.cuda.device(self._device):
            _depthwise(maps, block)

    @torch.inference_mode()
    def __call__(self, pixels: Tensor) -> Tensor:
        """Float32 features of pixels of any dtype on this device."""
        (before, after), (count, _, height, width) = self._stem_padding, pixels.shape
        shape = (count, 3, height + before + after, width + before + after)
        x = torch.empty(shape, dtype=self._dtype, device=pixels.device, memory_format=torch.channels_last).zero_()
        inside = x[:, :, before : before + height, before : before + width]
        torch.sub(pixels, self._mean, out=inside)
        x = functional.conv2d(x, self._stem, self._stem_bias, stride=2).relu_().permute(0, 2, 3, 1)
        for block in self._blocks:
            x = self._run(block, x)
        count, height, width, channels = x.shape
        maps = _matrix_relu(self._top_bias, x.reshape(-1, channels), self._top)
        return maps.clamp_(max=6).view(count, height * width, -1).mean(1, dtype=torch.float32)

    def _run(self, block: _Block, x: Tensor) -> Tensor:
        wide = x
        if block.expand is not None and block.expand_bias is not None:
            flat = _matrix_relu(block.expand_bias, x.reshape(-1, x.shape[3]), block.expand)
            wide = flat.view(*x.shape[:3], -1)
        wide = _depthwise(wide, block)
        flat = wide.view(-1, wide.shape[3])
        out = torch.addmm(x.reshape(-1, x.shape[3]), flat, block.project) if block.skip else flat @ block.project
        return out.view(*wide.shape[:3], -1)


def _matrix_relu(bias: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """ReLU(x @ weight + bias), in the epilogue of the matrix product where the device can."""
    return torch._addmm_activation(bias, x, weight)


def _depthwise(maps: Tensor, block: _Block) -> Tensor:
    """The block's middle: ReLU6(depthwise(min(maps, 6)) + bias) on maps [N, H, W, C]."""
    padded = maps.shape[1] + block.before + block.after
    out_size = (padded - block.kernel) // block.stride + 1
    if maps.is_cuda:
        # The module imports triton, which is there where CUDA is, and slow to import.
        kernels = importlib.import_module("sagehound.classifier.gpu_kernels")
        shape = (block.kernel, block.stride, block.before, out_size)
        found: Tensor = kernels.depthwise_relu6(maps, block.filter, block.filter_bias, *shape)
        return found
    x = maps.clamp(max=6).permute(0, 3, 1, 2)
    x = functional.pad(x, (block.before, block.after, block.before, block.after))
    weight = block.filter.T.reshape(-1, 1, block.kernel, block.kernel).to(x.dtype)
    bias = block.filter_bias.to(x.dtype)
    x = functional.conv2d(x, weight, bias, block.stride, groups=x.shape[1])
    return x.clamp(0, 6).permute(0, 2, 3, 1).contiguous()


def _folded(layers: list[nn.Module]) -> tuple[Tensor, Tensor]:
    """Weight and bias, in float64 on the CPU, of the convolution and the BatchNorm among `layers`."""
    convolution = next(layer for layer in layers if isinstance(layer, nn.Conv2d))
    norm = next(layer for layer in layers if isinstance(layer, nn.BatchNorm2d))
    if norm.running_mean is None or norm.running_var is None:
        raise TypeError("a BatchNorm without statistics cannot be folded")
    weight, gain, shift, mean, variance = (
        value.detach().double().cpu()
        for value in (convolution.weight, norm.weight, norm.bias, norm.running_mean, norm.running_var)
    )
    factor = gain / (variance + norm.eps).sqrt()
    return weight * factor.view(-1, 1, 1, 1), shift - mean * factor


def _padding(layers: list[nn.Module]) -> tuple[int, int]:
    """Padding before and after, equal in both directions, of the convolution among `layers`."""
    for layer in layers:
        if isinstance(layer, nn.ZeroPad2d):
            return int(layer.padding[0]), int(layer.padding[1])
    convolution = next(layer for layer in layers if isinstance(layer, nn.Conv2d))
    return int(convolution.padding[0]), int(convolution.padding[0])
