"""What the GPU benchmarks share: their pictures, a clock, and how they tell a figure"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from sagehound.classifier.dataset import Picture, Split, class_names, read_split, split_folders

COUNT = {"train": 6720, "validation": 840, "test": 840}
"""Pictures by split of the data set that the figures are about."""


def tell(line: str) -> None:
    """Print a line that belongs to the results."""
    print(f"| {line}", flush=True)


def arguments(description: str | None) -> Path:
    """The folder with the pictures."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, required=True)
    folder: Path = parser.parse_args().data
    return folder


@contextmanager
def pictures(folder: Path) -> Iterator[Path]:
    """A folder with as many pictures a split as COUNT says: repeated, as hard links, where there are fewer."""
    found = split_folders(folder)
    classes = class_names(found["train"])
    splits = {name: read_split(name, place, classes) for name, place in found.items() if name in COUNT}
    if all(len(splits[name].pictures) >= count for name, count in COUNT.items()):
        tell(f"{sum(len(split.pictures) for split in splits.values()):,} pictures, none repeated")
        yield folder
        return
    own = sum(len(split.pictures) for split in splits.values())
    tell(f"{own:,} pictures, repeated under other names to {sum(COUNT.values()):,}")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="repeated-") as place:
        for name, split in splits.items():
            for number in range(COUNT[name]):
                picture = split.pictures[number % len(split.pictures)]
                path = Path(place) / name / Path(picture.name).parent / f"{number}-{Path(picture.name).name}"
                path.parent.mkdir(parents=True, exist_ok=True)
                os.link(picture.path, path)
        yield Path(place)


def split_of(folder: Path, name: str) -> Split:
    """One split of a folder."""
    found = split_folders(folder)
    return read_split(name, found[name], class_names(found["train"]))


def all_pictures(folder: Path) -> list[Picture]:
    """All pictures of a folder: the training split first."""
    return [picture for name in COUNT for picture in split_of(folder, name).pictures]


def seconds(work: Callable[[], object], times: int = 10, before: int = 3) -> float:
    """Seconds of one call on the GPU, on average, after some calls to warm up."""
    for _ in range(before):
        work()
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(times):
        work()
    torch.cuda.synchronize()
    return (time.perf_counter() - started) / times
