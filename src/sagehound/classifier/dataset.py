"""Labelled pictures as folders: one folder a class, one tree of them a split.

Class names are sorted plainly, as torchvision's ImageFolder does; the artefact keeps the list, so score 17 always means
the same class.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sagehound.classifier.refusals import JobRefused

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
SPLITS = ("train", "validation", "test")
_SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "validation": ("valid", "validation", "val"),
    "test": ("test", "testing"),
}


class BadDataset(JobRefused, ValueError):
    """The folders are not a data set; the text names the folder and the way out."""


@dataclass(frozen=True)
class Picture:
    """One labelled picture."""

    path: Path
    name: str
    """CLASS/FILE: the same on every host, wherever the channel lies."""
    label: int
    view: int = 0
    """Which of its fixed views (augment.py): 0 is the picture as it is served."""


@dataclass(frozen=True)
class Split:
    """The pictures of one split, sorted by name."""

    name: str
    pictures: tuple[Picture, ...]
    skipped: int = 0
    """Files left out because their names are no picture's."""

    @property
    def labels(self) -> NDArray[np.int64]:
        return np.array([picture.label for picture in self.pictures], dtype=np.int64)

    def fingerprint(self) -> str:
        """A hash over names, labels, views and contents: equal exactly when the split is the same."""
        digest = hashlib.blake2b(self.name.encode(), digest_size=16)
        for picture in self.pictures:
            content = hashlib.blake2b(picture.path.read_bytes(), digest_size=16).digest()
            digest.update(f"\0{picture.name}\0{picture.label}\0{picture.view}\0".encode() + content)
        return digest.hexdigest()


def split_folders(channel: Path) -> dict[str, Path]:
    """The split folders inside one channel, by split name.

    A single folder around them (dogImages/train, ...) is looked through.
    Raises BadDataset when there is no train folder.
    """
    if not channel.is_dir():
        raise BadDataset(f"the training channel {channel} is not a folder")
    for folder in (channel, *_only_folder(channel)):
        found = {split: folder / name for split in SPLITS for name in _SPLIT_FOLDERS[split] if (folder / name).is_dir()}
        if "train" in found:
            return found
    inside = ", ".join(sorted(p.name for p in channel.iterdir())[:5]) or "nothing"
    raise BadDataset(
        f"{channel} has no folder 'train' (it holds: {inside}): put the pictures into "
        "train/CLASS/, valid/CLASS/ and test/CLASS/, or give the splits as channels of their own"
    )


def _only_folder(channel: Path) -> list[Path]:
    folders = [p for p in channel.iterdir() if p.is_dir() and not p.name.startswith(".")]
    return folders if len(folders) == 1 else []


def class_names(folder: Path) -> tuple[str, ...]:
    """The class folders of a split, plainly sorted. Raises BadDataset when there is none."""
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not names:
        raise BadDataset(f"{folder} has no class folders: put each class's pictures into a folder named after it")
    return tuple(names)


def read_split(name: str, folder: Path, classes: Sequence[str]) -> Split:
    """The pictures of one split with their labels, indices into `classes`.

    Raises BadDataset when a folder's class is not among `classes` or when there is no picture.
    """
    index = {label: i for i, label in enumerate(classes)}
    unknown = [label for label in class_names(folder) if label not in index]
    if unknown:
        raise BadDataset(
            f"{folder / unknown[0]}: class {unknown[0]!r} does not occur in the train split, so no score "
            "stands for it; move the folder there too or remove it"
        )
    pictures: list[Picture] = []
    skipped = 0
    for label in class_names(folder):
        files = [p for p in (folder / label).rglob("*") if p.is_file() and not p.name.startswith(".")]
        chosen = [p for p in files if p.suffix.lower() in PICTURE_SUFFIXES]
        skipped += len(files) - len(chosen)
        pictures += [Picture(p, p.relative_to(folder).as_posix(), index[label]) for p in chosen]
    if not pictures:
        raise BadDataset(f"{folder} has class folders but no picture ({', '.join(sorted(PICTURE_SUFFIXES))}) in them")
    return Split(name, tuple(sorted(pictures, key=lambda p: p.name)), skipped)


def union_of_classes(per_host: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """The classes of all hosts together: a channel sharded by key gives each host only some of them."""
    classes = tuple(sorted({name for names in per_host for name in names}))
    if len(classes) < 2:
        raise BadDataset(f"a classifier needs at least two classes; the train split has {len(classes)}")
    return classes
