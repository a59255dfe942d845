"""The first process of an instance: takes its namespaces, puts its root together, runs its system until it is down.

Run as a module with `python -S -P`, so that it starts fast; it outlives the server that started it, and leaves how the
instance ended in `ended.json`. With `--probe` it only tries whether this machine has private roots, and says why not.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable

from sagehound.localcloud.instances import requests
from sagehound.localcloud.instances.boot_spec import BootSpec
from sagehound.localcloud.instances.root import Root, enter_namespaces, make_root
from sagehound.localcloud.instances.system import System
from sagehound.localcloud.processes.host_init import (
    LINUX,
    PR_SET_CHILD_SUBREAPER,
    PR_SET_PDEATHSIG,
    libc,
    write_if_allowed,
)

FAILED = 70
"""Exit code when the instance could not be started; why is on its console."""


def in_namespaces(inside: Callable[[], int]) -> int:
    """Call `inside` in the first process of namespaces of its own; its exit code."""
    enter_namespaces()
    pid = os.fork()
    if pid == 0:
        code = FAILED
        try:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            code = inside()
        except Exception as error:  # noqa: BLE001 - the first process has nobody to raise to
            os.write(1, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(code)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # they reach the first process itself, which ends in order
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def probe(disk: str) -> int:
    """Try a private root on an empty folder."""
    root = Root(disk=disk, changes=f"{disk}.changes", layered=[], hidden=[], hostname="probe")
    for name in ("dev", "proc", "run", "sys"):
        os.makedirs(f"{disk}/{name}", exist_ok=True)

    def inside() -> int:
        make_root(root)
        os.execv("/bin/sh", ["/bin/sh", "-c", "exit 0"])

    try:
        return in_namespaces(inside)
    except OSError as error:
        os.write(1, f"{error.strerror or error}\n".encode())
        return FAILED


def main(path: str) -> int:
    """Run the instance of this boot file, which holds its environment and is deleted once read."""
    with open(path, encoding="utf-8") as file:
        boot: BootSpec = json.load(file)
    os.unlink(path)
    run = os.open(boot["run"], os.O_RDONLY | os.O_DIRECTORY)
    listener = requests.listen(run)
    ready = _open_ready(boot["run"])

    def inside() -> int:
        notes = make_root(boot["root"]) if boot["private"] else []
        if hasattr(os, "sched_setaffinity") and boot["cpus"]:
            os.sched_setaffinity(0, boot["cpus"])
        os.umask(0o022)
        system = System(boot, listener, notes)
        _tell(ready, "up\n")
        ending = system.run()
        os.chdir(run)  # the only way to that folder from a private root
        write_if_allowed("ended.json", json.dumps({"token": boot["token"], "ending": ending}))
        return 0

    try:
        if boot["private"]:
            return in_namespaces(inside)
        if LINUX:
            libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        return inside()
    except OSError as error:
        os.write(1, f"this instance cannot be started: {error}\n".encode())
        return FAILED


def _open_ready(run: str) -> int:
    """The pipe on which the server waits; -1 when it has gone in the meantime."""
    try:
        return os.open(os.path.join(run, "ready"), os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return -1


def _tell(ready: int, text: str) -> None:
    if ready >= 0:
        os.write(ready, text.encode())
        os.close(ready)


if __name__ == "__main__":
    sys.exit(probe(sys.argv[2]) if sys.argv[1] == "--probe" else main(sys.argv[1]))
