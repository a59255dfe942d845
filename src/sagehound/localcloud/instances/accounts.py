"""The users of an instance: root and those that AMIs have, their homes and their keys."""

from __future__ import annotations

import os
from typing import NamedTuple

from sagehound.localcloud.instances import paths
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


def add(disk: str, spec: InstanceSpec) -> None:
    """Users, homes and authorized keys, on a new disk."""
    shell = "/bin/bash" if os.path.exists("/bin/bash") else "/bin/sh"
    root = Account("root", 0, "/root", shell)
    accounts = (root, *SYSTEM_ACCOUNTS, *(one._replace(shell=shell) for one in PEOPLE))
    passwd = [f"{a.name}:x:{a.number}:{a.number}::{a.home}:{a.shell}\n" for a in accounts]
    groups = {a.name: a.number for a in accounts if a.name != "nobody"} | GROUPS
    paths.write(disk, "/etc/passwd", "".join(passwd), 0o644)
    paths.write(disk, "/etc/group", "".join(f"{name}:x:{number}:\n" for name, number in groups.items()), 0o644)
    paths.write(disk, "/etc/shadow", "".join(f"{a.name}:*:19000:0:99999:7:::\n" for a in accounts), 0o600)
    for account in PEOPLE:
        made = [paths.new_folder(disk, account.home)]
        os.chmod(made[0], 0o755)
        if spec.public_keys:
            made.append(paths.new_folder(disk, f"{account.home}/.ssh"))
            os.chmod(made[1], 0o700)
            lines = "".join(f"{line}\n" for line in spec.public_keys)
            made.append(paths.write(disk, f"{account.home}/.ssh/authorized_keys", lines, 0o600))
        if os.geteuid() == 0:
            for path in made:
                os.chown(path, account.number, account.number)
