"""The frozen backbone runs once: pictures become feature arrays, kept on disk so that nothing is done twice.

The rows are found in parts of some hundred pictures. Each part is written as soon as it is there, so a job that is
killed and started again goes on where it was. With several hosts each does its share and all get the whole.
"""

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from sagehound.classifier.dataset import Picture, Split

PART = 512
"""Pictures a part: about 3 s of work lost at most on two cores."""

T = TypeVar("T")


class Extractor(Protocol):
    """Turns pictures into features."""

    @property
    def identity(self) -> str:
        """Names backbone, weights and preprocessing: other features have another identity."""

    def rows(self, pictures: Sequence[Picture]) -> NDArray[np.float32]:
        """Features [len(pictures), feature_count]. Raises UnreadablePicture naming the file."""


class Hosts(Protocol):
    """The hosts that share the work."""

    @property
    def rank(self) -> int: ...

    @property
    def world(self) -> int: ...

    def gather(self, value: Any) -> list[Any]: ...


@dataclass(frozen=True)
class FeatureSet:
    """The features of one split, in the order of the pictures' names."""

    names: tuple[str, ...]
    labels: NDArray[np.int64]
    features: NDArray[np.float32]
    """[pictures, feature_count] of the pictures as they are served."""
    other_views: tuple[NDArray[np.float32], ...] = ()
    """The same of the pictures' other views (augment.py), for training."""

    @property
    def views(self) -> int:
        """How many views there are of each picture."""
        return 1 + len(self.other_views)

    def fingerprint(self) -> str:
        """A hash over names, labels and features."""
        digest = hashlib.blake2b("\0".join(self.names).encode(), digest_size=16)
        for values in (self.labels, self.features, *self.other_views):
            digest.update(np.ascontiguousarray(values).data)
        return digest.hexdigest()


def extract_views(
    split: Split, views: int, extractor: Extractor, hosts: Hosts, cache: Path | None, say: Callable[[str], None]
) -> FeatureSet:
    """The features of `views` views of each picture of a split; the first is the picture as it is served."""
    served = extract(split, extractor, hosts, cache, say)
    others = []
    for view in range(1, views):
        seen_so = Split(split.name, tuple(replace(picture, view=view) for picture in split.pictures))
        others.append(extract(seen_so, extractor, hosts, cache, say).features)
    return replace(served, other_views=tuple(others))


def extract(
    split: Split, extractor: Extractor, hosts: Hosts, cache: Path | None, say: Callable[[str], None]
) -> FeatureSet:
    """The features of a split, from the cache as far as they are there.

    Hosts with the same pictures share them out; hosts with pictures of their own (a channel sharded by key) do those.
    """
    mine = _my_share(split.pictures, hosts)
    folder = None
    if cache is not None:
        key = hashlib.blake2b(extractor.identity.encode(), digest_size=16)
        key.update(Split(split.name, tuple(mine)).fingerprint().encode())
        folder = cache / f"{split.name}-{key.hexdigest()}"
        folder.mkdir(parents=True, exist_ok=True)
    view = f", view {mine[0].view}" if mine and mine[0].view else ""
    rows = _rows_by_part(f"{split.name}{view}", mine, extractor, folder, say)
    shares = hosts.gather(([p.name for p in mine], [p.label for p in mine], rows))
    by_name = {
        name: (label, row)
        for names, labels, features in shares
        for name, label, row in zip(names, labels, features, strict=True)
    }
    names = tuple(sorted(by_name))
    labels = np.array([by_name[name][0] for name in names], dtype=np.int64)
    return FeatureSet(names, labels, np.stack([by_name[name][1] for name in names]))


def _my_share(pictures: tuple[Picture, ...], hosts: Hosts) -> list[Picture]:
    listings = hosts.gather(hashlib.blake2b("\0".join(p.name for p in pictures).encode()).hexdigest())
    if len(set(listings)) == 1:
        return list(pictures[hosts.rank :: hosts.world])
    return list(pictures)


def _rows_by_part(
    name: str, pictures: list[Picture], extractor: Extractor, folder: Path | None, say: Callable[[str], None]
) -> NDArray[np.float32]:
    parts: list[NDArray[np.float32]] = []
    started, computed = time.perf_counter(), 0
    # A GPU's extractor has larger parts: between two of them it would run dry.
    size = int(getattr(extractor, "part", PART))
    for start in range(0, len(pictures), size):
        chunk = pictures[start : start + size]
        path = folder / f"part-{start:08d}.npy" if folder else None
        if path and path.exists():
            parts.append(np.load(path, allow_pickle=False))
            continue
        part = extractor.rows(chunk)
        if path:
            temporary = path.with_name(f".{path.stem}.{os.getpid()}.npy")
            np.save(temporary, part)
            os.replace(temporary, path)
        parts.append(part)
        computed += len(chunk)
        rate = computed / (time.perf_counter() - started)
        say(f"features of {name}: {start + len(chunk)}/{len(pictures)} pictures, {rate:.1f} pictures a second")
    if pictures and computed < len(pictures):
        say(f"features of {name}: {len(pictures) - computed} of {len(pictures)} pictures were already there")
    return np.concatenate(parts) if parts else np.zeros((0, 0), dtype=np.float32)
