"""Which process is which: a start time that no later process of the same number shares, and who belongs to a host."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

import psutil

LINUX = sys.platform == "linux"


class Entry(NamedTuple):
    """What the kernel says of a process. On Linux `create_time` is in ticks since boot, which no clock change moves."""

    parent: int
    session: int
    create_time: float
    ended: bool
    """A zombie: it has ended and its parent has not looked yet."""


def boot_id() -> str:
    """A name for the time since the machine started; empty where the system has none."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else ""


def entry(pid: int) -> Entry | None:
    """The process of number `pid`, zombies too; None when there is none."""
    try:
        if LINUX:
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
            return Entry(int(fields[1]), int(fields[3]), float(fields[19]), fields[0] in (b"Z", b"X"))
        process = psutil.Process(pid)
        ended = process.status() == psutil.STATUS_ZOMBIE
        return Entry(process.ppid(), os.getsid(pid), float(process.create_time()), ended)
    except (OSError, psutil.Error):
        return None


def create_time(pid: int) -> float | None:
    """When the living process `pid` started; None when there is none."""
    found = entry(pid)
    return None if found is None or found.ended else found.create_time


def find(tail: list[str]) -> int | None:
    """The living process whose command line ends with these arguments; None when there is none.

    A program's child has its parent's command line between fork and exec, so of several the oldest is meant.
    """
    found: list[tuple[float, int]] = []
    for pid in psutil.pids():
        try:
            command = psutil.Process(pid).cmdline()
        except psutil.Error:
            continue  # it ended while we looked, or is another user's
        started = create_time(pid)
        if command[-len(tail) :] == tail and started is not None:
            found.append((started, pid))
    return min(found)[1] if found else None


def members(init: int, namespace: int | None, opt_ml: Path) -> list[int]:
    """The living processes of a host without its init: what descends from it, its session, its mount namespace.

    The kernel gives the numbers of ended namespaces again, so the namespace must also have `opt_ml` on its /opt/ml.
    """
    table = {pid: found for pid in psutil.pids() if (found := entry(pid)) and not found.ended}
    children: dict[int, list[int]] = {}
    for pid, found in table.items():
        children.setdefault(found.parent, []).append(pid)
    ours, queue = set[int](), [init]
    while queue:
        below = children.get(queue.pop(), [])
        ours.update(below)
        queue += below
    ours.update(pid for pid, found in table.items() if found.session == init)
    if namespace is not None:
        ours.update(pid for pid in table if _mount_namespace(pid) == namespace and _has_mounted(pid, opt_ml))
    return sorted(ours - {init, os.getpid()})


def _mount_namespace(pid: int) -> int | None:
    try:
        return os.stat(f"/proc/{pid}/ns/mnt").st_ino
    except OSError:
        return None


def _has_mounted(pid: int, opt_ml: Path) -> bool:
    try:
        lines = Path(f"/proc/{pid}/mountinfo").read_bytes().splitlines()
    except OSError:
        return False
    # The fourth field is the mounted directory's path within its file system, which may itself be mounted somewhere.
    roots = [_unescaped(fields[3]) for line in lines if (fields := line.split())[4] == b"/opt/ml"]
    return any(os.fsencode(opt_ml).endswith(root) for root in roots)


def _unescaped(path: bytes) -> bytes:
    """A path of mountinfo, which writes blanks and backslashes as three octal digits."""
    return re.sub(rb"\\(\d{3})", lambda match: bytes([int(match[1], 8)]), path)
