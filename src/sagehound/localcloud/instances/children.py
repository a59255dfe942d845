"""Starting the programs of an instance from its first process, and sparing it when memory runs out."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Mapping, Sequence

from sagehound.localcloud.instances.root import POWER_COMMANDS
from sagehound.localcloud.processes.host_init import FORWARDED, LINUX, descendants, libc, write_if_allowed

PR_SET_PDEATHSIG = 1
POWER_PATH = re.compile(rf"(?<![\w./-])/(?:usr/)?s?bin/({'|'.join(POWER_COMMANDS)})(?![\w.-])".encode())
PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024


def spawn(
    argv: Sequence[str], env: Mapping[str, str], cwd: str, descriptors: tuple[int, int, int], die_with_parent: bool
) -> int:
    """Start a program as a session of its own with these stdin, stdout, stderr; OSError when it cannot be."""
    failed, failure = os.pipe()  # closed by a successful exec
    pid = os.fork()
    if pid == 0:
        try:
            _become(argv, env, cwd, descriptors, die_with_parent)
        except OSError as error:
            os.write(failure, f"{error.errno}".encode())
        finally:
            os._exit(127)
    os.close(failure)
    number = os.read(failed, 16)
    os.close(failed)
    if number:
        raise OSError(int(number), os.strerror(int(number)))
    return pid


def _become(
    argv: Sequence[str], env: Mapping[str, str], cwd: str, descriptors: tuple[int, int, int], die_with_parent: bool
) -> None:
    os.setsid()
    if LINUX and die_with_parent:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)
    for number in (*FORWARDED, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    write_if_allowed("/proc/self/oom_score_adj", "800")  # when memory runs out a program goes, not the instance
    os.chdir(cwd)
    os.execvpe(argv[0], list(argv), dict(env))


def safe_power(script: bytes, prefix: str) -> bytes:
    """Without a private root /sbin/shutdown would be this machine's own: such paths lead to the instance's instead."""
    if not prefix:
        return script
    ours = os.fsencode(f"{prefix}/opt/sagehound/bin/")
    return POWER_PATH.sub(lambda found: ours + found[1], script)


def signal_all(private: bool, number: int) -> None:
    """Signal everything on the instance but its first process, which is us."""
    if private:
        try:
            os.kill(-1, number)
        except ProcessLookupError:
            return
        return
    for pid in descendants() if LINUX else []:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def everyone(private: bool) -> list[int]:
    """Every process of the instance but its first."""
    if private:
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and name != "1"]
    return descendants() if LINUX else []


def anonymous_kb(pid: int) -> int:
    """The memory that is this process's own: not files that the kernel can read again."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            fields = file.read().split()
    except OSError:
        return 0
    return (int(fields[1]) - int(fields[2])) * PAGE_KB


def name_of(pid: int) -> str:
    """As `ps` shows it."""
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return "?"


def has_children() -> bool:
    """Whether any process is left below us."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
