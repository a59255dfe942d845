"""Triton kernels: depthwise convolutions, and colours of JPEG planes. Imports triton: loaded on a GPU only.

cuDNN's depthwise convolution takes several times as long, and needs further passes over the maps for bias and ReLU6.
"""

import torch
import triton  # type: ignore[import-not-found, unused-ignore]
import triton.language as tl  # type: ignore[import-not-found, unused-ignore]
from torch import Tensor

ROW_PIXELS = 16
CHANNELS = 32
COLOUR_PIXELS = 1024


_SHAPES = ("height", "width", "out_height", "out_width", "before")


# One binary for all sizes of maps: a compilation takes longer than thousands of pictures. The number of channels is no
# such shape: where it is a multiple of 16, loads are wider.
@triton.jit(do_not_specialize=_SHAPES)  # type: ignore[untyped-decorator, unused-ignore]
def _depthwise(  # type: ignore[no-untyped-def]  # Triton reads annotations as code
    source,
    weights,
    bias,
    target,
    height,
    width,
    out_height,
    out_width,
    channels,
    before,
    kernel: tl.constexpr,
    stride: tl.constexpr,
    row_pixels: tl.constexpr,
    block: tl.constexpr,
):
    """One program: `row_pixels` neighbours of one line of one map, `block` channels; maps are [N, H, W, C]."""
    line = tl.program_id(0)
    columns = tl.program_id(1) * row_pixels + tl.arange(0, row_pixels)
    channel = tl.program_id(2) * block + tl.arange(0, block)
    picture, row = line // out_height, line % out_height
    valid = channel < channels
    total = tl.zeros((row_pixels, block), dtype=tl.float32) + tl.load(bias + channel, mask=valid, other=0.0)[None, :]
    first = source + picture.to(tl.int64) * height * width * channels
    # Not unrolled: that would take the compiler several times as long, and the kernel no less.
    for i in range(kernel):
        y = row * stride - before + i
        for j in tl.static_range(kernel):
            x = columns * stride - before + j
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            values = tl.load(
                first + (y * width + x)[:, None] * channels + channel[None, :],
                mask=inside[:, None] & valid[None, :],
                other=0.0,
            )
            weight = tl.load(weights + (i * kernel + j) * channels + channel, mask=valid, other=0.0)
            # What comes in has its ReLU, but not yet the upper limit of ReLU6.
            total += tl.minimum(values.to(tl.float32), 6.0) * weight[None, :]
    total = tl.minimum(tl.maximum(total, 0.0), 6.0)
    place = target + (line.to(tl.int64) * out_width + columns)[:, None] * channels + channel[None, :]
    tl.store(place, total.to(target.dtype.element_ty), mask=(columns < out_width)[:, None] & valid[None, :])


def depthwise_relu6(
    maps: Tensor, weights: Tensor, bias: Tensor, kernel: int, stride: int, before: int, out_size: int
) -> Tensor:
    """ReLU6 of the depthwise convolution of min(maps, 6): [N, H, W, C] -> [N, out_size, out_size, C].

    `weights` [kernel * kernel, C] and `bias` [C] are float32; `before` is the padding above and to the left.
    """
    count, height, width, channels = maps.shape
    out = torch.empty((count, out_size, out_size, channels), dtype=maps.dtype, device=maps.device)
    grid = (count * out_size, triton.cdiv(out_size, ROW_PIXELS), triton.cdiv(channels, CHANNELS))
    shapes = (height, width, out_size, out_size, channels, before)
    _depthwise[grid](maps, weights, bias, out, *shapes, kernel, stride, ROW_PIXELS, CHANNELS, num_warps=1)
    return out


