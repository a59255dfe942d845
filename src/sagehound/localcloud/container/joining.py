"""Whether the hosts of a job are one training: what its code could do, and what its processes have done"""

from __future__ import annotations

import ipaddress
import re
import sys
from collections.abc import Collection
from pathlib import Path

NOT_DISTRIBUTED = "{count} x the bill: this script is not distributed"
"""The line of algo-1's log that says so, once in a job; whoever reads logs looks for these words."""

_WAYS = re.compile(
    rb"torch\.distributed|init_process_group|DistributedDataParallel|SM_HOSTS|SM_TRAINING_ENV|SM_RESOURCE_CONFIG"
    rb"|resourceconfig\.json|MASTER_ADDR|SM_MASTER_ADDR|\b(?:horovod|deepspeed|accelerate|lightning|mpi4py"
    rb"|smdistributed|torchrun|mpirun|dask|ray|TF_CONFIG|xgboost|lightgbm)\b"
)
_SUFFIXES = {".py", ".sh", ".ipynb", ".yaml", ".yml", ".json", ".toml", ""}
_MOST_FILES, _MOST_BYTES = 2000, 1 << 20
_LISTEN = "0A"
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


def ways(code: Path) -> list[str]:
    """The words in a job's code that stand for joining hosts; empty when it cannot even know of other hosts.

    Blocking. A word is no proof: many scripts take SM_HOSTS as an argument and do nothing with it.
    """
    found: set[str] = set()
    for path in sorted(code.rglob("*"))[:_MOST_FILES]:
        if path.suffix in _SUFFIXES and path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                found.update(word.decode() for word in _WAYS.findall(file.read(_MOST_BYTES)))
    return sorted(found)


def not_distributed(count: int) -> str:
    """The line for a job of `count` hosts that are no single training."""
    return (
        f"WARNING: {NOT_DISTRIBUTED.format(count=count)}. {count} instances run independent copies of it, each over "
        "all of its input, and their models are merged file by file: ask for `distribution`, or join them with "
        "torch.distributed."
    )


def may_join(count: int, words: list[str]) -> str:
    """The line for a job whose code may join its hosts by itself."""
    return (
        f"{count} instances start this script and no `distribution` was asked for: they run independent copies, "
        f"unless it joins them into one training itself ({', '.join(words[:4])}). The end of this log says when no "
        "host has spoken to another."
    )


def machine_connections() -> list[str]:
    """The kernel's tables of the machine's TCP connections; none where there are no such tables."""
    return [table.read_text() for table in _TABLES if table.exists()]


def connected(addresses: Collection[str], tables: list[str]) -> bool | None:
    """Whether there is, or was within the last minute, a connection to one of the hosts' own addresses.

    The hosts meet at algo-1's address, which no other job has; the kernel lists closed connections for a minute. None
    where that cannot be seen: not on Linux, or hosts without addresses of their own.
    """
    own = {_written(address) for address in addresses if address != "127.0.0.1"}
    if not own or not tables:
        return None
    for table in tables:
        for line in table.splitlines()[1:]:
            _, local, remote, state, *_ = line.split()
            if state != _LISTEN and (_ipv4(local) in own or _ipv4(remote) in own):
                return True
    return False


def _written(address: str) -> str:
    """An IPv4 address as the kernel's tables have it: hexadecimal, the bytes in this machine's order."""
    return f"{int.from_bytes(ipaddress.IPv4Address(address).packed, sys.byteorder):08X}"


def _ipv4(endpoint: str) -> str:
    """The IPv4 part of `address:port`, also of an IPv6 socket that speaks IPv4."""
    return endpoint.partition(":")[0][-8:]
