"""The memory of a serverless variant's containers: an end for those that have more than MemorySizeInMB."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from sagehound.localcloud.functions.memory import resident_kb
from sagehound.localcloud.processes.supervisor import Handle, Supervisor

_LOOK_SECONDS = 0.1


async def limit_memory(limit_mb: int, handle: Handle, supervisor: Supervisor, say: Callable[[str], None]) -> None:
    """Watch the processes of a container until they end; what they share counts for each of them."""
    while supervisor.is_running(handle):
        used = resident_kb(_tree(handle["pid"])) // 1024
        if used > limit_mb:
            say(f"The container has {used} MB in memory, more than its MemorySizeInMB ({limit_mb}): it is ended.")
            await supervisor.stop(handle, 0.0)
            return
        await asyncio.sleep(_LOOK_SECONDS)


def _tree(pid: int) -> list[int]:
    """A process and all that came from it."""
    found = [pid]
    for parent in found:
        try:
            for thread in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{thread}/children", "rb") as file:
                    found += map(int, file.read().split())
        except OSError:
            continue  # it has ended
    return found
