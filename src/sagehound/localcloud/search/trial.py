"""A trial of a search, and what every strategy offers: the next point to try, and whether to stop a trial early"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sagehound.localcloud.search.dimensions import Value

RUNNING, SUCCEEDED, FAILED, STOPPED = "Running", "Succeeded", "Failed", "Stopped"


@dataclass(frozen=True, slots=True)
class Trial:
    """A training job as the search sees it."""

    number: int
    """0.. in order of creation; the trials of a warm start's parents have negative numbers."""
    parameters: dict[str, Value]
    state: str
    """Running, Succeeded, Failed, or Stopped: stopped early, its value kept."""
    value: float | None
    values: tuple[float, ...] = ()
    """The intermediate values of the objective in order, one an epoch."""

    @property
    def measured(self) -> bool:
        """Whether the trial has ended with a value that a search can learn from."""
        return self.state in (SUCCEEDED, STOPPED) and self.value is not None and math.isfinite(self.value)


Stopping = Callable[[Trial, list[Trial]], bool]
"""Whether a running trial is to be stopped, given all trials: asked after each of its values."""


def stops(stopping: Stopping, number: int, history: list[Trial]) -> bool:
    """What a stopping rule says of trial `number`; a trial that does not run is not stopped."""
    trial = next((one for one in history if one.number == number), None)
    return trial is not None and trial.state == RUNNING and stopping(trial, history)


class Search(Protocol):
    """A strategy at work. It keeps nothing that the history does not say, so a restart of the server loses nothing."""

    async def ask(self, number: int, history: list[Trial]) -> dict[str, Value] | None:
        """The hyperparameters of trial `number`; None when the space has no point left that was not tried."""

    async def should_stop(self, number: int, history: list[Trial]) -> bool:
        """Whether the running trial `number` should be stopped, going by its values so far."""

    async def close(self) -> None:
        """End whatever process the search has."""
