"""The first process of a host: makes its /opt/ml and /etc/hosts private, runs the program, tidies up after it.

Run by path with `python -I -S`, so it imports nothing of ours and little else: it is there in about 20 ms. It outlives
the server that started it, and leaves how the program ended in `run/exit.json`. Like a container's init it is the
reaper of everything that the program started: when the program has ended nothing of it stays.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import sys
import time
from typing import Any

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x04000000, 0x10000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT = 0x1, 0x2, 0x4, 0x20
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
FORWARDED = {
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
}
LEFTOVER_GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL for what the program left behind (its resource trackers end by themselves)."""

LONGEST_HOSTNAME = 64
CANNOT_START = 127

LINUX = sys.platform == "linux"
libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    """OSError with the kernel's reason when a libc call failed."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    """mount(2); OSError when the kernel refuses."""
    arguments = [os.fsencode(text) if text is not None else None for text in (source, target, kind)]
    data = options.encode() if options is not None else None
    check(libc.mount(*arguments, ctypes.c_ulong(flags), data), f"mount {target}")


def unshare(namespaces: int, uid: int, gid: int) -> None:
    """Namespaces of our own: as root directly, as an ordinary user below a user namespace in which we are `uid`."""
    if libc.unshare(namespaces) == 0:
        return
    maps = (("setgroups", "deny"), ("uid_map", f"{uid} {os.geteuid()} 1"), ("gid_map", f"{gid} {os.getegid()} 1"))
    check(libc.unshare(CLONE_NEWUSER | namespaces), "unshare")
    for name, text in maps:
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def enter(namespaces: list[int]) -> None:
    """Go into namespaces that others hold, given as inherited descriptors: the network of this host's job."""
    for descriptor in namespaces:
        check(libc.setns(descriptor, 0), "setns")
        os.close(descriptor)


def add_mount_point(path: str) -> None:
    """Make the directory `path`; where its parent may not be written, on a private copy of the parent's entries."""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError:
        add_private_entry(path)


def add_private_entry(path: str) -> None:
    """Make the directory `path` on a private copy of its parent's entries: the machine's own are as before."""
    parent = os.path.dirname(path)
    below = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
    mount("tmpfs", parent, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    for entry in os.scandir(f"/proc/self/fd/{below}"):
        target = os.path.join(parent, entry.name)
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), target)
            continue
        if entry.is_dir():
            os.mkdir(target)
        else:
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
        mount(entry.path, target, None, MS_BIND | MS_REC)
    os.close(below)
    os.mkdir(path)


def make_private(spec: dict[str, Any]) -> None:
    """Give this process and its children an own /opt/ml, and where it can be an own /etc/hosts, /dev/shm, host name."""
    if not LINUX:
        raise OSError("only Linux has private mounts")
    unshare(CLONE_NEWNS | CLONE_NEWUTS, os.geteuid(), os.getegid())
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    add_mount_point("/opt/ml")
    mount(spec["opt_ml"], "/opt/ml", None, MS_BIND | MS_REC)
    for number, shared in enumerate(spec["shared"]):
        keep_changes_apart(os.path.join("/opt/ml", shared), os.path.join(spec["run"], f"changes-{number}"))
    for inside, folder in spec["folders"].items():
        if not os.path.isdir(inside):
            add_private_entry(inside)
        mount(folder, inside, None, MS_BIND | MS_REC)
    try:
        mount(spec["hosts"], "/etc/hosts", None, MS_BIND)
        if os.path.isdir("/dev/shm"):
            # Shared memory of a killed program goes with its host, instead of filling the machine's.
            mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
        name = spec["hostname"].encode()[:LONGEST_HOSTNAME]
        check(libc.sethostname(name, ctypes.c_size_t(len(name))), "sethostname")
    except OSError as error:
        os.write(1, f"this host is not all of its own: {error.strerror}\n".encode())


def keep_changes_apart(path: str, changes: str) -> None:
    """Let the program write below `path` without changing the files there, which others share with it as hard links.

    Where this kernel or file system has no overlay, `path` becomes read-only: an input that cannot be changed in place
    is better than an S3 object that a job has changed.
    """
    upper, work = os.path.join(changes, "upper"), os.path.join(changes, "work")
    os.makedirs(upper, exist_ok=True)
    os.makedirs(work, exist_ok=True)
    os.chmod(upper, os.stat(path).st_mode & 0o7777)
    kept = [folder.replace("\\", "\\\\").replace(",", "\\,") for folder in (upper, work)]
    options = f"lowerdir={path},upperdir={kept[0]},workdir={kept[1]}"
    try:
        mount("overlay", path, "overlay", MS_NOSUID | MS_NODEV, options)
        os.chmod(os.path.join(work, "work"), 0o700)  # the kernel makes it without any right, also to delete it
    except OSError as error:
        mount(path, path, None, MS_BIND | MS_REC)
        mount("none", path, None, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV)
        os.write(1, f"{path} is read-only: changes cannot be kept apart here ({error.strerror})\n".encode())


