"""Batches of decoded JPEG planes to the pixels that the network sees, with libjpeg's and Pillow's own arithmetic.

Pictures of different sizes lie in the upper left corners of one canvas. Colour is enlarged and converted in integers
as libjpeg does, so it agrees to the bit; the resampling rounds after each of its two passes as Pillow does. Pillow goes
over tall pictures in the other order from its version 13 on, so the two differ there by up to two of 255 levels.
"""

import importlib
import math

import torch
from torch import Tensor

_SUPPORT = {"nearest": 0.0, "bilinear": 1.0, "bicubic": 2.0, "lanczos": 3.0}


def to_rgb(luma: Tensor, blue: Tensor, red: Tensor, sizes: Tensor, sampling: str) -> Tensor:
    """uint8 RGB [N, 3, H, W] of uint8 planes [N, H, W] and colour planes as sampled.

    `sizes` [N, 2] are the pictures' (width, height), int32. Beyond a picture the canvas holds no meaning.
    """
    if luma.is_cuda:
        # The module imports triton, which is there where CUDA is, and slow to import.
        kernels = importlib.import_module("sagehound.classifier.gpu_kernels")
        found: Tensor = kernels.colours(luma, blue, red, sizes, sampling)
        return found
    y = luma.int()
    cb, cr = (_enlarged(plane, sizes, sampling, luma.shape).int() - 128 for plane in (blue, red))
    # ITU-R BT.601 in 16-bit fixed point.
    r = y + ((91881 * cr + 32768) >> 16)
    g = y + ((-22554 * cb - 46802 * cr + 32768) >> 16)
    b = y + ((116130 * cb + 32768) >> 16)
    return torch.stack((r, g, b), dim=1).clamp_(0, 255).to(torch.uint8)


def _enlarged(plane: Tensor, sizes: Tensor, sampling: str, shape: torch.Size) -> Tensor:
    """A colour plane at the size of the luma plane: libjpeg's triangle filter, 3/4 of the nearer, 1/4 of the other."""
    if sampling == "444":
        return plane
    width = (sizes[:, 0] + 1) // 2
    height = (sizes[:, 1] + 1) // 2 if sampling == "420" else sizes[:, 1]
    c = _edges_repeated(plane, width, height).to(torch.int16)
    if sampling == "420":
        above, below = torch.cat((c[:, :1], c[:, :-1]), 1), torch.cat((c[:, 1:], c[:, -1:]), 1)
        c = torch.stack((3 * c + above, 3 * c + below), dim=2).flatten(1, 2)
        left_half, right_half, shift = 8, 7, 4
    else:
        left_half, right_half, shift = 1, 2, 2
    before, after = torch.cat((c[..., :1], c[..., :-1]), -1), torch.cat((c[..., 1:], c[..., -1:]), -1)
    even, odd = (3 * c + before + left_half) >> shift, (3 * c + after + right_half) >> shift
    return torch.stack((even, odd), dim=-1).flatten(2, 3)[:, : shape[1], : shape[2]]


def _edges_repeated(plane: Tensor, width: Tensor, height: Tensor) -> Tensor:
    """The plane with each picture's last column and row repeated to the end of the canvas."""
    _, rows, columns = plane.shape
    x = torch.minimum(torch.arange(columns, device=plane.device), width[:, None] - 1)
    y = torch.minimum(torch.arange(rows, device=plane.device), height[:, None] - 1)
    plane = plane.gather(2, x[:, None, :].expand(-1, rows, -1))
    return plane.gather(1, y[:, :, None].expand(-1, -1, columns))


def resample(
    rgb: Tensor, sizes: Tensor, boxes: Tensor, size: int, interpolation: str, dtype: torch.dtype = torch.float32
) -> Tensor:
    """[N, 3, size, size] of `dtype`, whole numbers in 0..255: each picture's box (left, upper, right, lower) resized.

    As Pillow's `resize(..., box=box)`: a filter as wide as the reduction, horizontally, rounded, then vertically.
    float64 `boxes` [N, 4] and float32 pixels make it exact; float32 boxes and float16 are faster, and off by a level at
    times.
    """
    across = _weights(boxes[:, 0], boxes[:, 2], sizes[:, 0], rgb.shape[3], size, interpolation).to(dtype)
    down = _weights(boxes[:, 1], boxes[:, 3], sizes[:, 1], rgb.shape[2], size, interpolation).to(dtype)
    narrow = (rgb.to(dtype) @ across.transpose(1, 2)[:, None]).add_(0.5).floor_().clamp_(0, 255)
    return (down[:, None] @ narrow).add_(0.5).floor_().clamp_(0, 255)


def _weights(start: Tensor, stop: Tensor, inside: Tensor, canvas: int, size: int, interpolation: str) -> Tensor:
    """[N, size, canvas]: how much each pixel of a line counts in each resized one (Pillow's Resample.c)."""
    scale = ((stop - start) / size)[:, None, None]
    wide = scale.clamp(min=1.0)
    positions = torch.arange(canvas, device=start.device, dtype=start.dtype)
    outputs = torch.arange(size, device=start.device, dtype=start.dtype)[None, :, None]
    centre = start[:, None, None] + (outputs + 0.5) * scale
    limit = inside.to(start.dtype)[:, None, None]
    if interpolation == "nearest":
        return (positions == centre.floor().clamp(min=0).minimum(limit - 1)).to(start.dtype)
    reach = _SUPPORT[interpolation] * wide
    first, last = (centre - reach + 0.5).trunc().clamp(min=0), (centre + reach + 0.5).trunc().minimum(limit)
    weights = _filter((positions - centre + 0.5) / wide, interpolation)
    weights = torch.where((positions >= first) & (positions < last), weights, 0.0)
    return weights / weights.sum(2, keepdim=True)


def _filter(x: Tensor, interpolation: str) -> Tensor:
    x = x.abs()
    if interpolation == "bilinear":
        return (1 - x).clamp(min=0)
    if interpolation == "lanczos":
        return torch.where(x < 3, torch.sinc(x) * torch.sinc(x / 3), 0.0)
    a = -0.5
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))


def centre_boxes(sizes: Tensor, crop_fraction: float) -> Tensor:
    """Float64 boxes [N, 4] of the centre squares of pictures of `sizes` [N, 2], as `fit_square` cuts them."""
    size = sizes.double()
    side = size.amin(1, keepdim=True) * crop_fraction
    upper_left = (size - side) / 2
    return torch.cat((upper_left, upper_left + side), dim=1)


def even(length: int) -> int:
    """The length of a canvas whose colour planes are half as long."""
    return 2 * math.ceil(length / 2)
