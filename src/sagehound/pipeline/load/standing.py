"""A load at one moment, as it is shown while it lasts"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Standing:
    """What the live view shows. Latencies are milliseconds from the moment that a request was due."""

    target: str
    second: float
    duration: float
    speed: float
    closed: bool
    asked: float
    """Requests a second that are due now; the number of callers in a closed loop."""
    sent_rate: float
    answered_rate: float
    sent: int
    answered: int
    in_flight: int
    p50: float | None
    p90: float | None
    p99: float | None
    errors: dict[str, int]
    late: float
    """p99 of this program's own lateness, in milliseconds."""
    instances: dict[str, Any] | None
    concurrency: dict[str, Any] | None
    cold_starts: int
    activities: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For machines (``--json``)."""
        kept = {key: value for key, value in vars(self).items() if key not in ("activities", "target")}
        kept |= {"second": round(self.second, 2), "asked": round(self.asked, 3)}
        return {"target": self.target, **kept, "activities": len(self.activities)}
