"""The process above an instance: takes namespaces for it, starts its first process in them, and keeps how it ended.

Run as a module with `python -S -P`, so that it starts fast; it outlives the server that started it, and leaves how the
instance ended in `ended.json`. With `--probe` it only tries whether this machine has private roots, and says why not.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

from sagehound.localcloud.instances import requests
from sagehound.localcloud.instances.boot_spec import BootSpec
from sagehound.localcloud.instances.root import Root, enter_namespaces, make_root, protect_own_program
from sagehound.localcloud.processes.host_init import LINUX, PR_SET_PDEATHSIG, libc, write_if_allowed

FIRST_PROCESS = "sagehound.localcloud.instances.first_process"
FAILED = 70
"""Exit code when the instance could not be started; why is on its console."""


def start_below(private: bool, become: Callable[[], None]) -> int:
    """Start a child, in namespaces of its own if `private`, that becomes another program; its number."""
    if private:
        enter_namespaces()
    pid = os.fork()
    if pid == 0:
        try:
            if LINUX:
                libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if private:
                protect_own_program()
            become()
        except Exception as error:  # noqa: BLE001 - the first process has nobody to raise to
            os.write(1, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(FAILED)
    return pid


def probe(disk: str) -> int:
    """Try a private root on an empty folder."""
    root = Root(disk=disk, changes=f"{disk}.changes", layered=[], hidden=[], hostname="probe", shared_memory_mib=1)
    os.makedirs(disk)

    def become() -> None:
        make_root(root)
        os.execv("/bin/sh", ["/bin/sh", "-c", "exit 0"])

    try:
        return os.waitstatus_to_exitcode(os.waitpid(start_below(True, become), 0)[1])
    except OSError as error:
        os.write(1, f"{error.strerror or error}\n".encode())
        return FAILED


def main(path: str) -> int:
    """Run the instance of this boot file, which holds its environment and is deleted once read.

    Its first process gets no descriptor of a folder of this machine: who is root there could walk out through it.
    """
    with open(path, "rb") as file:
        content = file.read()
    os.unlink(path)
    boot: BootSpec = json.loads(content)
    run = os.open(boot["run"], os.O_RDONLY | os.O_DIRECTORY)
    given, giving = os.pipe()
    told, telling = os.pipe()
    handed = (given, requests.listen(run).detach(), _open_ready(boot["run"]), telling)

    def become() -> None:
        for descriptor in handed:
            if descriptor >= 0:
                os.set_inheritable(descriptor, True)
        argv = [sys.executable, "-S", "-P", "-m", FIRST_PROCESS, *(str(number) for number in handed)]
        os.execv(sys.executable, argv)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # they reach the first process itself, which ends in order
    try:
        pid = start_below(boot["private"], become)
    except OSError as error:
        os.write(1, f"this instance cannot be started: {error}\n".encode())
        return FAILED
    for descriptor in handed:
        if descriptor >= 0:
            os.close(descriptor)
    with suppress(BrokenPipeError), os.fdopen(giving, "wb") as pipe:  # it may have ended
        pipe.write(content)
    with os.fdopen(told, "rb") as answer:
        ending = answer.read().decode()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if ending:
        os.fchdir(run)  # by now this process has the instance's root as well
        write_if_allowed("ended.json", json.dumps({"token": boot["token"], "ending": ending}))
    return code


def _open_ready(run: str) -> int:
    """The pipe on which the server waits; -1 when it has gone in the meantime."""
    try:
        return os.open(os.path.join(run, "ready"), os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return -1


if __name__ == "__main__":
    sys.exit(probe(sys.argv[2]) if sys.argv[1] == "--probe" else main(sys.argv[1]))
