"""Names that come from outside (archive members, object keys) as relative paths that stay inside a folder."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE = re.compile(r"^[A-Za-z]:")


class UnsafeName(ValueError):
    """The name would leave the folder, or cannot be a file name; the message says which."""


def safe_relative_path(name: str) -> PurePosixPath:
    """``name`` as a relative path without `.` and empty parts; raises UnsafeName for anything that could escape."""
    if _CONTROL.search(name):
        raise UnsafeName("holds a control character")
    # A backslash is a letter on Linux and a separator elsewhere: an archive must not mean two things.
    if "\\" in name:
        raise UnsafeName("holds a backslash")
    if name.startswith("/") or _DRIVE.match(name):
        raise UnsafeName("is an absolute path")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise UnsafeName("holds '..'")
    if not parts:
        raise UnsafeName("is empty")
    if any(len(part.encode("utf-8", "surrogateescape")) > 255 for part in parts):
        raise UnsafeName("holds a part longer than 255 bytes")
    return PurePosixPath(*parts)


def same_file_key(path: PurePosixPath) -> str:
    """Equal for names that are one file on a file system that folds case or composes letters."""
    return unicodedata.normalize("NFC", str(path)).casefold()


def is_noise(path: PurePosixPath) -> bool:
    """Hidden files and what macOS puts beside the real ones."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
