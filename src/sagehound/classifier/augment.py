"""Other views of a picture: random ones for training the whole network, fixed ones for a feature channel.

A random view depends on (seed, epoch, picture) alone, not on the order in which threads decode: a resumed training sees
the same views. A fixed one depends on the picture's name and the view's number. Imports no torch.
"""

import math
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from sagehound.classifier.preprocessing import RESAMPLING, Preprocessing, decode, prepare, to_pixels

AREA = (0.35, 1.0)
"""Share of the picture's area that a crop keeps."""
RATIO = (3 / 4, 4 / 3)
"""Width by height of a crop."""
MILD_AREA = (0.65, 1.0)
"""The same for the fixed views of a feature channel: a linear head gains from views near the one that is served."""
MILD_RATIO = (0.86, 1.16)
LIGHT = (0.8, 1.2)
"""Factors for brightness, contrast and colour."""


def random_generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The source of chance for one picture in one epoch."""
    return np.random.default_rng((seed, epoch, index))


def crop_box(
    width: int,
    height: int,
    chance: np.random.Generator,
    areas: tuple[float, float] = AREA,
    ratios: tuple[float, float] = RATIO,
) -> tuple[float, float, float, float]:
    """A random crop (left, upper, right, lower) in pixels; after Szegedy et al. 2015, as in torchvision."""
    for _ in range(10):
        area = width * height * chance.uniform(*areas)
        ratio = math.exp(chance.uniform(math.log(ratios[0]), math.log(ratios[1])))
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


def fixed_view(opened: Image.Image, preprocessing: Preprocessing, name: str, view: int) -> NDArray[np.float32]:
    """Float32 pixels [3, size, size] in 0..255 of view number `view` of an opened picture called `name`.

    0 is the picture as it is served, 1 its mirror image, the others crops of at least two thirds of it, the odd ones
    mirrored. Raises UnreadablePicture.
    """
    if view < 2:
        pixels = prepare(opened, preprocessing)
        return pixels if view == 0 else np.ascontiguousarray(pixels[:, :, ::-1])
    picture = decode(opened, 2 * preprocessing.size)
    box = crop_box(*picture.size, random_generator(0, view, zlib.crc32(name.encode())), MILD_AREA, MILD_RATIO)
    size = (preprocessing.size, preprocessing.size)
    cropped = picture.resize(size, RESAMPLING[preprocessing.interpolation], box=box)
    return to_pixels(ImageOps.mirror(cropped) if view % 2 else cropped)
