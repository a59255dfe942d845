"""Random views of a picture for training the whole network. Imports no torch.

The view depends on (seed, epoch, picture) alone, not on the order in which threads decode: a resumed training sees the
same views.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from sagehound.classifier.preprocessing import Preprocessing, to_pixels

AREA = (0.35, 1.0)
"""Share of the picture's area that a crop keeps."""
RATIO = (3 / 4, 4 / 3)
"""Width by height of a crop."""
LIGHT = (0.8, 1.2)
"""Factors for brightness, contrast and colour."""


def random_generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The source of chance for one picture in one epoch."""
    return np.random.default_rng((seed, epoch, index))


def crop_box(width: int, height: int, chance: np.random.Generator) -> tuple[float, float, float, float]:
    """A random crop (left, upper, right, lower) in pixels; after Szegedy et al. 2015, as in torchvision."""
    for _ in range(10):
        area = width * height * chance.uniform(*AREA)
        ratio = math.exp(chance.uniform(math.log(RATIO[0]), math.log(RATIO[1])))
        w, h = math.sqrt(area * ratio), math.sqrt(area / ratio)
        if w <= width and h <= height:
            left, upper = chance.uniform(0, width - w), chance.uniform(0, height - h)
            return (left, upper, left + w, upper + h)
    side = min(width, height)
    left, upper = (width - side) / 2, (height - side) / 2
    return (left, upper, left + side, upper + side)


def augment(picture: Image.Image, preprocessing: Preprocessing, chance: np.random.Generator) -> NDArray[np.float32]:
    """Float32 pixels [3, size, size] in 0..255 of a random view: crop, mirror, light."""
    size = (preprocessing.size, preprocessing.size)
    view = picture.resize(size, Image.Resampling.BICUBIC, box=crop_box(*picture.size, chance))
    if chance.random() < 0.5:
        view = ImageOps.mirror(view)
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        view = enhance(view).enhance(chance.uniform(*LIGHT))
    return to_pixels(view)
