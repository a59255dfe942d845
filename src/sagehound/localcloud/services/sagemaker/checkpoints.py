"""Checkpoints of a training job: brought from S3 before it starts, kept in step with S3 while it runs."""

from __future__ import annotations

import hashlib
import shutil
import threading
from pathlib import Path
from typing import Any

from sagehound.localcloud.errors import AwsError, validation
from sagehound.localcloud.services.sagemaker import channels
from sagehound.localcloud.services.sagemaker.needs import Objects

DEFAULT_PATH = "/opt/ml/checkpoints"
SYNC_SECONDS = 2.0


def check(config: dict[str, Any] | None) -> None:
    """Refuse a LocalPath that is not below /opt/ml: only that folder is a job's own here."""
    if config is None:
        return
    channels.location(config["S3Uri"])
    path = config.get("LocalPath", DEFAULT_PATH)
    if not path.startswith("/opt/ml/") or ".." in path.split("/"):
        raise validation(f"CheckpointConfig.LocalPath {path!r} must be below /opt/ml in the local cloud.")


class Checkpoints:
    """The checkpoint folder of one host, and its place in S3."""

    def __init__(self, config: dict[str, Any], ml: Path, objects: Objects) -> None:
        self._place = channels.location(config["S3Uri"].rstrip("/"))
        self._folder = ml / config.get("LocalPath", DEFAULT_PATH).removeprefix("/opt/ml/")
        self._objects = objects
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[int, int]] = {}
        self._stored: dict[str, bytes] = {}

    def bring(self) -> None:
        """Copy what S3 has into the folder: copies, since programs write over their checkpoints. Blocking."""
        self._folder.mkdir(parents=True, exist_ok=True)
        bucket, prefix = self._place
        for key in self._objects.list_keys(bucket, f"{prefix}/" if prefix else ""):
            name = key.removeprefix(prefix).lstrip("/")
            if not name or name.endswith("/"):
                continue
            link, target = self._folder / ".from-s3", self._folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            self._objects.link_objects(bucket, [(key, link)])
            shutil.copyfile(link, target)
            link.unlink()
            self._stored[name] = _digest(target)

    def store(self, *, last: bool = False) -> None:
        """Upload the files whose content is new. Blocking.

        A file that has changed since the look before is still being written, so it waits for the next look, unless
        this is the last one.
        """
        with self._lock:
            for path in sorted(self._folder.rglob("*")):
                try:
                    self._look(path, last)
                except FileNotFoundError:
                    continue  # renamed or deleted since it was listed

    def _look(self, path: Path, last: bool) -> None:
        if not path.is_file():
            return
        name, facts = path.relative_to(self._folder).as_posix(), path.stat()
        state = (facts.st_size, facts.st_mtime_ns)
        settled = self._seen.get(name) == state
        self._seen[name] = state
        if last or settled:
            self._upload(name, path)

    def _upload(self, name: str, path: Path) -> None:
        digest = _digest(path)
        if self._stored.get(name) == digest:
            return
        bucket, prefix = self._place
        self._objects.put_file(bucket, f"{prefix}/{name}" if prefix else name, path)
        self._stored[name] = digest


def problem(error: Exception) -> str:
    """FailureReason when checkpoints can be neither read nor written."""
    said = f"{error.code}: {error.message}" if isinstance(error, AwsError) else str(error)
    return f"ClientError: The checkpoints cannot be stored in S3 ({said})"


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()
