"""Starts the processes of one host with the variables that mpirun sets, and ends them all when one fails.

Run by path with `python -I -S`; it imports nothing of ours. It ends as its first failed process did: with its exit
code, or by the same signal.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL for the processes beside one that has failed."""
DRAIN = 1.0
"""Longest wait for output behind the end of all processes: what they have left behind may hold their pipes open."""
LONGEST_LINE = 1 << 16


def parse(words: list[str]) -> argparse.Namespace:
    """The launcher's own arguments, and behind `--` the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--hosts", "--node", "--processes"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--torch", action="store_true", help="also set the variables that torchrun sets")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--ignored", default="", help="options of mpirun that have no effect here, to be told")
    parser.add_argument("program", nargs="+")
    return parser.parse_args(words)


def variables(told: argparse.Namespace, local: int, inherited: dict[str, str]) -> dict[str, str]:
    """The environment of the process number `local` of this host."""
    rank, world = told.node * told.processes + local, told.hosts * told.processes
    threads = int(inherited.get("OMP_NUM_THREADS") or 1)
    found = {
        "OMPI_COMM_WORLD_RANK": rank,
        "OMPI_COMM_WORLD_SIZE": world,
        "OMPI_COMM_WORLD_LOCAL_RANK": local,
        "OMPI_COMM_WORLD_LOCAL_SIZE": told.processes,
        "OMPI_COMM_WORLD_NODE_RANK": local,
        "OMPI_UNIVERSE_SIZE": world,
        "OMP_NUM_THREADS": max(1, threads // told.processes),
    }
    if told.torch:
        found |= {"RANK": rank, "WORLD_SIZE": world, "LOCAL_RANK": local, "LOCAL_WORLD_SIZE": told.processes}
        found |= {"GROUP_RANK": told.node}
    given = dict(text.split("=", 1) for text in told.set)
    return {**inherited, **{name: str(value) for name, value in found.items()}, **given}


def tell(told: argparse.Namespace) -> None:
    """Say what happens here in place of mpirun."""
    first = told.node * told.processes
    lines = [
        f"No mpirun here: {told.processes} process(es) start on each of {told.hosts} host(s), ranks {first} to "
        f"{first + told.processes - 1} on this one, with OMPI_COMM_WORLD_* set. They have no MPI between them unless "
        "the script brings one; torch.distributed finds the others at MASTER_ADDR and MASTER_PORT."
    ]
    if told.ignored:
        lines.append(f"Options of mpirun without effect: {told.ignored}")
    print("\n".join(lines), flush=True)


def start(told: argparse.Namespace) -> tuple[dict[int, int], list[threading.Thread]]:
    """Start the processes in this process's group: process ids with local ranks, and the copiers of their output.

    OSError when the program cannot be started. Processes that share a log would write into each other's lines: a
    print is two writes where Python does not buffer.
    """
    running: dict[int, int] = {}
    copiers: list[threading.Thread] = []
    for local in range(told.processes):
        environment = variables(told, local, dict(os.environ))
        if told.processes == 1:
            pid = os.posix_spawnp(told.program[0], told.program, environment, setsigmask=(), setsigdef=FORWARDED)
            return {pid: local}, []
        source, sink = os.pipe()
        actions = [(os.POSIX_SPAWN_DUP2, sink, number) for number in (1, 2)]
        pid = os.posix_spawnp(
            told.program[0], told.program, environment, file_actions=actions, setsigmask=(), setsigdef=FORWARDED
        )
        os.close(sink)
        running[pid] = local
        copiers.append(threading.Thread(target=copy_lines, args=(source,), daemon=True))
        copiers[-1].start()
    return running, copiers


def copy_lines(source: int) -> None:
    """Copy whole lines to this process's output until the pipe ends."""
    rest = b""
    while data := os.read(source, LONGEST_LINE):
        rest += data
        whole = len(rest) if len(rest) >= LONGEST_LINE else rest.rfind(b"\n") + 1
        if whole:
            os.write(1, rest[:whole])
            rest = rest[whole:]
    if rest:
        os.write(1, rest + b"\n")


def reap(running: dict[int, int]) -> list[tuple[int, int]]:
    """(local rank, exit code or minus the signal) of the processes that have ended, which leave `running`."""
    ended = []
    for pid in list(running):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            ended.append((running.pop(pid), os.waitstatus_to_exitcode(status)))
    return ended


def send(running: dict[int, int], number: int) -> None:
    """Signal the processes that still run; one that has not been waited for cannot be another's."""
    for pid in running:
        os.kill(pid, number)


def next_signal(seconds: float) -> int:
    """The next signal to pass on; 0 when a process has ended, nothing came, or the init of the host has told them."""
    wanted = {signal.SIGCHLD, *FORWARDED}
    if sys.platform == "linux":
        came = signal.sigtimedwait(wanted, seconds)
        # The init signals every process of its host itself; whoever else signals us means all of us.
        return 0 if came is None or came.si_signo == signal.SIGCHLD or came.si_pid == os.getppid() else came.si_signo
    time.sleep(min(seconds, 0.05))
    if signal.sigpending() & wanted:
        signal.sigwait(wanted)  # the init has signalled the whole group
    return 0


def await_end(running: dict[int, int]) -> int:
    """Wait for all; pass signals on; the exit code of the first that failed, minus the signal that ended it, or 0."""
    failure, deadline = 0, 0.0
    while running:
        wait = max(0.0, deadline - time.monotonic()) if deadline else 3600.0
        passed_on = next_signal(wait)
        if passed_on:
            send(running, passed_on)
        for local, code in reap(running):
            if code != 0 and not failure:
                failure, deadline = code, time.monotonic() + GRACE
                how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
                print(f"Process {local} of this host {how}: the others are ended.", file=sys.stderr, flush=True)
                send(running, signal.SIGTERM)
        if deadline and time.monotonic() >= deadline:
            send(running, signal.SIGKILL)
            deadline = time.monotonic() + GRACE
    return failure


def main(words: list[str]) -> int:
    """Start, wait, and end as the first failed process did."""
    told = parse(words)
    tell(told)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, *FORWARDED})
    try:
        running, copiers = start(told)
    except OSError as error:
        print(f"cannot start {told.program[0]}: {error}", file=sys.stderr, flush=True)
        return 127
    code = await_end(running)
    deadline = time.monotonic() + DRAIN
    for copier in copiers:
        copier.join(max(0.0, deadline - time.monotonic()))
    if code >= 0:
        return code
    if -code in FORWARDED:
        signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {-code})
    os.kill(os.getpid(), -code)
    return 128 - code  # a signal that does not end this process, as one that is ignored


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
