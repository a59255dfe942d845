"""`--data`: a folder, a zip, an address or an s3:// prefix becomes a checked data set.

The order is: bring it here, read the layout, decode every picture once, split, look for the same picture in two
splits, name everything that was left out. Nothing is copied: the manifest points at the files where they lie.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sagehound.errors import DataRefused
from sagehound.pipeline.aws_errors import aws_step
from sagehound.pipeline.intake.archive import ArchiveLimits, unpack
from sagehound.pipeline.intake.checked import checked_manifest
from sagehound.pipeline.intake.download import download
from sagehound.pipeline.intake.layout import find_pictures
from sagehound.pipeline.intake.manifest import DataManifest
from sagehound.pipeline.intake.mirror import mirror_prefix
from sagehound.pipeline.progress import Reporter
from sagehound.settings import DataSettings


def take_in(source: str, settings: DataSettings, cache: Path, reporter: Reporter, s3: Any = None) -> DataManifest:
    """The checked data set behind ``source``; ``s3`` is a boto3 client, needed for s3:// only.

    Raises DataRefused (with the names of the files) where the pictures cannot be trained on as they are.
    """
    folder = _local(source, settings, cache, reporter, s3)
    if folder.is_file():
        limits = ArchiveLimits(
            max_bytes=int(settings.max_archive_gb * 1e9),
            max_files=settings.max_archive_files,
            max_ratio=settings.max_archive_ratio,
        )
        folder = unpack(folder, cache, limits, lambda done, total: reporter.progress("unpack", done, total, "B"))
    layout = find_pictures(folder)
    return checked_manifest(settings.name or data_name(source), layout, settings, cache, reporter)


def data_name(source: str) -> str:
    """The data set's name in the bucket, from the last part of what was given: dogImages.zip -> dogImages."""
    path = urlsplit(source).path if re.match(r"^[a-z0-9]+://", source) else str(Path(source).absolute())
    last = Path(unquote(path)).name or urlsplit(source).netloc or "data"
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", re.sub(r"\.zip$", "", last, flags=re.IGNORECASE)).strip("-.")
    return name[:64] or "data"


def _local(source: str, settings: DataSettings, cache: Path, reporter: Reporter, s3: Any) -> Path:
    if source.startswith("s3://"):
        with aws_step("data"):
            return mirror_prefix(
                s3, source, cache, lambda done, total: reporter.progress("fetch", done, total, "objects")
            )
    if "://" in source:
        maximum = int(settings.max_download_gb * 1e9)
        return _a_zip(
            download(
                source,
                cache,
                maximum,
                lambda done, total: reporter.progress("download", done, total, "B"),
                reporter.note,
            )
        )
    path = Path(source).expanduser()
    if path.is_dir():
        return path
    if not path.exists():
        raise DataRefused(f"{source} does not exist", "Give a folder, a zip, an http(s) address or s3://BUCKET/PREFIX.")
    return _a_zip(path)


def _a_zip(path: Path) -> Path:
    with path.open("rb") as handle:
        start = handle.read(4)
    if start[:2] != b"PK":
        raise DataRefused(
            f"{path.name} is neither a folder nor a zip archive", "Give a folder, a zip, or an address of a zip."
        )
    return path
