"""The users of an instance: root and those that AMIs have, their homes and their keys."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from sagehound.localcloud.instances.spec import InstanceSpec


class Account(NamedTuple):
    """A line of /etc/passwd."""

    name: str
    number: int
    home: str
    shell: str


SYSTEM_ACCOUNTS = (
    Account("daemon", 1, "/usr/sbin", "/usr/sbin/nologin"),
    Account("bin", 2, "/bin", "/usr/sbin/nologin"),
    Account("sys", 3, "/dev", "/usr/sbin/nologin"),
    Account("man", 6, "/var/cache/man", "/usr/sbin/nologin"),
    Account("mail", 8, "/var/mail", "/usr/sbin/nologin"),
    Account("www-data", 33, "/var/www", "/usr/sbin/nologin"),
    Account("_apt", 42, "/nonexistent", "/usr/sbin/nologin"),
    Account("nobody", 65534, "/nonexistent", "/usr/sbin/nologin"),
)
PEOPLE = (
    Account("ubuntu", 1000, "/home/ubuntu", "/bin/bash"),
    Account("ec2-user", 1001, "/home/ec2-user", "/bin/bash"),
)
GROUPS = {"adm": 4, "tty": 5, "disk": 6, "mail": 8, "sudo": 27, "shadow": 43, "utmp": 44, "staff": 50, "nogroup": 65534}


def add(disk: Path, spec: InstanceSpec) -> None:
    """Users, homes and authorized keys; what the instance has changed of them since stays."""
    shell = "/bin/bash" if Path("/bin/bash").exists() else "/bin/sh"
    root = Account("root", 0, "/root", shell)
    accounts = (root, *SYSTEM_ACCOUNTS, *(one._replace(shell=shell) for one in PEOPLE))
    passwd = [f"{a.name}:x:{a.number}:{a.number}::{a.home}:{a.shell}\n" for a in accounts]
    groups = {a.name: a.number for a in accounts if a.name != "nobody"} | GROUPS
    _write_once(disk / "etc/passwd", "".join(passwd), 0o644)
    _write_once(disk / "etc/group", "".join(f"{name}:x:{number}:\n" for name, number in groups.items()), 0o644)
    _write_once(disk / "etc/shadow", "".join(f"{a.name}:*:19000:0:99999:7:::\n" for a in accounts), 0o600)
    for account in (root, *PEOPLE):
        home = disk / account.home.removeprefix("/")
        is_new = not home.exists()
        home.mkdir(parents=True, exist_ok=True)
        if is_new and account is not root:
            home.chmod(0o755)
        keys = home / ".ssh/authorized_keys"
        if account is not root and spec.public_keys and not keys.exists():
            keys.parent.mkdir(mode=0o700, exist_ok=True)
            _write_once(keys, "".join(f"{line}\n" for line in spec.public_keys), 0o600)
        if is_new and os.geteuid() == 0:
            for path in (home, *home.rglob("*")):
                os.chown(path, account.number, account.number)


def _write_once(path: Path, text: str, mode: int) -> None:
    if not path.exists():
        path.write_text(text)
        path.chmod(mode)
