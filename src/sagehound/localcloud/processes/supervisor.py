"""How the cloud runs programs: start on a host, signal, wait, adopt after a restart, stream the output.

`Supervisor` is the one Protocol between services and processes: local processes implement it (local.py), an existing
cluster engine can be the next; nothing above it knows which.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


class NoNetwork(Exception):
    """This machine gives programs no networks of their own; the text says why."""


class Network(Protocol):
    """A network of its own, shared by the hosts of one job: loopback only, and in it the cloud at its usual address."""

    @property
    def entrance(self) -> str:
        """The cloud's URL in it: kept by the owner for `enter_network`."""

    @property
    def namespaces(self) -> tuple[int, ...]:
        """Descriptors of what a program's host enters, in this order."""

    def connections(self) -> list[str]:
        """Its TCP connections as the kernel writes them (/proc/net/tcp, tcp6), with those closed a moment ago."""

    def close(self) -> None:
        """Let go of it: the cloud is not reached from there any more, and it ends with the last program in it."""


@dataclass(frozen=True, slots=True)
class Host:
    """A machine as a program sees it: a name, an address, a root directory that holds its /opt/ml, its /etc/hosts."""

    name: str
    root: Path
    """`root/opt/ml` is /opt/ml inside (private where the kernel allows it); `root/run` is the supervisor's own."""
    address: str = "127.0.0.1"
    peers: dict[str, str] = field(default_factory=dict)
    """Host names that must resolve inside, with their addresses (algo-1..N)."""
    shared: tuple[str, ...] = ()
    """Directories below /opt/ml whose files are links that others hold too: changes there stay with this host."""
    folders: dict[str, Path] = field(default_factory=dict)
    """Further private directories: the path inside, and what lies there (used itself where mounts are refused)."""
    network: Network | None = None
    """None is the machine's own."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run: the argument list, the whole environment (nothing is inherited), the working directory."""

    argv: list[str]
    env: dict[str, str]
    cwd: Path


@dataclass(frozen=True, slots=True)
class Exit:
    """How a program ended: its exit code, or the signal that ended it; `lost` when nobody saw it end."""

    code: int | None
    signal: int | None = None
    lost: bool = False
    at: float | None = field(default=None, compare=False)
    """Seconds since 1970 when it ended, so that the ends of several programs can be put in order."""

    @property
    def success(self) -> bool:
        return self.code == 0


Handle = dict[str, Any]
"""A running program as JSON (pid, create time, root): kept by its owner, enough to adopt it after a restart."""

LineSink = Callable[[float, str], None]
"""Called with (seconds since 1970, line without its newline) for every line of output, in order."""


class Supervisor(Protocol):
    """Runs programs that outlive this server: a crash of the server ends none of them."""

    async def make_network(self) -> Network:
        """A network with nothing in it but the cloud, the caller's to close. NoNetwork where the system gives none."""

    async def enter_network(self, handle: Handle, entrance: str) -> Network:
        """The network of a running program of an earlier server; NoNetwork when it cannot be entered."""

    async def start(self, host: Host, program: Program) -> Handle:
        """Start a program as a process group of its own, its output kept in a file below `host.root/run`."""

    def find(self, root: Path) -> Handle | None:
        """The program that runs on the host of this root: started by a server that died before it kept the handle.

        Nobody has followed it, so its output counts from the beginning of the file.
        """

    def is_running(self, handle: Handle) -> bool:
        """Whether that very process (pid and create time) still lives."""

    async def follow(self, handle: Handle, sink: LineSink, offset: int = 0) -> Exit:
        """Feed the output from byte `offset` on to `sink` until the program has ended and all its lines were fed."""

    def output_offset(self, handle: Handle) -> int:
        """Up to which byte `follow` has fed the sink: kept by the owner to go on there after a restart."""

    def signal(self, handle: Handle, number: int) -> None:
        """Send a signal to the whole process group; nothing happens when it has ended."""

    async def stop(self, handle: Handle, grace: float) -> Exit:
        """SIGTERM to the whole group, `grace` seconds to end, then SIGKILL; returns when every process is gone."""

    def remove(self, handle: Handle) -> None:
        """Forget an ended program: its output file and its mounts; the host's root stays the owner's."""
