"""One process at a time works on one entry of the cache folder."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def cache_lock(entry: Path) -> Iterator[None]:
    """Hold `ENTRY.lock` for the block; a second run waits, then finds the work done. The kernel frees it at exit."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    with entry.with_name(entry.name + ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
