"""The inside of an execution environment: a root of its own with the code at /var/task, its own /tmp and its own /proc.

Runs in the first process of an environment, so it imports nothing but the standard library. What a function sees is
what is listed, read-only: the system's programs, the interpreter, its code and layers. The cloud's data, other
functions and the homes of people are not there.
"""

from __future__ import annotations

import os
from typing import TypedDict

from sagehound.localcloud.processes.host_init import (
    CLONE_NEWNS,
    CLONE_NEWUTS,
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

CLONE_NEWIPC, CLONE_NEWPID = 0x08000000, 0x20000000
NAMESPACES = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID
MS_NOEXEC = 0x8
MNT_DETACH = 2
PR_SET_NO_NEW_PRIVS = 38
SYSTEM_FOLDERS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "nix/store", "sys/devices/system/cpu")
CONFIGURATION = (
    "alternatives", "ca-certificates", "ca-certificates.conf", "gai.conf", "host.conf", "ld.so.cache", "ld.so.conf",
    "ld.so.conf.d", "localtime", "mime.types", "nsswitch.conf", "os-release", "pki", "protocols", "resolv.conf",
    "services", "ssl",
)  # fmt: skip
"""What of /etc a program needs to find its libraries, names and certificates; passwords and keys are not among it."""
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
KEPT_FLAGS = ((os.ST_NOSUID, MS_NOSUID), (os.ST_NODEV, MS_NODEV), (os.ST_NOEXEC, MS_NOEXEC))


class Sandbox(TypedDict):
    """What an environment's own root holds beside the system's programs."""

    root: str
    """An empty directory on which the new root is put together."""
    binds: list[tuple[str, str]]
    """(path on this machine, path inside): read-only."""
    files: dict[str, str]
    """Small files that are made inside, by path."""
    hidden: list[str]
    """Folders that are covered, should they lie in one that is visible."""
    tmp_mb: int
    user: int
    """The number of its user, and of that one's group."""


def enter_namespaces(sandbox: Sandbox) -> None:
    """Own mounts, processes and shared memory from the next child on."""
    unshare(NAMESPACES, sandbox["user"], sandbox["user"])


def make_root(sandbox: Sandbox) -> None:
    """Put the root together and make it the only file system of this process and its children."""
    root = sandbox["root"]
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=4m")
    _make_writable(root, sandbox["tmp_mb"])
    for name in SYSTEM_FOLDERS:
        _show_system_folder(root, name)
    for name in CONFIGURATION:
        if os.path.exists(f"/etc/{name}"):
            show(f"/etc/{name}", f"{root}/etc/{name}")
    for name in DEVICES:
        _mount_point(f"{root}/dev/{name}", is_folder=False)
        mount(f"/dev/{name}", f"{root}/dev/{name}", None, MS_BIND)
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink(f"/proc/self/fd{target}", f"{root}/dev/{name}")
    for source, inside in sandbox["binds"]:
        show(source, root + inside)
    for path, text in sandbox["files"].items():
        os.makedirs(os.path.dirname(root + path), exist_ok=True)
        with open(root + path, "w") as file:
            file.write(text)
    for path in sandbox["hidden"]:
        if os.path.isdir(root + path):
            mount("tmpfs", root + path, "tmpfs", MS_NOSUID | MS_NODEV | MS_RDONLY, "mode=755,size=4k")
    os.makedirs(f"{root}/proc", exist_ok=True)
    mount("proc", f"{root}/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    _change_root(root)


def _make_writable(root: str, tmp_mb: int) -> None:
    """/tmp is in memory, as large as the function's ephemeral storage: more is "no space left on device", as on AWS."""
    os.mkdir(f"{root}/tmp")
    mount("tmpfs", f"{root}/tmp", "tmpfs", MS_NOSUID | MS_NODEV, f"mode=1777,size={tmp_mb}m")


def _show_system_folder(root: str, name: str) -> None:
    source = f"/{name}"
    if os.path.islink(source):
        os.symlink(os.readlink(source), root + source)
    elif os.path.isdir(source):
        show(source, root + source)


def show(source: str, target: str) -> None:
    """Make `source` visible at `target`, read-only; flags that the kernel has locked there stay."""
    if os.path.lexists(target) and os.path.ismount(target):
        return
    _mount_point(target, os.path.isdir(source))
    mount(os.path.realpath(source), target, None, MS_BIND | MS_REC)
    found = os.statvfs(target).f_flag
    kept = sum(flag for present, flag in KEPT_FLAGS if found & present)
    mount("none", target, None, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | kept)


def _mount_point(path: str, is_folder: bool) -> None:
    if is_folder:
        os.makedirs(path, exist_ok=True)
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))


def _change_root(root: str) -> None:
    os.chdir(root)
    here = b"."
    check(libc.syscall(_pivot_root_number(), here, here), "pivot_root")
    check(libc.umount2(here, MNT_DETACH), "umount of the machine's root")
    os.chdir("/")
    mount("none", "/", None, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV)


def _pivot_root_number() -> int:
    return {"x86_64": 155, "aarch64": 41}[os.uname().machine]


def give_up_privileges(sandbox: Sandbox) -> None:
    """Become the environment's own user, who owns nothing and can never become another."""
    if os.geteuid() == 0:
        os.setgroups([])
    user = sandbox["user"]
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")


def described(error: Exception) -> str:
    """Why there is no sandbox, in a few words."""
    return f"{type(error).__name__}: {error}"
