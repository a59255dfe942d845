"""Who waits for what of a training job: its end, or a new value of its objective metric"""

from __future__ import annotations

from collections.abc import Callable


class TrainingEvents:
    """One listener a job: the tuning job that started it. What has happened is read from the job's records."""

    def __init__(self) -> None:
        self._listeners: dict[tuple[str, str], Callable[[], None]] = {}

    def listen(self, region: str, name: str, listener: Callable[[], None]) -> None:
        """Call `listener` whenever something has happened to the job."""
        self._listeners[region, name] = listener

    def forget(self, region: str, name: str) -> None:
        """The listener wants no more of this job."""
        self._listeners.pop((region, name), None)

    def tell(self, region: str, name: str) -> None:
        """Something has happened to the job, and its records say so already."""
        listener = self._listeners.get((region, name))
        if listener is not None:
            listener()
