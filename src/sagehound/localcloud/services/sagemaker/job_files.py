"""What programs have left in their /opt/ml, seen from outside: links lead no further than they do inside."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

_ROOT = "/opt/ml/"


def leaves(ml: Path, below: str) -> Iterator[tuple[str, Path]]:
    """Every file and link below a folder of `ml` by its name there; folders only where they are empty.

    Nothing when the program has removed the folder, or put something else in its place. No link is followed.
    """
    top = ml / below
    if not _is_own_folder(ml, top):
        return
    folders = [(top, "")]
    while folders:
        folder, prefix = folders.pop()
        try:
            with os.scandir(folder) as entries:
                found = list(entries)
        except (FileNotFoundError, NotADirectoryError):
            continue  # the program has removed it since it was listed, as those do that keep their last checkpoints
        if not found and prefix:
            yield prefix.rstrip("/"), folder
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                folders.append((Path(entry.path), f"{prefix}{entry.name}/"))
            else:
                yield prefix + entry.name, Path(entry.path)


def regular(ml: Path, path: Path) -> Path | None:
    """The regular file that `path` is, or that it leads to inside of `ml`; None when there is no such file."""
    try:
        if path.is_symlink():
            target = os.readlink(path)
            if target.startswith(_ROOT):
                path = ml / target.removeprefix(_ROOT)
        real = path.resolve(strict=True)
        if real.is_relative_to(ml.resolve()) and stat.S_ISREG(real.lstat().st_mode):
            return real
    except (OSError, RuntimeError):  # dangling, in a circle, or gone meanwhile
        return None
    return None


def rewrite(ml: Path, below: str, name: str, text: str) -> None:
    """Put a file of the cloud's own into a folder of a running program, whole or not at all.

    Nothing is written when the program has removed the folder, or put something else in its place.
    """
    folder = ml / below
    if _is_own_folder(ml, folder):
        new = folder / f".{name}.new"
        new.unlink(missing_ok=True)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w") as file:
            file.write(text)
        new.replace(folder / name)


def remove(folder: Path) -> None:
    """Delete a job's folder, however deep its programs have made it. Blocking."""
    with contextlib.suppress(RecursionError):
        shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        # Deeper than Python goes, which holds a file descriptor a level.
        subprocess.run(["/bin/rm", "-rf", "--", str(folder)], check=False, stderr=subprocess.DEVNULL)


def _is_own_folder(ml: Path, folder: Path) -> bool:
    return folder.is_dir() and folder.resolve() == ml.resolve() / folder.relative_to(ml)
