"""The result of a load as a file: what was asked for, what came of it second by second, and what the cloud did"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.load.shape import faults

FORMAT = 1
_ELSEWHERE = "Name another file: --save FILE."
_LIMITS = {
    "generator": "this program was full, not the target",
    "max_in_flight": "load.max_in_flight was reached here, not what the target holds",
    "max_rate": "the search ends at load.max_rate",
}
_AGAIN = "Make it with `sagehound load`, or name another file."


@dataclass(frozen=True)
class Capacity:
    """The highest rate that held a bound, as the verifying run measured it."""

    rate: float
    """Requests a second of the whole target that held the bound."""
    per_instance: float
    instances: int
    instance_type: str
    p99: float
    """Milliseconds, in the verifying run."""
    bound: float
    """Milliseconds that the 99th percentile was held below."""
    tolerance: float
    limit: float | None = None
    """The lowest rate that did not hold the bound; None where none was found."""
    steps: list[dict[str, Any]] = field(default_factory=list)
    limited_by: str = ""
    """What ended the search where it was not the target: generator, max_in_flight or max_rate."""

    def sentence(self) -> str:
        """one ml.m5.large instance holds 41.2 a second at p99 180 ms."""
        what = f"one {self.instance_type} instance" if self.instance_type else "it"
        least = "at least " if self.limited_by else ""
        held = f"{what} holds {least}{self.per_instance:.3g} a second at p99 {self.p99:.0f} ms (bound {self.bound:g} ms"
        return f"{held}; {_LIMITS.get(self.limited_by, self.limited_by)})" if self.limited_by else f"{held})"


@dataclass
class LoadResult:
    """A load. Latencies are milliseconds from the moment that a request was due; seconds count from the begin."""

    target: dict[str, Any]
    plan: dict[str, Any]
    started: str
    """ISO 8601, real time."""
    speed: float
    """How fast the cloud's own clock ran."""
    ended: str
    """completed, or interrupted."""
    elapsed: float
    sent: int
    answered: int
    seconds: list[dict[str, Any]]
    percentiles: dict[str, float]
    """Of good answers and of requests that were waited for in vain."""
    corrected: dict[str, float] | None
    """Of a closed loop: with the requests that its callers did not send while they waited."""
    errors: dict[str, int]
    error_words: dict[str, str]
    instances: list[dict[str, Any]]
    concurrency: list[dict[str, Any]]
    cold_starts: int | None
    activities: list[dict[str, Any]]
    generator: dict[str, Any]
    """How well this program kept up: its lateness, what it held back, its share of a core, and ``kept_up``."""
    remarks: list[str]
    provisioned: dict[str, int] | None = None
    """Calls that met an environment that was kept ready (``invocations``) and that did not (``spillover``)."""
    capacity: Capacity | None = None

    @property
    def failed(self) -> int:
        """Requests that were not answered as they should be."""
        return sum(self.errors.values())

    @property
    def rate(self) -> float:
        """Good answers a second, until the last of them came or the last request was due, whichever was later.

        What an overloaded target answers afterwards took that time too; one request that nobody answered takes none.
        """
        last = max((one["second"] + 1 for one in self.seconds if one["answered"]), default=self.elapsed)
        took = min(self.elapsed, max(last, float(self.plan["duration"])))
        return self.answered / took if took else 0.0

    def write(self, path: Path) -> None:
        """Write it whole or not at all; raises StepFailed where the file cannot be written."""
        content = {"format": FORMAT, **asdict(self)}
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            partial.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
            partial.replace(path)
        except OSError as error:
            raise StepFailed("load", f"{path} cannot be written: {error}", _ELSEWHERE) from error
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def read(cls, path: Path, step: str = "load") -> LoadResult:
        """A result that was written; raises StepFailed of ``step`` for what is none."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise StepFailed(step, f"{path} cannot be read: {error}", _AGAIN) from error
        except ValueError as error:
            raise StepFailed(step, f"{path} is no JSON: {error}", _AGAIN) from error
        if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
            raise StepFailed(step, f"{path} is no result of a load (format {FORMAT})", _AGAIN)
        if fault := next(faults(content), ""):
            raise StepFailed(step, f"{path} is no whole result of a load: {fault}", _AGAIN)
        try:
            capacity = content.pop("capacity", None)
            return cls(**content, capacity=Capacity(**capacity) if capacity else None)
        except TypeError as error:
            raise StepFailed(step, f"{path} is no whole result of a load: {error}", _AGAIN) from error


def require_place(path: Path) -> None:
    """Refuse a place where no result can be written, before a load is sent whose result would be lost there."""
    if path.is_dir():
        raise StepFailed("load", f"--save {path} is a folder", "Name a file in it: --save FILE.")
    if not path.parent.is_dir():
        raise StepFailed(
            "load", f"--save {path}: there is no folder {path.parent}", "Make it, or name another file: --save FILE."
        )
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise StepFailed(
            "load", f"--save {path}: nothing can be written there: {error.strerror}", _ELSEWHERE
        ) from error
