"""Where a training stands, on disk: written whole or not at all, and only taken up by the same training."""

import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

FORMAT = 1
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
