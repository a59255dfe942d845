"""Addresses and /etc/hosts of the machines algo-1..N: loopback addresses that no two running hosts share."""

from __future__ import annotations

import hashlib
import socket
import sys
from collections.abc import Collection, Mapping

LOCALHOST = "127.0.0.1"
_FIRST_BLOCK = 16  # below 127.16.0.0 live 127.0.0.1, resolvers (127.0.0.53) and Debian's 127.0.1.1
_HOSTS = 254  # .0 and .255 look like network and broadcast addresses to some programs
_COUNT = (240 - _FIRST_BLOCK) * 256 * _HOSTS


def allocate_addresses(count: int, in_use: Collection[str], seed: str) -> list[str]:
    """`count` consecutive loopback addresses, none of them `in_use`, so that jobs may use one fixed port at once.

    `seed` (the job's ARN, with the data directory) says where the search starts: servers that know nothing of each
    other rarely meet. Where the system has only 127.0.0.1 (macOS) every address is that one.
    """
    if sys.platform != "linux":
        return [LOCALHOST] * count
    start = int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=8).digest(), "big") % _COUNT
    taken = set(in_use)
    for step in range(len(taken) * (count + 1) + 2):
        block = [_address(start + step * count + index) for index in range(count)]
        if taken.isdisjoint(block):
            return block if all(map(_usable, block)) else [LOCALHOST] * count
    raise RuntimeError(f"no {count} free loopback addresses beside {len(taken)} in use")


def free_port(first: int, in_use: Collection[int]) -> int:
    """The first port from `first` on that no job of this cloud has and where no other program listens.

    A program of the machine, or a job of another cloud on it, may hold the usual one on every address.
    """
    return next(port for port in range(first, 65_536) if port not in in_use and _is_free(port))


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a connection that was closed a moment ago is no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def _address(number: int) -> str:
    block, low = divmod(number % _COUNT, _HOSTS)
    return f"127.{_FIRST_BLOCK + (block >> 8)}.{block & 0xFF}.{low + 1}"


def _usable(address: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def hosts_text(peers: Mapping[str, str]) -> str:
    """The text of an /etc/hosts that knows localhost and the peers.

    Servers that take both kinds of connections (torch's meeting point) see an IPv4 client by a mapped address and ask
    for its name. Without an answer here they ask a DNS server, which a job's own network lacks, and warn in the log.
    The names are others there, since a second line for `algo-1` would give it a second address.
    """
    known = {"localhost": LOCALHOST, **peers}
    mapped = {address: name for name, address in reversed(known.items())}
    lines = [f"{address}\t{name}\n" for name, address in known.items()]
    return "".join(lines + [f"::ffff:{address}\tip6-{mapped[address]}\n" for address in dict.fromkeys(known.values())])
