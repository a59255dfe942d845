"""The root of an instance: its disk, with this machine's programs as the lower layer of overlays that are its own.

Runs in the first process of an instance, so it imports nothing but the standard library. What an instance changes of
the programs (pip, apt) stays with it; the data of the cloud, other instances and the homes of people are not there.
"""

from __future__ import annotations

import os
import sys
from typing import TypedDict

from sagehound.localcloud.functions.sandbox import DEVICES, KEPT_FLAGS, MNT_DETACH, NAMESPACES
from sagehound.localcloud.instances import paths, rights
from sagehound.localcloud.processes.host_init import (
    MS_BIND,
    MS_NODEV,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
    check,
    libc,
    mount,
    unshare,
)

PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
MS_NOEXEC = 0x8
SYSTEM_FOLDERS = (
    "bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "nix/store", "var/lib/dpkg", "var/lib/rpm",
    "etc/alternatives", "etc/ssl/certs", "etc/pki/ca-trust", "etc/pki/tls/certs",
)  # fmt: skip
"""What of this machine an instance sees, and may change for itself; nothing in it is secret."""
CPU_FOLDERS = ("sys/devices/system/cpu", "sys/devices/system/node")
POWER = ("shutdown", "poweroff", "halt", "reboot")
POWER_COMMANDS = (*POWER, "systemctl")
"""What scripts call to end or reboot an instance; systemctl may do more, and stays where it lies."""
READ_ONLY_PROC = (
    "acpi",
    "asound",
    "bus",
    "driver",
    "dynamic_debug",
    "fs",
    "irq",
    "mtrr",
    "scsi",
    "sys",
    "sysrq-trigger",
)
HIDDEN_PROC = (
    "kallsyms", "kcore", "keys", "kmsg", "kpagecgroup", "kpagecount", "kpageflags", "latency_stats", "sched_debug",
    "slabinfo", "timer_list", "timer_stats", "vmallocinfo",
)  # fmt: skip


class Root(TypedDict):
    """What the root is made of."""

    disk: str
    changes: str
    """The folder of the upper layers."""
    layered: list[str]
    """Folders of this machine that are there at their own paths, besides the system's."""
    hidden: list[str]
    """Folders that are covered, should they lie in one that is visible."""
    hostname: str
    shared_memory_mib: int
    """The size of /dev/shm."""


def enter_namespaces() -> None:
    """Own mounts, processes, shared memory and host name from the next child on."""
    unshare(NAMESPACES, 0, 0)


def protect_own_program() -> None:
    """This interpreter's file, read-only for this namespace: what is executed from now on cannot be changed from there.

    A process finds its program as /proc/self/exe, past every root; to whoever owns it that would be a way out.
    """
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    program = os.path.realpath(sys.executable)
    mount(program, program, None, MS_BIND)
    _remount_read_only(program)


