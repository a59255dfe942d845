"""Where a process stands among those that train together, from the variables that its launcher has set"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT_PORT = 7777
"""Where SageMaker's own toolkit lets the hosts of a job meet."""


@dataclass(frozen=True)
class Place:
    """Where this process stands before it has met the others."""

    rank: int
    world: int
    local_rank: int
    address: str
    port: int


def find_place(environ: Mapping[str, str]) -> Place:
    """Rank, world and meeting point: from torchrun's variables, else from mpirun's, else from SageMaker's SM_HOSTS.

    Raises ValueError when SM_CURRENT_HOST is not among SM_HOSTS.
    """
    port = int(environ.get("MASTER_PORT") or environ.get("SM_MASTER_PORT") or DEFAULT_PORT)
    hosts = sorted(json.loads(environ.get("SM_HOSTS") or "[]"), key=_host_number)
    first = environ.get("MASTER_ADDR") or environ.get("SM_MASTER_ADDR") or (hosts[0] if len(hosts) > 1 else None)
    address = first or "127.0.0.1"
    for rank, world, local in (
        ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
        ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    ):
        if rank in environ and world in environ:
            return Place(int(environ[rank]), int(environ[world]), int(environ.get(local, 0)), address, port)
    if len(hosts) < 2:
        return Place(0, 1, 0, "127.0.0.1", port)
    current = environ.get("SM_CURRENT_HOST", "")
    if current not in hosts:
        raise ValueError(f"SM_CURRENT_HOST {current!r} is not among SM_HOSTS {hosts}")
    return Place(hosts.index(current), len(hosts), 0, address, port)


def _host_number(host: str) -> tuple[int, str]:
    """algo-10 comes after algo-9."""
    tail = host.rpartition("-")[2]
    return (int(tail) if tail.isdigit() else 0, host)
