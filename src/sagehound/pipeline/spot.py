"""Managed spot training: what a job on spare instances is asked with, and how long it may wait for them."""

from __future__ import annotations

from dataclasses import dataclass

from sagehound.errors import SettingsError
from sagehound.settings import PipelineSettings


@dataclass(frozen=True)
class Spot:
    """A job on spot instances: AWS may take them back, and the job then goes on from its checkpoints."""

    max_wait_seconds: int

    @property
    def stopping(self) -> dict[str, int]:
        """What a StoppingCondition says beside MaxRuntimeInSeconds."""
        return {"MaxWaitTimeInSeconds": self.max_wait_seconds}


def spot_of(settings: PipelineSettings) -> Spot | None:
    """What the settings ask for; raises SettingsError for a wait that would end before the job may."""
    if not settings.spot.enabled:
        return None
    runtime = settings.train.max_runtime_seconds
    wait = settings.spot.max_wait_seconds or 2 * runtime
    if wait < runtime:
        raise SettingsError(
            f"spot.max_wait_seconds {wait} is below train.max_runtime_seconds {runtime}, which it includes",
            "Raise it, or lower train.max_runtime_seconds.",
        )
    return Spot(wait)
