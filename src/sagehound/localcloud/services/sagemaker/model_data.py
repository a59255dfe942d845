"""The models that endpoints serve: fetched from S3 and unpacked once per content, shared by all their instances."""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
import uuid
from collections.abc import Collection
from pathlib import Path

from sagehound.localcloud.container import serving
from sagehound.localcloud.services.sagemaker.needs import Objects

_HTTPS = re.compile(r"https://s3[.-](?:[a-z0-9-]+\.)?amazonaws\.com(?:\.cn)?/([^/]+)/(.+)")
_HTTPS_BUCKET = re.compile(r"https://([^/]+?)\.s3(?:[.-][a-z0-9-]+)?\.amazonaws\.com(?:\.cn)?/(.+)")


def location(url: str) -> tuple[str, str]:
    """Bucket and key of a ModelDataUrl, s3:// or https://; ValueError when it is neither."""
    if url.startswith("s3://"):
        bucket, _, key = url.removeprefix("s3://").partition("/")
        if bucket and key:
            return bucket, key
    for pattern in (_HTTPS, _HTTPS_BUCKET):
        if match := pattern.fullmatch(url):
            return match[1], match[2]
    raise ValueError(f"not the S3 address of an object: {url!r}")


class ModelData:
    """Unpacked model.tar.gz files below one folder, each under the digest of its archive."""

    def __init__(self, folder: Path, objects: Objects) -> None:
        self._folder = folder
        self._objects = objects

    def path(self, digest: str) -> Path:
        """Where the files of a model lie."""
        return self._folder / digest

    async def fetch(self, url: str) -> str:
        """The digest of the model.tar.gz at `url`, whose files are then there; ModelDataError says what is wrong."""
        return await asyncio.to_thread(self._fetch, url)

    def prune(self, in_use: Collection[str]) -> None:
        """Delete the models that no endpoint uses, and what an interrupted fetch left. Blocking."""
        if self._folder.is_dir():
            for entry in self._folder.iterdir():
                if entry.name not in in_use:
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def _fetch(self, url: str) -> str:
        self._folder.mkdir(parents=True, exist_ok=True)
        scratch = self._folder / f"fetching-{uuid.uuid4().hex}"
        archive = scratch / "model.tar.gz"
        scratch.mkdir()
        try:
            bucket, key = location(url)
            try:
                self._objects.link_objects(bucket, [(key, archive)])
            except KeyError as error:
                raise serving.ModelDataError(f"Could not find model data at {url}.") from error
            with archive.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if not self.path(digest).exists():
                unpacked = scratch / "unpacked"
                unpacked.mkdir()
                serving.unpack_model(archive, unpacked)
                serving.make_read_only(unpacked)
                try:
                    unpacked.rename(self.path(digest))
                except OSError:
                    if not self.path(digest).exists():  # otherwise another fetch of the same content was first
                        raise
            return digest
        finally:
            shutil.rmtree(scratch)
