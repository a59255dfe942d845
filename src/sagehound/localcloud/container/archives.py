"""Unpacking archives that strangers have made: nothing lands outside the folder, whatever the members are called."""

from __future__ import annotations

import lzma
import os
import tarfile
import zlib
from pathlib import Path

BROKEN = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError)
"""What reading a damaged or dangerous archive raises."""
_BLOCK = 1 << 20


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar archive, plain or compressed; one of BROKEN when it is damaged or a member would leave `folder`.

    A member that stands for the folder itself (the SageMaker SDK's repacked archives have one named "") is passed over.
    """
    with tarfile.open(archive) as tar:
        members = (member for member in tar if member.name.strip("/") not in ("", "."))
        if hasattr(tarfile, "data_filter"):
            tar.extractall(folder, members, filter="data")
        else:  # Python before 3.11.4, as Debian 12 has it
            for member in members:
                tar.extract(_checked(member, folder.resolve()), folder, set_attrs=not member.issym())
        # The compression's own checksum lies behind the last member: without it damage would go unnoticed.
        assert tar.fileobj is not None
        while tar.fileobj.read(_BLOCK):
            pass


def _checked(member: tarfile.TarInfo, folder: Path) -> tarfile.TarInfo:
    """The member as tarfile.data_filter would give it: inside, plain, and the caller's own."""
    member.name = member.name.lstrip("/" + os.sep)
    _check_inside(folder / member.name, folder, member)
    if member.issym() or member.islnk():
        if os.path.isabs(member.linkname):
            raise tarfile.TarError(f"{member.name!r} is a link to an absolute path")
        _check_inside((folder / member.name).parent / member.linkname if member.issym() else folder / member.linkname,
                      folder, member)  # fmt: skip
    elif not (member.isreg() or member.isdir()):
        raise tarfile.TarError(f"{member.name!r} is a special file")
    member.uid, member.gid, member.uname, member.gname = os.getuid(), os.getgid(), "", ""
    member.mode = (member.mode & 0o755) | (0o700 if member.isdir() else 0o600)
    return member


def _check_inside(path: Path, folder: Path, member: tarfile.TarInfo) -> None:
    # Links that earlier members have made are followed, since extraction would follow them too.
    if not Path(os.path.realpath(path)).is_relative_to(folder):
        raise tarfile.TarError(f"{member.name!r} would be extracted to {path}, which is outside the destination")