def make_root(root: Root) -> list[str]:
    """Put the root together and make it the only file system of this process. What to say of what is not as wished."""
    disk, fixed = root["disk"], list[str]()
    as_root = not _in_user_namespace()
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount(disk, disk, None, MS_BIND)
    _put_power_programs(root)
    for name in SYSTEM_FOLDERS:
        source = f"/{name}"
        if os.path.islink(source):
            target = paths.place(disk, source)
            if not os.path.lexists(target):
                os.symlink(os.readlink(source), target)
        elif os.path.isdir(source):
            fixed += _layer(root, source)
    for source in root["layered"]:
        fixed += _layer(root, source)
    for path in root["hidden"]:
        covered = paths.resolved(disk, path)
        if os.path.isdir(covered):
            mount("tmpfs", covered, "tmpfs", MS_NOSUID | MS_NODEV | MS_RDONLY, "mode=755,size=4k")
    _make_devices(paths.folder(disk, "/dev"), root["shared_memory_mib"])
    for name in CPU_FOLDERS:
        if os.path.isdir(f"/{name}"):
            _bind_read_only(f"/{name}", paths.folder(disk, f"/{name}"))
    run = paths.folder(disk, "/run")
    mount("tmpfs", run, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=64m")
    os.mkdir(f"{run}/lock", 0o1777)
    proc = paths.folder(disk, "/proc")
    mount("proc", proc, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    if as_root:
        _protect_proc(proc)
    name_bytes = root["hostname"].encode()[:64]
    check(libc.sethostname(name_bytes, len(name_bytes)), "sethostname")
    _change_root(disk)
    rights.give_up(as_root)
    if not fixed:
        return []
    why = "this machine has no overlays here; call shutdown without a path"
    return [f"{', '.join(fixed)} cannot be changed: {why}"]


def _in_user_namespace() -> bool:
    """Whether this root is one only here: then the kernel itself protects what the machine's root may change."""
    with open("/proc/self/uid_map") as file:
        return file.read().split() != ["0", "0", "4294967295"]


def _layer(root: Root, source: str) -> list[str]:
    """`source` at its own path, writable: changes go into an upper layer that is kept.

    Where there are no overlays here it is read-only, and named in the result.
    """
    target = paths.folder(root["disk"], source)
    upper, work = (os.path.join(_changes(root, source), kind) for kind in ("upper", "work"))
    for folder in (upper, work):
        os.makedirs(folder, exist_ok=True)
    os.chmod(upper, os.stat(source).st_mode & 0o7777)
    lower = _escaped(source).replace(":", "\\:")
    options = f"lowerdir={lower},upperdir={_escaped(upper)},workdir={_escaped(work)}"
    try:
        mount("overlay", target, "overlay", 0, options + (",userxattr" if _in_user_namespace() else ""))
        os.chmod(os.path.join(work, "work"), 0o700)  # the kernel makes it without any right, also to delete it
    except OSError:
        _bind_read_only(source, target)
        return [source]
    return []


def _escaped(path: str) -> str:
    return path.replace("\\", "\\\\").replace(",", "\\,")


def _bind_read_only(source: str, target: str) -> None:
    mount(source, target, None, MS_BIND | MS_REC)
    _remount_read_only(target)


def _remount_read_only(target: str) -> None:
    found = os.statvfs(target).f_flag
    kept = sum(flag for present, flag in KEPT_FLAGS if found & present)
    mount("none", target, None, MS_BIND | MS_REMOUNT | MS_RDONLY | kept)


def _make_devices(dev: str, shared_memory_mib: int) -> None:
    mount("tmpfs", dev, "tmpfs", MS_NOSUID, "mode=755,size=64k")
    for name in DEVICES:
        os.close(os.open(f"{dev}/{name}", os.O_CREAT | os.O_WRONLY, 0o666))
        _show_device(f"/dev/{name}", f"{dev}/{name}")
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink(f"/proc/self/fd{target}", f"{dev}/{name}")
    os.mkdir(f"{dev}/shm")
    mount("tmpfs", f"{dev}/shm", "tmpfs", MS_NOSUID | MS_NODEV, f"mode=1777,size={shared_memory_mib}m")
    os.mkdir(f"{dev}/pts")
    mount("devpts", f"{dev}/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
    os.symlink("pts/ptmx", f"{dev}/ptmx")


def _protect_proc(proc: str) -> None:
    """What of /proc is the machine's, and its root could change or read."""
    for name in READ_ONLY_PROC:
        if os.path.exists(f"{proc}/{name}"):
            mount(f"{proc}/{name}", f"{proc}/{name}", None, MS_BIND)
            _remount_read_only(f"{proc}/{name}")
    for name in HIDDEN_PROC:
        if os.path.exists(f"{proc}/{name}"):
            _show_device("/dev/null", f"{proc}/{name}")


def _show_device(source: str, target: str) -> None:
    """Read-only: that keeps nobody from writing to a device, only from changing whose this machine's device is."""
    mount(source, target, None, MS_BIND)
    _remount_read_only(target)


def _change_root(root: str) -> None:
    os.chdir(root)
    here = b"."
    check(libc.syscall(PIVOT_ROOT[os.uname().machine], here, here), "pivot_root")
    check(libc.umount2(here, MNT_DETACH), "umount of the machine's root")
    os.chdir("/")


def _put_power_programs(root: Root) -> None:
    """Scripts call /sbin/shutdown by its path, too: what lies there would speak to the machine's init.

    Written into the upper layer before it is mounted: inside a user namespace nobody may write to /usr/sbin. Where the
    instance has put something else in place of the folder, it stays.
    """
    for folder in sorted({os.path.realpath("/usr/sbin"), os.path.realpath("/sbin")}):
        source = "/usr" if folder.startswith("/usr/") else folder
        top, below = os.path.join(_changes(root, source), "upper"), folder.removeprefix(source)
        upper = top + below
        if paths.resolved(top, below) != upper.rstrip("/") or (os.path.lexists(upper) and not os.path.isdir(upper)):
            continue
        os.makedirs(upper, exist_ok=True)
        os.chmod(upper, os.stat(folder).st_mode & 0o7777)
        for name in POWER:
            path = f"{upper}/{name}"
            if not os.path.lexists(path):
                with open(path, "w") as file:
                    file.write(f'#!/bin/sh\nexec /opt/sagehound/bin/{name} "$@"\n')
                os.chmod(path, 0o755)


def _changes(root: Root, source: str) -> str:
    return os.path.join(root["changes"], source.strip("/").replace("/", "%"))
