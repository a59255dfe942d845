"""The trials of a tuning job: what each tried, what it reached, and which is the best so far."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sagehound.pipeline.clients import Clients

_NUMBER = re.compile(r"-(\d{3,})-[0-9a-f]{8}$")


@dataclass(frozen=True)
class Trial:
    """One training job of a tuning job."""

    number: int
    job_name: str
    status: str
    tuned: dict[str, str]
    """Hyperparameters as AWS tells them, as texts."""
    value: float | None
    """The objective's final value; None where there is none (yet)."""
    seconds: float | None
    reason: str
    """FailureReason, or "" where there is none."""

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in ("Completed", "Failed", "Stopped")

    @property
    def shown(self) -> dict[str, str]:
        """Hyperparameters for people: numbers short, categorical values without their JSON quotes."""
        return {name: _short(text) for name, text in sorted(self.tuned.items())}


def trials_of(clients: Clients, tuning_name: str) -> list[Trial]:
    """All trials so far, the first one first."""
    pages = clients.sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
        HyperParameterTuningJobName=tuning_name, SortBy="CreationTime", SortOrder="Ascending"
    )
    summaries = [summary for page in pages for summary in page["TrainingJobSummaries"]]
    return sorted((_trial(summary, place) for place, summary in enumerate(summaries, 1)), key=lambda one: one.number)


def best_of(trials: Sequence[Trial], *, minimize: bool) -> Trial | None:
    """The trial with the best value among those that did not fail; None before the first."""
    valued = [trial for trial in trials if trial.value is not None and trial.status in ("Completed", "Stopped")]
    if not valued:
        return None
    return min(valued, key=lambda trial: (trial.value or 0.0) if minimize else -(trial.value or 0.0))


def failures(trials: Sequence[Trial]) -> Iterator[Trial]:
    """The trials that failed, the first one first."""
    return (trial for trial in trials if trial.status == "Failed")


def _trial(summary: dict[str, Any], place: int) -> Trial:
    numbered = _NUMBER.search(summary["TrainingJobName"])
    metric = summary.get("FinalHyperParameterTuningJobObjectiveMetric")
    begin, end = summary.get("TrainingStartTime"), summary.get("TrainingEndTime")
    return Trial(
        number=int(numbered.group(1)) if numbered else place,
        job_name=summary["TrainingJobName"],
        status=summary["TrainingJobStatus"],
        tuned=dict(summary["TunedHyperParameters"]),
        value=float(metric["Value"]) if metric else None,
        seconds=(end - begin).total_seconds() if begin and end else None,
        reason=summary.get("FailureReason", ""),
    )


def _short(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return f"{value:.4g}" if isinstance(value, float) else str(value)
