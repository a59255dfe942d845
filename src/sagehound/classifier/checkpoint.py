"""Where a training stands, on disk: written whole or not at all, and only taken up by the same training."""

import os
import pickle
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

FORMAT = 2
_UNREADABLE = (
    RuntimeError, EOFError, OSError, ValueError, pickle.UnpicklingError, LookupError, AttributeError, TypeError,
)  # fmt: skip
"""What torch.load raises for files that were cut short or changed."""


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one training in one folder; `folder` None keeps none."""

    folder: Path | None
    identity: str
    """A hash over settings and data: a checkpoint of another training is left alone."""

    def path(self, stage: str) -> Path:
        if self.folder is None:
            raise ValueError("this training keeps no checkpoints")
        return self.folder / f"{stage}.pt"

    def save(self, stage: str, state: dict[str, Any]) -> None:
        """Write the state of a stage; a kill at any moment leaves the previous one or this one."""
        if self.folder is None:
            return
        path = self.path(stage)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        with temporary.open("wb") as file:
            torch.save({"format": FORMAT, "identity": self.identity, "state": state}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)

    def load(self, stage: str) -> tuple[dict[str, Any] | None, str | None]:
        """The state of a stage, or None with the reason when there is a file that is not of this training."""
        if self.folder is None or not self.path(stage).exists():
            return None, None
        try:
            content = torch.load(self.path(stage), map_location="cpu", weights_only=True)
        except _UNREADABLE as error:
            first_line = str(error).partition("\n")[0] or type(error).__name__
            return None, f"{self.path(stage)} cannot be read ({first_line}); starting from the beginning"
        known = isinstance(content, dict) and content.get("format") == FORMAT
        if not known or content.get("identity") != self.identity:
            return None, f"{self.path(stage)} is of another training (settings or data differ); starting afresh"
        state: dict[str, Any] = content["state"]
        return state, None


class Hosts(Protocol):
    """The hosts that train together."""

    @property
    def world(self) -> int: ...

    def broadcast(self, value: Any) -> Any: ...


class Rhythm:
    """When a checkpoint is due within an epoch: at the same step on every host, although their clocks differ.

    The main host decides. It is asked seldom: each answer says after how many steps the next one comes.
    """

    def __init__(self, hosts: Hosts, seconds: float) -> None:
        self._hosts = hosts
        self._seconds = seconds
        self._saved = self._looked = time.monotonic()
        self._steps = 0
        self._interval = 1

    def due(self) -> bool:
        """Whether to save now. Every host calls this once after each step, and all get the same answer."""
        self._steps += 1
        if self._steps < self._interval:
            return False
        now = time.monotonic()
        due, self._interval = self._hosts.broadcast(self._decide(now))
        self._steps, self._looked = 0, now
        if due:
            self.saved()
        return bool(due)

    def saved(self) -> None:
        """A checkpoint was just written: the time starts anew."""
        self._saved = time.monotonic()

    def _decide(self, now: float) -> tuple[bool, int]:
        elapsed = now - self._saved
        due = elapsed > self._seconds
        if self._hosts.world == 1:
            return due, 1
        left = self._seconds if due else self._seconds - elapsed
        steps = left * self._steps / max(now - self._looked, 1e-6)
        # At most twice as far as before: the first steps are slow and say little about the rest.
        return due, max(1, min(int(steps), 2 * self._interval))