@triton.jit(do_not_specialize=("height", "width", "blocks"))  # type: ignore[untyped-decorator, unused-ignore]
def _colours(  # type: ignore[no-untyped-def]
    luma,
    blue,
    red,
    sizes,
    target,
    height,
    width,
    blocks,
    halved_down: tl.constexpr,
    halved_across: tl.constexpr,
    block: tl.constexpr,
):
    """One program: `block` neighbouring pixels of one picture; see gpu_pixels.to_rgb for the arithmetic."""
    picture = tl.program_id(0) // blocks
    place = (tl.program_id(0) % blocks) * block + tl.arange(0, block)
    valid = place < height * width
    y, x = place // width, place % width
    planes_width = width // 2 if halved_across else width
    planes_height = height // 2 if halved_down else height
    own_width, own_height = tl.load(sizes + 2 * picture), tl.load(sizes + 2 * picture + 1)
    last_x = ((own_width + 1) // 2 if halved_across else own_width) - 1
    last_y = ((own_height + 1) // 2 if halved_down else own_height) - 1
    near_y = tl.minimum(y // 2 if halved_down else y, last_y)
    far_y = tl.minimum(tl.maximum(near_y + 2 * (y % 2) - 1, 0), last_y) if halved_down else near_y
    near_x = tl.minimum(x // 2 if halved_across else x, last_x)
    far_x = tl.minimum(tl.maximum(near_x + 2 * (x % 2) - 1, 0), last_x) if halved_across else near_x
    start = picture.to(tl.int64) * planes_height * planes_width
    nn, fn = start + near_y * planes_width + near_x, start + far_y * planes_width + near_x
    nf, ff = start + near_y * planes_width + far_x, start + far_y * planes_width + far_x
    if halved_down:
        half = 8 - x % 2
        near = 3 * tl.load(blue + nn, mask=valid, other=0).to(tl.int32) + tl.load(blue + fn, mask=valid, other=0)
        far = 3 * tl.load(blue + nf, mask=valid, other=0).to(tl.int32) + tl.load(blue + ff, mask=valid, other=0)
        cb = ((3 * near + far + half) >> 4) - 128
        near = 3 * tl.load(red + nn, mask=valid, other=0).to(tl.int32) + tl.load(red + fn, mask=valid, other=0)
        far = 3 * tl.load(red + nf, mask=valid, other=0).to(tl.int32) + tl.load(red + ff, mask=valid, other=0)
        cr = ((3 * near + far + half) >> 4) - 128
    elif halved_across:
        half = 1 + x % 2
        near = tl.load(blue + nn, mask=valid, other=0).to(tl.int32)
        cb = ((3 * near + tl.load(blue + nf, mask=valid, other=0).to(tl.int32) + half) >> 2) - 128
        near = tl.load(red + nn, mask=valid, other=0).to(tl.int32)
        cr = ((3 * near + tl.load(red + nf, mask=valid, other=0).to(tl.int32) + half) >> 2) - 128
    else:
        cb = tl.load(blue + nn, mask=valid, other=0).to(tl.int32) - 128
        cr = tl.load(red + nn, mask=valid, other=0).to(tl.int32) - 128
    light = tl.load(luma + picture.to(tl.int64) * height * width + place, mask=valid, other=0).to(tl.int32)
    r = light + ((91881 * cr + 32768) >> 16)
    g = light + ((-22554 * cb - 46802 * cr + 32768) >> 16)
    b = light + ((116130 * cb + 32768) >> 16)
    first = target + picture.to(tl.int64) * 3 * height * width + place
    tl.store(first, tl.minimum(tl.maximum(r, 0), 255).to(target.dtype.element_ty), mask=valid)
    tl.store(first + height * width, tl.minimum(tl.maximum(g, 0), 255).to(target.dtype.element_ty), mask=valid)
    tl.store(first + 2 * height * width, tl.minimum(tl.maximum(b, 0), 255).to(target.dtype.element_ty), mask=valid)


def colours(luma: Tensor, blue: Tensor, red: Tensor, sizes: Tensor, sampling: str) -> Tensor:
    """uint8 RGB [N, 3, H, W] of planes on a GPU, as gpu_pixels.to_rgb; `sizes` [N, 2] are int32 (width, height)."""
    count, height, width = luma.shape
    out = torch.empty((count, 3, height, width), dtype=torch.uint8, device=luma.device)
    blocks = triton.cdiv(height * width, COLOUR_PIXELS)
    shape = (height, width, blocks)
    halved = (sampling == "420", sampling != "444")
    _colours[(count * blocks,)](luma, blue, red, sizes, out, *shape, *halved, COLOUR_PIXELS, num_warps=4)
    return out
