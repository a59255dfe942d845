"""Pictures that tests make themselves: coloured shapes in class folders."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

COLOURS = {"blue_square": (40, 60, 200), "green_ring": (30, 160, 60), "red_disc": (210, 40, 40)}
CLASSES = tuple(sorted(COLOURS))


def shape(label: str, seed: int, size: tuple[int, int] = (96, 80)) -> Image.Image:
    """A picture of a class: its shape and colour on a grey ground with noise, at a place that the seed chooses."""
    chance = np.random.default_rng(seed)
    ground = chance.integers(90, 160, (size[1], size[0], 3), dtype=np.uint8)
    picture = Image.fromarray(ground)
    draw = ImageDraw.Draw(picture)
    left, top = int(chance.integers(4, size[0] // 3)), int(chance.integers(4, size[1] // 3))
    box = (left, top, left + size[0] // 2, top + size[1] // 2)
    if label == "blue_square":
        draw.rectangle(box, fill=COLOURS[label])
    elif label == "green_ring":
        draw.ellipse(box, outline=COLOURS[label], width=7)
    else:
        draw.ellipse(box, fill=COLOURS[label])
    return picture


def encoded(picture: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def write_splits(folder: Path, train: int = 8, valid: int = 4, test: int = 4) -> Path:
    """train/, valid/ and test/ with so many pictures of each class."""
    for number, (split, count) in enumerate((("train", train), ("valid", valid), ("test", test))):
        for label in CLASSES:
            place = folder / split / label
            place.mkdir(parents=True)
            for index in range(count):
                content = encoded(shape(label, 1000 * number + index), quality=90)
                (place / f"{label}_{index:02d}.jpg").write_bytes(content)
    return folder
