"""Deployment packages on disk: each kept once by its digest, and unpacked once into a folder that functions share."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import shutil
import threading
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sagehound.localcloud.services.lambda_ import unzip


@dataclass(frozen=True, slots=True)
class Package:
    """A package that is kept: what records say of it."""

    CodeSha256: str
    CodeSize: int
    UnzippedSize: int


class Packages:
    """The packages of functions and layers. A file is there before the record that names it, and without one it goes
    at the next start."""

    def __init__(self, root: Path, *, durable: bool = False) -> None:
        self._zips = root / "packages"
        self._folders = root / "unpacked"
        self._work = root / "unpacking"
        self._durable = durable
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        for folder in (self._zips, self._folders, self._work):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def keep(self, data: bytes) -> Package:
        """Keep a package that looks sound; BadPackage. Blocking."""
        size = unzip.inspect(data)
        digest = hashlib.sha256(data)
        path = self.zip_named(digest.hexdigest())
        if not path.exists():
            temporary = self._work / uuid.uuid4().hex
            with temporary.open("xb") as file:
                file.write(data)
                if self._durable:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.replace(path)
            if self._durable:
                _flush_folder(self._zips)
        return Package(base64.b64encode(digest.digest()).decode(), len(data), size)

    def zip_of(self, code_sha256: str) -> Path:
        """The file of a package."""
        return self.zip_named(_hex(code_sha256))

    def zip_named(self, digest: str) -> Path:
        """The file of a package by its hexadecimal digest."""
        return self._zips / f"{digest}.zip"

    def folder_of(self, code_sha256: str) -> Path:
        """Where a package is unpacked, once `unpack` has done it."""
        return self._folders / _hex(code_sha256)

    def unpack(self, code_sha256: str) -> None:
        """Unpack a package unless it is: the folder is there whole or not at all. BadPackage. Blocking."""
        with self._lock:
            lock = self._locks.setdefault(code_sha256, threading.Lock())
        folder = self.folder_of(code_sha256)
        with lock:
            if folder.exists():
                return
            temporary = self._work / uuid.uuid4().hex
            try:
                unzip.unpack(self.zip_of(code_sha256), temporary)
                temporary.rename(folder)
            except BaseException:
                _remove(temporary)
                raise

    def prune(self, named: Iterable[str]) -> None:
        """Remove what no record names, and what a death left half done. Blocking."""
        kept = {_hex(code_sha256) for code_sha256 in named}
        for leftover in self._work.iterdir():
            _remove(leftover)
        for path in self._zips.iterdir():
            if path.stem not in kept:
                path.unlink()
        for folder in self._folders.iterdir():
            if folder.name not in kept:
                _remove(folder)


def _hex(code_sha256: str) -> str:
    return base64.b64decode(code_sha256).hex()


def _flush_folder(folder: Path) -> None:
    """A file's name is safe from a power cut when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
