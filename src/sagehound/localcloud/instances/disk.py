"""The disk of an instance: a folder with what is its own (/etc, /home, /var, /opt ...), kept over stop and start."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from sagehound.localcloud.functions.sandbox import CONFIGURATION
from sagehound.localcloud.instances import accounts, paths
from sagehound.localcloud.instances.root import SYSTEM_FOLDERS
from sagehound.localcloud.instances.spec import InstanceSpec
from sagehound.localcloud.processes.hosts import LOCALHOST, hosts_text

FOLDERS = (
    "boot", "dev", "etc/profile.d", "home", "media", "mnt", "opt", "proc", "root", "run", "srv", "sys", "tmp", "usr",
    "var/cache", "var/lib/cloud/instances", "var/log", "var/spool", "var/tmp",
)  # fmt: skip
COPIED = (
    *CONFIGURATION, "apt", "bash.bashrc", "debian_version", "dpkg", "inputrc", "login.defs", "skel", "yum.repos.d",
)  # fmt: skip
"""What of this machine's /etc an instance has a copy of: nothing that only root may read."""
LINKS = {"var/run": "/run", "var/lock": "/run/lock", "etc/mtab": "/proc/self/mounts"}


def lay_out(spec: InstanceSpec, names: Mapping[str, str], env: Mapping[str, str], is_root: bool) -> Path:
    """The folder as this boot needs it; what the instance has written stays. `names` are for its /etc/hosts.

    `is_root`: it becomes the instance's root, and not only a folder beside this machine's own files.
    """
    folder = disk_of(spec)
    if not folder.exists():
        _make(folder, spec, is_root)
    disk = str(folder)
    for name in FOLDERS:
        paths.folder(disk, f"/{name}")
    if is_root and Path("/etc/resolv.conf").exists():
        # This machine may be in another network by now.
        paths.write(disk, "/etc/resolv.conf", Path("/etc/resolv.conf").read_bytes())
    paths.write(disk, "/etc/hosts", hosts_text({spec.hostname: LOCALHOST, **names}))
    paths.write(disk, "/etc/hostname", f"{spec.hostname}\n")
    told = f"{spec.image}\n{spec.instance_id} ({spec.instance_type}), in the local cloud\n"
    paths.write(disk, "/etc/motd", told)
    _write_profile(disk, env)
    return folder


def _make(disk: Path, spec: InstanceSpec, is_root: bool) -> None:
    """A new disk, there whole or not at all: a server that dies meanwhile leaves none."""
    new = disk.with_name("disk.new")
    if new.exists():
        remove_tree(new)
    for name in FOLDERS:
        (new / name).mkdir(parents=True, exist_ok=True)
    new.chmod(0o755)
    for name in ("tmp", "var/tmp"):
        (new / name).chmod(0o1777)
    (new / "root").chmod(0o711)  # this machine's Python may lie below, and is for every user
    for link, target in LINKS.items():
        (new / link).symlink_to(target)
    if is_root:
        _copy_configuration(new)
    accounts.add(str(new), spec)
    new.rename(disk)


def disk_of(spec: InstanceSpec) -> Path:
    return spec.root / "disk"


def _copy_configuration(disk: Path) -> None:
    for name in COPIED:
        source, target = Path("/etc", name), disk / "etc" / name
        if str(source) in {f"/{name}" for name in SYSTEM_FOLDERS}:
            continue
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, ignore=_private, dirs_exist_ok=True)
        elif source.exists() and _is_public(source):
            shutil.copy(source, target)


def _private(folder: str, names: list[str]) -> list[str]:
    """What of a folder is not everyone's to read, or is layered under the instance's own anyway."""
    layered = {f"/{name}" for name in SYSTEM_FOLDERS}
    return [name for name in names if f"{folder}/{name}" in layered or not _is_public(Path(folder, name))]


def _is_public(path: Path) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    if stat.S_ISLNK(found.st_mode):
        return True
    needed = 0o005 if stat.S_ISDIR(found.st_mode) else 0o004
    kind_ok = stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)
    return kind_ok and found.st_mode & needed == needed and os.access(path, os.R_OK)


def _write_profile(disk: str, env: Mapping[str, str]) -> None:
    """Login shells have the variables too (`sudo -i`, `su -`)."""
    lines = [
        f"export {name}={_quoted(value)}\n" for name, value in env.items() if name not in ("HOME", "USER", "LOGNAME")
    ]
    paths.write(disk, "/etc/profile.d/sagehound.sh", "".join(lines))
    if not os.path.lexists(paths.place(disk, "/etc/profile")):
        loop = 'for file in /etc/profile.d/*.sh; do [ -r "$file" ] && . "$file"; done\nunset file\n'
        paths.write(disk, "/etc/profile", loop)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def remove_tree(path: Path) -> None:
    """Delete a folder whose owner has taken away rights on it, too."""

    def give_rights_and_retry(function: Callable[[str], object], name: str, error: object) -> None:
        if isinstance(error, tuple) and isinstance(error[1], FileNotFoundError):
            return
        for folder in (os.path.dirname(name), name):
            if os.path.isdir(folder) and not os.path.islink(folder):
                os.chmod(folder, 0o700)
        if os.path.isdir(name) and not os.path.islink(name):
            shutil.rmtree(name)
        else:
            function(name)

    shutil.rmtree(path, onerror=give_rights_and_retry)
