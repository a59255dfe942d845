"""Unpacking deployment packages that strangers have made: within the folder, within the limit, links included."""

from __future__ import annotations

import io
import lzma
import os
import stat
import zipfile
import zlib
from pathlib import Path

MAX_UNZIPPED = 262_144_000
"""Bytes of a function's code with its layers, unpacked: AWS's 250 MB."""
_MAX_MEMBERS = 200_000
_BLOCK = 1 << 20
_LONGEST_PATH = 4096
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OSError,
)
"""What reading a damaged package raises: an unknown compression, a password, a name that no file can have."""


class BadPackage(Exception):
    """Why a package is refused, in AWS's words where it has them."""


def inspect(data: bytes) -> int:
    """The size that a package says it unpacks to, having looked at the names of its members; BadPackage.

    Unpacking holds each member to the size that is said here, so that a bomb does not go off later.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            members = package.infolist()
    except _BROKEN as reason:
        raise BadPackage("Could not unzip uploaded file. Please check your file, then try to upload again.") from reason
    if len(members) > _MAX_MEMBERS:
        raise BadPackage(f"The package has {len(members)} members; more than {_MAX_MEMBERS} are not taken.")
    for member in members:
        _check_name(member.filename)
    size = sum(member.file_size for member in members)
    if size > MAX_UNZIPPED:
        raise BadPackage(f"Unzipped size must be smaller than {MAX_UNZIPPED} bytes")
    return size


def unpack(package: Path, folder: Path) -> None:
    """Unpack into `folder`, which must be new. BadPackage when a member is not what it says.

    Files are read-only; folders are not, so that a data directory can be removed as any other (a function sees all of
    it read-only). Links are made last and may only lead to places inside the folder.
    """
    folder.mkdir(mode=0o755)
    links: list[tuple[str, str]] = []
    try:
        with zipfile.ZipFile(package) as archive:
            for member in archive.infolist():
                _check_name(member.filename)
                mode = member.external_attr >> 16
                if stat.S_ISLNK(mode):
                    if member.file_size > _LONGEST_PATH:
                        raise BadPackage(f"The member {member.filename!r} of the package is no link.")
                    links.append((member.filename, os.fsdecode(archive.read(member))))
                elif not member.is_dir():
                    _write(archive, member, folder / member.filename, 0o555 if mode & 0o111 else 0o444)
                else:
                    (folder / member.filename).mkdir(parents=True, exist_ok=True)
        for name, target in links:
            _link(folder, name, target)
        _check_links(folder, [name for name, _ in links])
    except _BROKEN as reason:
        raise BadPackage(f"Lambda could not unzip the deployment package: {_told(reason)}") from reason


def _told(reason: Exception) -> str:
    """An error of the system without the folders of this machine, which are no business of the package's owner."""
    return reason.strerror or type(reason).__name__ if isinstance(reason, OSError) else str(reason)


def _check_name(name: str) -> None:
    parts = name.rstrip("/").split("/")
    if any(part in ("", "..") for part in parts):
        raise BadPackage(f"The member {name!r} of the package does not stay within it.")


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name that comes twice: the last one counts, as unzip has it.
    path.unlink(missing_ok=True)
    with archive.open(member) as source, path.open("xb") as target:
        while block := source.read(_BLOCK):
            target.write(block)
    path.chmod(mode)


def _link(folder: Path, name: str, target: str) -> None:
    path = folder / name
    if not Path(os.path.realpath(path.parent)).is_relative_to(os.path.realpath(folder)):
        raise BadPackage(f"The member {name!r} of the package does not stay within it.")
    path.parent.mkdir(parents=True, exist_ok=True)
    os.symlink(target, path)


def _check_links(folder: Path, names: list[str]) -> None:
    """Followed when all of them are there: a link may change where another one leads."""
    root = Path(os.path.realpath(folder))
    for name in names:
        leads_to = os.path.realpath(folder / name)
        if os.path.isabs(os.readlink(folder / name)) or not Path(leads_to).is_relative_to(root):
            raise BadPackage(f"The member {name!r} of the package is a link that leads out of it.")
