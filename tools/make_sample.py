"""Makes src/sagehound/sample/pictures from Fashion-MNIST as Debian's package dataset-fashion-mnist ships it."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ["T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle_boot"]
PER_CLASS = {"train": 32, "valid": 8, "test": 8}
SOURCE = Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/datasets/fashion-mnist")
TARGET = Path(__file__).parents[1] / "src" / "sagehound" / "sample" / "pictures"


def read(name: str) -> tuple[np.ndarray, np.ndarray]:
    """The pictures (N, 28, 28) and labels (N,) of one of the set's two halves."""
    with gzip.open(SOURCE / f"{name}-images-idx3-ubyte.gz") as file:
        pictures = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(SOURCE / f"{name}-labels-idx1-ubyte.gz") as file:
        return pictures, np.frombuffer(file.read(), np.uint8, offset=8)


train, held_out = read("train"), read("t10k")
for label, name in enumerate(CLASSES):
    start = {"train": 0, "valid": 0, "test": PER_CLASS["valid"]}
    for split, count in PER_CLASS.items():
        pictures, labels = train if split == "train" else held_out
        folder = TARGET / split / f"{label}.{name}"
        folder.mkdir(parents=True, exist_ok=True)
        for number in np.flatnonzero(labels == label)[start[split] :][:count]:
            Image.fromarray(pictures[number]).save(folder / f"{name}_{number:05d}.png", optimize=True)