def outside_paths(text: str, folder: str, inside: str = "/opt/ml") -> str:
    """`text` with the private directory `inside` replaced by what stands for it where mounts are refused."""
    return re.sub(rf"(?<![\w.-]){re.escape(inside)}(?![\w.-])", lambda _: folder, text)


def without_private_paths(spec: dict[str, Any]) -> None:
    """Let the program find its directories where they are, since nothing can be mounted here."""
    for inside, folder in {"/opt/ml": spec["opt_ml"], **spec["folders"]}.items():
        spec["env"] = {name: outside_paths(value, folder, inside) for name, value in spec["env"].items()}
        spec["argv"] = [outside_paths(value, folder, inside) for value in spec["argv"]]
        spec["cwd"] = outside_paths(spec["cwd"], folder, inside)


def descendants() -> list[int]:
    """Every living process below this one; the subreaper sees to it that none escapes."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue  # it ended while we looked
            parents.setdefault(int(fields[1]), []).append(int(name))
    found: list[int] = []
    queue = [os.getpid()]
    while queue:
        below = parents.get(queue.pop(), [])
        found += below
        queue += below
    return found


def send(main: int, number: int) -> None:
    """Signal the program's group and everything else that it started."""
    try:
        os.killpg(main, number)
        group_reached = True
    except OSError:
        group_reached = False  # the group is empty, or not made yet
    for pid in descendants() if LINUX else []:
        try:
            if not group_reached or os.getpgid(pid) != main:
                os.kill(pid, number)
        except OSError:
            continue


def write_if_allowed(path: str, text: str) -> bool:
    """Write to a file of the kernel or of the run directory; False when that is refused (or the disk is full)."""
    try:
        with open(path, "w") as file:
            file.write(text)
    except OSError:
        return False
    return True


def run_program(spec: dict[str, Any]) -> None:
    """In the child: become the program, with its whole environment and nothing of ours. Does not return."""
    try:
        if LINUX:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            write_if_allowed("/proc/self/oom_score_adj", "500")  # when memory runs out the program goes, not the server
        for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.chdir(spec["cwd"])
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execvpe(spec["argv"][0], spec["argv"], spec["env"])
    except OSError as error:
        os.write(2, f"cannot start {spec['argv'][0]} in {spec['cwd']}: {error}\n".encode())
    finally:
        os._exit(CANNOT_START)


def end_leftovers(main: int) -> None:
    """SIGTERM to what the program left behind, SIGKILL a second later, until this process has no child."""

    def kill_all(_number: int, _frame: object) -> None:
        send(main, signal.SIGKILL)

    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        send(main, signal.SIGTERM)
        signal.signal(signal.SIGALRM, kill_all)
        signal.setitimer(signal.ITIMER_REAL, LEFTOVER_GRACE, 0.05)
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        signal.setitimer(signal.ITIMER_REAL, 0)
    if not LINUX:
        send(main, signal.SIGKILL)


def supervise(spec: dict[str, Any]) -> tuple[int, float]:
    """Start the program in a process group of its own, forward signals to it; its wait status and when it ended."""
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
    ready, child_ready = os.pipe()
    main = os.fork()
    if main == 0:
        os.setpgid(0, 0)
        os.close(child_ready)
        run_program(spec)
    os.close(child_ready)
    os.read(ready, 1)  # returns when the child has closed its end: the group exists
    os.close(ready)
    for number in FORWARDED:
        signal.signal(number, lambda number, _frame: send(main, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == main:
            ended = time.time()  # before its leftovers, which may take a second
            end_leftovers(main)
            return status, ended


def write_json(path: str, value: dict[str, Any]) -> bool:
    """Write a file that is there whole or not at all."""
    if not write_if_allowed(f"{path}.new", json.dumps(value)):
        return False
    os.replace(f"{path}.new", path)
    return True


def main(spec_path: str) -> int:
    """Run the program of `spec_path`; the spec holds its environment and is deleted once read."""
    with open(spec_path, encoding="utf-8") as file:
        spec = json.load(file)
    os.unlink(spec_path)
    if LINUX:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        enter(spec["namespaces"])
    except OSError as error:
        os.write(2, f"cannot enter the network of the job: {error}\n".encode())
        return CANNOT_START
    namespace = None
    try:
        make_private(spec)
        namespace = os.stat("/proc/self/ns/mnt").st_ino
    except OSError as error:
        reason = f"/opt/ml is not private on this machine: use the SM_* variables ({error.strerror or error})\n"
        os.write(1, reason.encode())
        without_private_paths(spec)
    write_json(os.path.join(spec["run"], "init.json"), {"pid": os.getpid(), "mount_namespace": namespace})
    status, ended = supervise(spec)
    code = os.waitstatus_to_exitcode(status)
    result = {"pid": os.getpid(), "code": code if code >= 0 else None, "signal": -code if code < 0 else None}
    if write_json(os.path.join(spec["run"], "exit.json"), {**result, "time": ended}):
        return 0
    return code if code > 0 else 1  # a full disk: what is left is to tell the parent


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
