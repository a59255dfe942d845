"""Checkpoints of a training job: brought from S3 before it starts, kept in step with S3 while it runs."""

from __future__ import annotations

import hashlib
import shutil
import threading
from pathlib import Path
from typing import Any

from sagehound.localcloud.errors import AwsError, validation
from sagehound.localcloud.services.sagemaker import channels, job_files
from sagehound.localcloud.services.sagemaker.needs import Objects
from sagehound.localcloud.services.sagemaker.role_actions import RoleActions

DEFAULT_PATH = "/opt/ml/checkpoints"
SYNC_SECONDS = 2.0


def check(config: dict[str, Any] | None, member: str = "CheckpointConfig") -> None:
    """Refuse a LocalPath that is not below /opt/ml: only that folder is a job's own here."""
    if config is None:
        return
    channels.location(config["S3Uri"])
    path = config.get("LocalPath", DEFAULT_PATH)
    if not path.startswith("/opt/ml/") or ".." in path.split("/"):
        raise validation(f"{member}.LocalPath {path!r} must be below /opt/ml in the local cloud.")


class Checkpoints:
    """The checkpoint folder of one host, and its place in S3."""

    def __init__(
        self, config: dict[str, Any], ml: Path, objects: Objects, role: RoleActions, what: str = "checkpoints"
    ) -> None:
        self._what = what
        self._place = channels.location(config["S3Uri"].rstrip("/"))
        self._ml = ml
        self._below = config.get("LocalPath", DEFAULT_PATH).removeprefix("/opt/ml/").strip("/")
        self._folder = ml / self._below
        self._objects = objects
        self._role = role
        self._denied: AwsError | None = None
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[int, int]] = {}
        self._stored: dict[str, bytes] = {}

    def bring(self) -> None:
        """Copy what S3 has into the folder: copies, since programs write over their checkpoints. Blocking.

        DataError when it cannot be brought: the bucket is missing, or keys cannot be files of the folder.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        bucket, prefix = self._place
        below = f"{prefix}/" if prefix else ""
        try:
            denied = self._role.lists(bucket, below)
            if denied is not None:
                raise AwsError("AccessDenied", denied, 403)
            keys = [key for key in self._objects.list_keys(bucket, below) if not key.endswith("/")]
            refusal = self._role.reads(bucket, keys)
            if refusal is not None:
                raise AwsError("AccessDenied", refusal.sentence, 403)
            for key in keys:
                self._copy(bucket, key, channels.plain_name(key, key.removeprefix(prefix)))
        except (AwsError, OSError) as error:
            raise channels.DataError(self._problem("brought from", error)) from error

    def _copy(self, bucket: str, key: str, name: str) -> None:
        link, target = self._folder.parent / ".from-s3", self._folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._objects.link_objects(bucket, [(key, link)])
        except KeyError:
            return  # deleted since it was listed
        shutil.copyfile(link, target)
        link.unlink()
        self._stored[name] = _digest(target)

    def store(self, *, last: bool = False) -> None:
        """Upload the files whose content is new. Blocking.

        A file that has changed since the look before is still being written, so it waits for the next look, unless
        this is the last one. DataError when a file cannot be stored, after all others. Where the role was not allowed
        to store one, nothing is tried again before the last look.
        """
        if self._denied is not None and not last:
            raise channels.DataError(self._problem("stored in", self._denied)) from self._denied
        problems: list[AwsError | OSError | ValueError] = []
        with self._lock:
            for name, path in sorted(job_files.leaves(self._ml, self._below)):
                try:
                    self._look(name, path, last)
                except FileNotFoundError:
                    continue  # renamed or deleted since it was listed
                except (AwsError, OSError, ValueError) as error:
                    problems.append(error)  # one file that cannot be stored keeps no other back
        if problems:
            raise channels.DataError(self._problem("stored in", problems[0])) from problems[0]

    def _look(self, name: str, listed: Path, last: bool) -> None:
        path = job_files.regular(self._ml, listed)
        if path is None:
            return
        facts = path.stat()
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
        key = f"{prefix}/{name}" if prefix else name
        refusal = self._role.writes(bucket, [key])
        if refusal is not None:
            self._denied = AwsError("AccessDenied", refusal.sentence, 403)
            raise self._denied
        self._objects.put_file(bucket, key, path)
        self._stored[name] = digest

    def _problem(self, done: str, error: Exception) -> str:
        """FailureReason when the folder can be neither read nor written."""
        said = f"{error.code}: {error.message}" if isinstance(error, AwsError) else str(error)
        return f"ClientError: The {self._what} cannot be {done} S3 ({said})"


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()
