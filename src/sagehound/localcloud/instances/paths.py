"""Paths of an instance's disk as the instance itself would follow them: no link that it has made leads out of the disk.

Used by the server and by the first process before it changes its root, so it imports nothing but the standard library.
"""

from __future__ import annotations

import errno
import os
import shutil

MOST_LINKS = 40


def resolved(disk: str, path: str) -> str:
    """Where `path` of the instance lies on this machine, links followed, those that lead to `/` to the disk."""
    here: list[str] = []
    rest = path.split("/")[::-1]
    links = 0
    while rest:
        name = rest.pop()
        if name in ("", "."):
            continue
        if name == "..":
            here = here[:-1]
            continue
        try:
            target = os.readlink(os.path.join(disk, *here, name))
        except OSError:  # no link, or nothing there yet
            here.append(name)
            continue
        links += 1
        if links > MOST_LINKS:
            raise OSError(errno.ELOOP, f"{path} of the instance: {os.strerror(errno.ELOOP)}")
        if target.startswith("/"):
            here = []
        rest += target.split("/")[::-1]
    return os.path.join(disk, *here)


def folder(disk: str, path: str) -> str:
    """The folder at `path` of the instance, made where it is missing, or where a file or a link to none is instead."""
    found, here = disk, ""
    for name in filter(None, path.split("/")):
        above, here = found, f"{here}/{name}"
        try:
            found = resolved(disk, here)
            os.makedirs(found, exist_ok=True)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTDIR, errno.ELOOP):
                raise
            found = os.path.join(above, name)
            os.unlink(found)
            os.mkdir(found)
    return found


def place(disk: str, path: str) -> str:
    """Where a file of this path of the instance is to be put: its folder is made, a link at its own place stays."""
    above, name = os.path.split(path)
    return os.path.join(folder(disk, above), name)


def write(disk: str, path: str, content: str | bytes, mode: int = 0o644) -> str:
    """Put a file at `path` of the instance, in place of whatever is there; where it lies on this machine."""
    target = _free(disk, path)
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        os.fchmod(file.fileno(), mode)
    return target


def new_folder(disk: str, path: str) -> str:
    """An empty folder at `path` of the instance, in place of whatever is there."""
    target = _free(disk, path)
    os.mkdir(target)
    return target


def link(disk: str, path: str, target: str) -> None:
    """A symbolic link at `path` of the instance, in place of whatever is there."""
    os.symlink(target, _free(disk, path))


def _free(disk: str, path: str) -> str:
    """The place of a file, with nothing there any more."""
    target = place(disk, path)
    if os.path.isdir(target) and not os.path.islink(target):
        shutil.rmtree(target)
    elif os.path.lexists(target):
        os.unlink(target)
    return target
