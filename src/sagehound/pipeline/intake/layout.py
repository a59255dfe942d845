"""How a folder of pictures is arranged: class folders, alone or inside train/valid/test.

`find_pictures` reads names only; no picture is opened. Hidden files, `__MACOSX` and what a file manager
leaves behind are passed over; everything else that is not taken is named.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sagehound.errors import DataRefused
from sagehound.pipeline.intake.named import listed

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp"})
OTHER_PICTURE_SUFFIXES = frozenset({".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".ppm", ".jp2"})
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "test": "test",
    "testing": "test",
}
_NOISE = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


@dataclass(frozen=True)
class FoundPicture:
    """A picture file by its place: the split (None where the folder has none), the class, the name below it."""

    path: Path
    split: str | None
    label: str
    name: str


@dataclass(frozen=True)
class Layout:
    """What a folder holds: its pictures in a fixed order, and the files that are no pictures."""

    root: Path
    pictures: tuple[FoundPicture, ...]
    left_out: tuple[str, ...]


def find_pictures(folder: Path) -> Layout:
    """The pictures below ``folder``, whose single wrapping folders (dogImages/) are stripped.

    Raises DataRefused where there are no class folders, pictures lie outside one, or a split is there twice.
    """
    root = _unwrapped(folder)
    splits = _split_folders(root)
    pictures: list[FoundPicture] = []
    left_out: list[str] = []
    stray: list[str] = []
    parts: list[tuple[str | None, Path]] = [(split, root / name) for split, name in splits.items()]
    if splits:
        left_out += [
            f"{entry.name}/" for entry in _visible(root) if entry.is_dir() and entry.name not in splits.values()
        ]
        stray += [entry.name for entry in _visible(root) if _is_picture_file(entry)]
    for split, part in parts or [(None, root)]:
        for entry in _visible(part):
            if not entry.is_dir():
                (stray if _is_picture_file(entry) else left_out).append(str(entry.relative_to(root)))
                continue
            for path in _files_below(entry):
                if _has_picture_suffix(path):
                    pictures.append(FoundPicture(path, split, entry.name, path.relative_to(entry).as_posix()))
                else:
                    left_out.append(str(path.relative_to(root)))
    if stray:
        raise DataRefused(
            f"{len(stray)} pictures in {root} lie outside a class folder: {listed(stray)}",
            "Put each picture into the folder that is named after its class (CLASS/picture.jpg).",
        )
    if not pictures:
        raise DataRefused(
            f"no pictures (JPEG, PNG, WebP) in class folders below {folder}",
            "Give a folder with one folder of pictures per class, or train/, valid/ and test/ of such folders.",
        )
    return Layout(root, tuple(pictures), tuple(left_out))


def _unwrapped(folder: Path) -> Path:
    """Step into a folder's only sub-folder as long as that one is neither a split nor a class."""
    while True:
        entries = _visible(folder)
        folders = [entry for entry in entries if entry.is_dir()]
        if len(folders) != 1 or any(_is_picture_file(entry) for entry in entries):
            return folder
        inner = folders[0]
        if inner.name.lower() in SPLIT_NAMES or not any(entry.is_dir() for entry in _visible(inner)):
            return folder
        folder = inner


def _split_folders(root: Path) -> dict[str, str]:
    """Split -> folder name, or nothing where the folders are classes.

    A folder called `train` that holds pictures itself is a class (beside `car` and `bus`), not a split.
    """
    found: dict[str, str] = {}
    folders = [entry for entry in _visible(root) if entry.is_dir()]
    for entry in folders:
        split = SPLIT_NAMES.get(entry.name.lower())
        if split is None:
            continue
        if split in found:
            raise DataRefused(
                f"{root} has two folders for the {split} split: {found[split]}/ and {entry.name}/",
                "Keep one of them.",
            )
        found[split] = entry.name
    if "train" in found:
        return found if any(entry.is_dir() for entry in _visible(root / found["train"])) else {}
    if found and len(found) == len(folders):
        raise DataRefused(
            f"{root} has {', '.join(sorted(found.values()))} but no train/ folder",
            "Add train/, or give a folder of class folders only: it is split by seed.",
        )
    return {}


def _visible(folder: Path) -> list[Path]:
    return sorted(
        entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.name.lower() not in _NOISE
    )


def _files_below(folder: Path, inside: tuple[str, ...] = ()) -> Iterator[Path]:
    """Files below ``folder`` in order; links to folders are followed, but never round in a circle."""
    real = os.path.realpath(folder)
    if real in inside:
        return
    for entry in _visible(folder):
        if entry.is_dir():
            yield from _files_below(entry, (*inside, real))
        else:
            yield entry


def _has_picture_suffix(path: Path) -> bool:
    # Pictures of other formats go on to the decoder, which names and refuses them: they were meant as data.
    return path.suffix.lower() in PICTURE_SUFFIXES | OTHER_PICTURE_SUFFIXES


def _is_picture_file(path: Path) -> bool:
    return not path.is_dir() and _has_picture_suffix(path)
