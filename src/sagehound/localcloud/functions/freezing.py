"""When environments are stopped: a moment after they are idle, so that a busy one is not stopped between two calls."""

from __future__ import annotations

import asyncio
from typing import Protocol

QUIET_SECONDS = 0.02
"""A stop and a continue cost a process switch each; AWS too lets a moment pass before it freezes an environment."""


class Freezable(Protocol):
    """An idle environment."""

    def freeze(self) -> None:
        """Stop every process of it."""


class Freezer:
    """One timer for all: what was idle for a whole period of it is stopped."""

    def __init__(self) -> None:
        self._quiet: set[Freezable] = set()
        self._next: set[Freezable] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, environment: Freezable) -> None:
        """It is idle from now on."""
        self._next.add(environment)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(QUIET_SECONDS, self._look)

    def discard(self, environment: Freezable) -> None:
        """It is idle no more."""
        self._next.discard(environment)
        self._quiet.discard(environment)

    def _look(self) -> None:
        self._timer = None
        stopping, self._quiet, self._next = self._quiet, self._next, set()
        for environment in stopping:
            environment.freeze()
        if self._quiet:
            self._timer = asyncio.get_running_loop().call_later(QUIET_SECONDS, self._look)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
