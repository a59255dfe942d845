"""A zip of pictures, unpacked into the cache folder once, and only where every member is harmless.

Refused before a byte is written: absolute names and `..`, links and devices, encrypted members, two members
that are one file, members whose data overlap (the "better zip bomb"), and archives that unpack to more than
the settings allow. While unpacking, a member may not give more bytes than its entry declares.
"""

from __future__ import annotations

import hashlib
import lzma
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sagehound.errors import DataRefused
from sagehound.pipeline.intake.cache_lock import cache_lock
from sagehound.pipeline.intake.safe_names import UnsafeName, is_noise, safe_relative_path, same_file_key

_CHUNK = 1 << 20
_LOCAL_HEADER_BYTES = 30
# AES and the rarely used methods are not in Python's zipfile: name them instead of failing half-way.
_DISK_HINT = "Free some space, or set SAGEHOUND_CACHE_DIR to a folder on a larger disk."
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive may unpack to: bytes, members, and bytes per byte of the archive."""

    max_bytes: int
    max_files: int
    max_ratio: float


def unpack(archive: Path, cache: Path, limits: ArchiveLimits, progress: Callable[[int, int], None]) -> Path:
    """The folder that holds the archive's files; unpacked by an earlier run or now. Raises DataRefused."""
    try:
        with archive.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise DataRefused(
            f"{archive} cannot be read: {error.strerror}", "Check the path and its permissions."
        ) from error
    folder = cache / "archives" / digest[:32]
    with cache_lock(folder):
        if folder.is_dir():
            return folder
        # The folder gets its name when it is whole: an interrupted run leaves nothing that looks finished.
        with tempfile.TemporaryDirectory(prefix="unpacking-", dir=folder.parent) as scratch:
            try:
                with zipfile.ZipFile(archive) as opened:
                    members = _members(opened, archive, limits)
                    _refuse_full_disk(members, archive, folder.parent)
                    _extract(opened, members, Path(scratch) / "files", progress)
            except (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, EOFError) as error:
                raise _refused(archive, f"is damaged: {error}") from error
            except OSError as error:
                raise DataRefused(f"{archive.name} cannot be unpacked: {error}", _DISK_HINT) from error
            (Path(scratch) / "files").rename(folder)
    return folder


Member = tuple[zipfile.ZipInfo, PurePosixPath]


def _members(opened: zipfile.ZipFile, archive: Path, limits: ArchiveLimits) -> list[Member]:
    """The members to unpack, after every check that needs no data."""
    infos = opened.infolist()
    if len(infos) > limits.max_files:
        raise _refused(archive, f"has {len(infos):,} members, more than data.max_archive_files")
    total = sum(info.file_size for info in infos)
    if total > limits.max_bytes:
        raise _refused(archive, f"unpacks to {total / 1e9:,.2f} GB, more than data.max_archive_gb")
    packed = archive.stat().st_size
    if total > limits.max_ratio * packed:
        raise _refused(archive, f"unpacks to {total / packed:,.0f} times its size, more than data.max_archive_ratio")
    _refuse_overlaps(infos, archive)
    members: list[Member] = []
    taken: dict[str, str] = {}
    for info in infos:
        member = _checked(info, archive)
        if member is None:
            continue
        other = taken.setdefault(same_file_key(member), info.filename)
        if other is not info.filename:
            raise _refused(archive, f"holds two members that are one file: {other!r} and {info.filename!r}")
        members.append((info, member))
    return members


def _checked(info: zipfile.ZipInfo, archive: Path) -> PurePosixPath | None:
    """Where one member goes, or None for folders and noise; raises DataRefused for a dangerous one."""
    # `filename` was cleaned by zipfile (cut at NUL, separators replaced); `orig_filename` is what the archive says.
    if info.is_dir() and info.orig_filename.strip("/") in ("", "."):
        return None
    try:
        path = safe_relative_path(info.orig_filename)
    except UnsafeName as error:
        raise _refused(archive, f"is not safe to unpack: member {info.orig_filename!r} {error}") from error
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        what = "a symbolic link" if kind == stat.S_IFLNK else "no plain file"
        raise _refused(archive, f"is not safe to unpack: member {info.orig_filename!r} is {what}")
    if info.is_dir() or is_noise(path):
        return None
    if info.flag_bits & 0x1:
        raise _refused(archive, f"is encrypted (member {info.orig_filename!r})")
    if info.compress_type not in _METHODS:
        raise _refused(archive, f"uses a compression that is not supported (member {info.orig_filename!r})")
    return path


def _refuse_overlaps(infos: list[zipfile.ZipInfo], archive: Path) -> None:
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise _refused(archive, f"is not safe to unpack: member {info.orig_filename!r} overlaps another")
        end = info.header_offset + _LOCAL_HEADER_BYTES + info.compress_size


def _extract(
    opened: zipfile.ZipFile, members: list[Member], folder: Path, progress: Callable[[int, int], None]
) -> None:
    total, done = sum(info.file_size for info, _ in members), 0
    folder.mkdir()
    for info, path in members:
        target = folder.joinpath(*path.parts)
        written = 0
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with opened.open(info) as source, target.open("xb") as sink:
                while chunk := source.read(_CHUNK):
                    written += len(chunk)
                    if written > info.file_size:
                        raise zipfile.BadZipFile(f"member {info.filename!r} is longer than its entry says")
                    sink.write(chunk)
        except (FileExistsError, NotADirectoryError) as error:
            raise zipfile.BadZipFile(f"member {info.filename!r} is both a file and a folder") from error
        if written != info.file_size:
            raise zipfile.BadZipFile(f"member {info.filename!r} is shorter than its entry says")
        done += written
        progress(done, total)


def _refuse_full_disk(members: list[Member], archive: Path, folder: Path) -> None:
    total, free = sum(info.file_size for info, _ in members), shutil.disk_usage(folder).free
    if total > free:
        cause = (
            f"{archive.name} unpacks to {total / 1e9:,.2f} GB and the disk of {folder} has {free / 1e9:,.2f} GB free"
        )
        raise DataRefused(cause, _DISK_HINT)


def _refused(archive: Path, what: str) -> DataRefused:
    return DataRefused(f"{archive.name} {what}", "Unpack it yourself, look at it, and give the folder instead.")
