"""Which requests a model server has begun: bytes that it shares with its router and that survive both.

The router names a slot in the `x-slot` header; the server sets the slot's byte just before the handler runs. When a
server dies, a byte that is still zero proves that the handler has never seen the request, so it may go elsewhere.
"""

from __future__ import annotations

import mmap
from pathlib import Path

SLOTS = 4096
HEADER = "x-slot"


class Ledger:
    """The router's side: slots are taken for a request and given back after it."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(SLOTS))
        with path.open("r+b") as file:
            self._bytes = mmap.mmap(file.fileno(), SLOTS)
        self._free = list(range(SLOTS))

    def take(self) -> int | None:
        """A slot whose byte is zero; None when thousands of requests are on their way (their loss is then final)."""
        if not self._free:
            return None
        slot = self._free.pop()
        self._bytes[slot] = 0
        return slot

    def begun(self, slot: int | None) -> bool:
        """Whether the handler has begun, or may have."""
        return slot is None or self._bytes[slot] != 0

    def give_back(self, slot: int | None) -> None:
        """The request is over."""
        if slot is not None:
            self._free.append(slot)
