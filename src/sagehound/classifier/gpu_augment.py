"""Random views of a batch of pictures on a GPU: crop, mirror, light, as augment.py makes them one by one.

The same distribution as there, from another source of chance: the view depends on (seed, epoch, picture) alone.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sagehound.classifier.augment import AREA, LIGHT, RATIO
from sagehound.classifier.gpu_pixels import resample

_TRIES = 10
_DRAWS = 4 * _TRIES + 4


def draws(pictures: int, seed: int, epoch: int) -> NDArray[np.float32]:
    """The chance of one epoch: numbers in 0..1, one row a picture."""
    return np.random.default_rng((seed, epoch, 2)).random((pictures, _DRAWS), dtype=np.float32)


def crop_boxes(sizes: NDArray[np.int32], chance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Random crops [N, 4] (left, upper, right, lower) as shares of pictures of `sizes` [N, 2]; see augment.crop_box."""
    tries = chance[:, : 4 * _TRIES].reshape(-1, _TRIES, 4)
    shape = (sizes[:, 0] / sizes[:, 1]).astype(np.float32)[:, None]
    area = AREA[0] + (AREA[1] - AREA[0]) * tries[:, :, 0]
    low, high = math.log(RATIO[0]), math.log(RATIO[1])
    ratio = np.exp(low + (high - low) * tries[:, :, 1])
    width, height = np.sqrt(area * ratio / shape), np.sqrt(area / ratio * shape)
    fits = (width <= 1) & (height <= 1)
    rows, first = np.arange(len(sizes)), fits.argmax(1)
    width, height = width[rows, first], height[rows, first]
    left, upper = (1 - width) * tries[rows, first, 2], (1 - height) * tries[rows, first, 3]
    # No try fits a picture that is very long: then it is the centre square.
    none = ~fits.any(1)
    square = np.minimum(sizes[:, 0], sizes[:, 1])[:, None] / sizes
    width, height = np.where(none, square[:, 0], width), np.where(none, square[:, 1], height)
    left, upper = np.where(none, (1 - width) / 2, left), np.where(none, (1 - height) / 2, upper)
    return np.stack((left, upper, left + width, upper + height), axis=1).astype(np.float32)


def random_views(
    rgb: Tensor, stored: Tensor, sizes: NDArray[np.int32], chance: NDArray[np.float32], size: int
) -> Tensor:
    """Pixels [N, 3, size, size] in 0..255, half precision on a GPU: a random view of each picture of a canvas.

    `stored` [N, 2] is the width and height at which each lies there, `sizes` what they were on disk, for their shape.
    """
    tail = torch.from_numpy(chance[:, 4 * _TRIES :])
    boxes = torch.from_numpy(crop_boxes(sizes, chance))
    settings = torch.cat((boxes, tail), dim=1).to(rgb.device, non_blocking=True)
    dtype = torch.float16 if rgb.is_cuda else torch.float32
    view = resample(rgb, stored, settings[:, :4] * stored.repeat(1, 2), size, "bicubic", dtype)
    view = torch.where((settings[:, 4] < 0.5)[:, None, None, None], view.flip(3), view)
    light = (LIGHT[0] + (LIGHT[1] - LIGHT[0]) * settings[:, 5:8, None, None, None]).to(dtype)
    view = (view * light[:, 0]).clamp_(max=255)
    grey = _grey(view).mean((2, 3), keepdim=True, dtype=torch.float32).to(dtype)
    view = (grey + (view - grey) * light[:, 1]).clamp_(0, 255)
    grey = _grey(view)
    return (grey + (view - grey) * light[:, 2]).clamp_(0, 255)


def _grey(view: Tensor) -> Tensor:
    """[N, 1, H, W], weighted as the eye does (ITU-R 601)."""
    return 0.299 * view[:, :1] + 0.587 * view[:, 1:2] + 0.114 * view[:, 2:]
