"""From a picture's bytes to the pixels that the network sees, the same in training and in serving.

Imports no torch. A picture may have any colour mode; it is turned as its EXIF orientation says, its transparent parts
become white, and the centre square is resized in one step.
"""

import io
import json
import struct
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from sagehound.classifier.refusals import JobRefused

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
MAX_PIXELS = 80_000_000
"""A picture that says it is larger is refused before it is decoded: a few kilobytes can unpack to gigabytes."""

RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


class UnreadablePicture(JobRefused, ValueError):
    """A picture that cannot be decoded; the text names it and the reason."""

    def __init__(self, name: str, cause: str) -> None:
        super().__init__(f"{name} is not a readable picture: {cause}")
        self.name = name
        self.cause = cause


@dataclass(frozen=True)
class Preprocessing:
    """How a backbone wants its pictures: `size` pixels square, cut from the middle, resampled so."""

    size: int
    crop_fraction: float = 1.0
    """The side of the centre square as a share of the picture's shorter side."""
    interpolation: str = "bicubic"

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Preprocessing":
        return cls(**json.loads(text))


def open_picture(source: bytes | Path, name: str | None = None) -> Image.Image:
    """Open a picture and check its header; the pixels are decoded by `prepare`.

    Raises UnreadablePicture, naming `name` or the path.
    """
    shown = name or (str(source) if isinstance(source, Path) else "the body")
    if isinstance(source, bytes) and not source:
        raise UnreadablePicture(shown, "it is empty")
    try:
        picture = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS)
    except UnidentifiedImageError as error:
        raise UnreadablePicture(shown, f"it is none of {', '.join(FORMATS)}") from error
    except Image.DecompressionBombError as error:
        raise UnreadablePicture(shown, str(error)) from error
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
            raise
        raise UnreadablePicture(shown, str(error)) from error
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise UnreadablePicture(shown, f"{width} x {height} pixels are more than {MAX_PIXELS:,}; make it smaller")
    picture.info["sagehound.name"] = shown
    return picture


def decode(picture: Image.Image, at_least: int | None = None) -> Image.Image:
    """Decode an opened picture into upright RGB.

    With `at_least`, a JPEG may come out smaller, both sides still at least that many pixels: libjpeg scales while it
    decodes, which is several times faster for photographs. Raises UnreadablePicture.
    """
    name = str(picture.info.get("sagehound.name", "the picture"))
    try:
        if at_least is not None and picture.format in ("JPEG", "MPO"):
            picture.draft(None, (at_least, at_least))
        ImageOps.exif_transpose(picture, in_place=True)
        return _to_rgb(picture)
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError) as error:
        raise UnreadablePicture(name, str(error) or type(error).__name__) from error
    except MemoryError as error:
        raise UnreadablePicture(name, f"{picture.size[0]} x {picture.size[1]} pixels do not fit in memory") from error


def _to_rgb(picture: Image.Image) -> Image.Image:
    picture.load()
    if picture.mode == "RGB":
        return picture
    if picture.mode.startswith("I") or picture.mode == "F":
        return _from_deep_grey(picture).convert("RGB")
    if picture.has_transparency_data:
        # Pillow's convert("RGB") would show whatever colour lies under the transparent pixels.
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return picture.convert("RGB")


def _from_deep_grey(picture: Image.Image) -> Image.Image:
    """8-bit grey from 16- or 32-bit integer or float grey; Pillow's own conversion clips it to white."""
    values = np.asarray(picture).astype(np.float64)
    top = float(values.max(initial=0.0))
    if picture.mode == "F":
        scale = 255.0 if top <= 1.0 else 1.0
    else:
        scale = 255.0 / 65535.0 if picture.mode.startswith("I;16") or top > 255 else 1.0
    return Image.fromarray(np.clip(np.rint(values * scale), 0, 255).astype(np.uint8))


def fit_square(picture: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    """The centre square of an RGB picture at the network's size."""
    size = preprocessing.size
    width, height = picture.size
    side = min(width, height) * preprocessing.crop_fraction
    if side == size and width == height == size:
        return picture
    left, upper = (width - side) / 2, (height - side) / 2
    box = (left, upper, left + side, upper + side)
    return picture.resize((size, size), RESAMPLING[preprocessing.interpolation], box=box)


def to_pixels(picture: Image.Image) -> NDArray[np.float32]:
    """Float32 pixels [3, height, width] in 0..255 of an RGB picture."""
    return np.ascontiguousarray(np.asarray(picture).transpose(2, 0, 1), dtype=np.float32)


def prepare(picture: Image.Image, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Float32 pixels [3, size, size] in 0..255 of an opened picture. Raises UnreadablePicture."""
    at_least = int(np.ceil(preprocessing.size / preprocessing.crop_fraction))
    return to_pixels(fit_square(decode(picture, at_least), preprocessing))
