"""The process that starts execution environments: small, so that a fork costs a millisecond, and without it none lives.

Started by the server with one end of a socket pair; every message on it is a program to start, with two file
descriptors: where to report, and where the program writes. It forks; the child takes its namespaces and becomes,
through one more fork, the first process (init) of the environment: it starts the program, reaps, and reports how it
ended. When the server goes, the socket ends, this process ends, and the kernel ends every environment with it.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import socket
import sys
import time
from typing import Any

from sagehound.localcloud.functions import sandbox
from sagehound.localcloud.processes.host_init import (
    LINUX,
    PR_SET_CHILD_SUBREAPER,
    PR_SET_PDEATHSIG,
    descendants,
    libc,
    write_if_allowed,
)

MESSAGE_LIMIT = 1 << 20
OPEN_FILES, PROCESSES = 1024, 1024
"""What AWS allows an environment."""
TELEMETRY_FD = 3
FAILURES = (OSError, KeyError, ValueError, TypeError)


def serve(server: socket.socket) -> None:
    """Start what is asked until the server is gone."""
    if LINUX:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps: how a program ended is reported by its init
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    alive, held = os.pipe()  # `held` is open as long as this process lives
    while True:
        message, descriptors, _flags, _address = socket.recv_fds(server, MESSAGE_LIMIT, 2)
        if not message:
            return
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        report, output = descriptors
        try:
            pid = os.fork()
        except OSError as error:
            tell(report, failed=f"fork: {error.strerror}")
            pid = -1
        if pid == 0:
            server.close()
            os.close(held)
            start_environment(json.loads(message), report, output, alive)
        os.close(report)
        os.close(output)


def tell(report: int, **what: Any) -> None:
    """One line to the server; it may be gone."""
    try:
        os.write(report, json.dumps(what).encode() + b"\n")
    except OSError:
        os._exit(1)


def start_environment(program: dict[str, Any], report: int, output: int, alive: int) -> None:
    """In the child: take the namespaces and fork their first process. Does not return."""
    try:
        spawner = os.getppid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if program["sandbox"] is not None:
            sandbox.enter_namespaces(program["sandbox"])
        parent_ended, parent_lives = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(parent_lives)
            os.read(parent_ended, 1)  # returns when our parent ends
            os.close(parent_ended)
            await_parent(spawner)
            be_init(program, report, output, alive)
        tell(report, pid=pid)
    except FAILURES as error:
        tell(report, failed=sandbox.described(error))
    finally:
        os._exit(0)


def await_parent(spawner: int) -> None:
    """Return when the spawner is our parent: the end of the one before must not be taken for the spawner's."""
    while _parent() not in (spawner, 1):
        time.sleep(0.0002)


def _parent() -> int:
    """As the machine counts: inside a namespace a parent outside has no number, but /proc is still the machine's."""
    if not LINUX:
        return os.getppid()
    with open("/proc/self/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[1])


def be_init(program: dict[str, Any], report: int, output: int, alive: int) -> None:
    """The first process of an environment: prepare, start the program, reap, report. Does not return."""
    try:
        private = program["sandbox"]
        live_no_longer_than_the_spawner(alive, signal.SIGKILL if private else signal.SIGTERM)
        if private:
            sandbox.make_root(private)
        elif LINUX:
            libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        signal.signal(signal.SIGTERM, lambda _number, _frame: end_all())
        main = start_program(program, output)
        os.close(output)
        tell(report, running=True)
        while True:
            pid, status = os.waitpid(-1, 0)
            if pid == main:
                break
        code = os.waitstatus_to_exitcode(status)
        if not private:
            kill_descendants()
        tell(report, exit=code)
    except FAILURES as error:
        tell(report, failed=sandbox.described(error))
    finally:
        os._exit(0)


def live_no_longer_than_the_spawner(alive: int, number: int) -> None:
    """Be signalled when the spawner ends; it may have ended already."""
    if LINUX:
        libc.prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if select.select([alive], [], [], 0)[0]:
        os._exit(1)
    os.close(alive)


def start_program(program: dict[str, Any], output: int) -> int:
    """Fork the program as a group of its own; OSError when it cannot be started."""
    failed, failure = os.pipe()  # closed by a successful exec
    pid = os.fork()
    if pid == 0:
        try:
            become(program, output)
        except FAILURES as error:
            os.write(failure, sandbox.described(error).encode())
        finally:
            os._exit(127)
    os.close(failure)
    text = os.read(failed, 4096)
    os.close(failed)
    if text:
        raise OSError(f"cannot start {program['argv'][0]}: {text.decode(errors='replace')}")
    return pid


def become(program: dict[str, Any], output: int) -> None:
    """Be the program: its environment and nothing of ours; its output and its framed log are one pipe, so in order."""
    os.setsid()
    if LINUX:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        write_if_allowed("/proc/self/oom_score_adj", "500")  # when memory runs out a function goes, not the server
    for silenced in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(silenced, signal.SIG_DFL)
    os.chdir(program["cwd"])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limit = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    private = program["sandbox"]
    if private:
        if os.geteuid() == 0:  # then the number of processes is counted for this environment's user alone
            resource.setrlimit(resource.RLIMIT_NPROC, (PROCESSES, PROCESSES))
        sandbox.give_up_privileges(private)
        if LINUX:  # a change of user takes the order to die with the parent away
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    nothing = os.open("/dev/null", os.O_RDONLY)
    source = os.dup2(output, 255, inheritable=False)
    os.dup2(nothing, 0)
    for number in (1, 2, TELEMETRY_FD):
        os.dup2(source, number)
    os.execve(program["argv"][0], program["argv"], program["env"])


def kill_descendants() -> None:
    """SIGKILL to everything below this process until nothing is left."""
    while LINUX:
        below = descendants()
        for pid in below:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.001)


def end_all() -> None:
    """Asked to end where there is no namespace that the kernel would end as a whole."""
    kill_descendants()
    os._exit(0)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
