"""The checked data set: which local file becomes which key, without copying a picture.

A manifest maps `SPLIT/CLASS/NAME` to the file that holds it, with the hashes that the upload compares
(MD5 is what S3 calls the ETag of a plain object) and that name the data set (SHA-256).
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class ManifestEntry:
    """One picture: its key below the data set's prefix, the local file, and what the file holds."""

    key: str
    path: Path
    size: int
    sha256: str
    md5: str

    @property
    def split(self) -> str:
        """train, valid or test."""
        return self.key.split("/", 2)[0]

    @property
    def label(self) -> str:
        """The name of the class, which is the name of its folder."""
        return self.key.split("/", 2)[1]


@dataclass(frozen=True)
class DataManifest:
    """A data set that was checked: every picture decodes, every class is trained on, splits do not overlap."""

    name: str
    pictures: tuple[ManifestEntry, ...]

    @cached_property
    def digest(self) -> str:
        """SHA-256 over every key and its content: two equal digests are the same data set."""
        digest = hashlib.sha256()
        for picture in sorted(self.pictures, key=lambda entry: entry.key):
            digest.update(f"{picture.key}\0{picture.sha256}\n".encode())
        return digest.hexdigest()

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The class names, sorted."""
        return tuple(sorted({picture.label for picture in self.pictures}))

    @cached_property
    def counts(self) -> dict[str, int]:
        """Pictures per split."""
        found = Counter(picture.split for picture in self.pictures)
        return {split: found.get(split, 0) for split in SPLITS}

    @property
    def size(self) -> int:
        """Bytes of all pictures."""
        return sum(picture.size for picture in self.pictures)

    def describe(self) -> str:
        """One phrase: how many pictures, classes, and pictures per split."""
        splits = "/".join(f"{self.counts[split]:,}" for split in SPLITS)
        return f"{len(self.pictures):,} pictures of {len(self.classes)} classes (train/valid/test {splits})"

    def as_json(self) -> str:
        """The record that is stored beside the data in the bucket: everything but the local paths."""
        record = {
            "name": self.name,
            "digest": self.digest,
            "classes": self.classes,
            "counts": self.counts,
            "pictures": {picture.key: picture.sha256 for picture in self.pictures},
        }
        return json.dumps(record, ensure_ascii=False, sort_keys=True)
