"""Makes a network for a job, or enters that of a running process, and listens in it at the cloud's address.

Run as a module with `python -S -P` for as long as its owner lives. Each request is done by a child, which hands over
what it has made as file descriptors: a network lives as long as a process is in it or somebody holds one of them.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import socket
import struct
import sys
from contextlib import suppress

from sagehound.localcloud.processes.host_init import CLONE_NEWNET, check, libc, unshare

SIOCSIFFLAGS, SIOCSIFADDR = 0x8914, 0x8916
IFF_UP, IFF_RUNNING = 0x1, 0x40
BACKLOG = 2048
LONGEST_REQUEST = 4096


def namespace(kind: str, process: str = "self") -> str:
    """The file that stands for a namespace of a process."""
    return f"/proc/{process}/ns/{kind}"


def make() -> dict[str, int]:
    """A network namespace of our own, as an ordinary user below a user namespace; what a host enters, in that order."""
    before = os.stat(namespace("user")).st_ino
    unshare(CLONE_NEWNET, os.geteuid(), os.getegid())
    kinds = ["user", "net"] if os.stat(namespace("user")).st_ino != before else ["net"]
    return {kind: os.open(namespace(kind), os.O_RDONLY | os.O_CLOEXEC) for kind in kinds}


def enter(process: str) -> None:
    """The network of a process; OSError when it has ended or its network may not be entered."""
    for kind in ("user", "net"):
        descriptor = os.open(namespace(kind, process), os.O_RDONLY | os.O_CLOEXEC)
        if not os.path.sameopenfile(descriptor, own := os.open(namespace(kind), os.O_RDONLY | os.O_CLOEXEC)):
            check(libc.setns(descriptor, 0), f"setns {kind}")
        os.close(own)
        os.close(descriptor)


def bring_up(host: str) -> None:
    """Switch the loopback interface on, with `host` as an address of its own where it is none of loopback's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP | IFF_RUNNING))
        if ":" in host or host == "localhost" or (ip := ipaddress.IPv4Address(host)).is_loopback or ip.is_unspecified:
            return
        address = struct.pack("16sHH4s8x", b"lo:0", socket.AF_INET, 0, ip.packed)
        fcntl.ioctl(control, SIOCSIFADDR, address)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket: it belongs to the network in which it was made, whoever accepts on it."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(BACKLOG)
    return listener


def tables() -> dict[str, int]:
    """The kernel's lists of TCP connections of this network: read again and again also when no process is in it."""
    paths = {name: f"/proc/self/net/{name}" for name in ("tcp", "tcp6")}
    return {name: os.open(path, os.O_RDONLY | os.O_CLOEXEC) for name, path in paths.items() if os.path.exists(path)}


def answer(owner: socket.socket, host: str, port: str, process: str = "") -> None:
    """Names with their descriptors, or why there is no such network."""
    try:
        if process:
            enter(process)
        found = {} if process else make()
        bring_up(host)
        found = {"listener": listen(host, int(port)).detach(), **tables(), **found}
    except (OSError, ValueError) as error:
        owner.sendall((getattr(error, "strerror", None) or str(error)).encode())
        return
    socket.send_fds(owner, [" ".join(found).encode()], list(found.values()))


def main(descriptor: str) -> int:
    """Answer what comes through the socket `descriptor`, one request after the other, until it is closed."""
    with socket.socket(fileno=int(descriptor)) as owner, suppress(BrokenPipeError):
        while request := owner.recv(LONGEST_REQUEST):
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    answer(owner, *request.decode().split())
                    status = 0
                finally:
                    os._exit(status)
            if os.waitpid(child, 0)[1] != 0:
                owner.sendall(b"the process that makes them failed")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
