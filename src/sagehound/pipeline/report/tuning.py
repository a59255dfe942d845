"""The tuning job of a report: its trials, its ranges, its objective and the best of it"""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sagehound.pipeline.clients import Clients
from sagehound.pipeline.report.charts.scales import short
from sagehound.pipeline.report.jobs import JobReport, instances_of, times_of

_READERS = 8


@dataclass(frozen=True)
class Hyperparameter:
    """One dimension of the search; ``limits`` is None for categories."""

    name: str
    limits: tuple[float, float] | None
    logarithmic: bool
    categories: tuple[str, ...]


@dataclass(frozen=True)
class Trial:
    """One training job of the search, numbered from 1 in the order of creation."""

    number: int
    name: str
    status: str
    values: dict[str, str]
    objective: float | None
    failure: str
    seconds: float | None
    billable_seconds: float | None
    best: bool
    metrics: dict[str, float] = field(default_factory=dict)
    """FinalMetricDataList: the last value of each metric."""

    @property
    def label(self) -> str:
        """``trial 3 (learning_rate 0.01, batch_size 64)``."""
        return f"trial {self.number} ({', '.join(f'{name} {value}' for name, value in self.shown.items())})"

    @property
    def shown(self) -> dict[str, str]:
        """The values as people read them: numbers without the digits that nobody compares."""
        return {name: _rounded(value) for name, value in self.values.items()}


@dataclass(frozen=True)
class Tuning:
    """A hyperparameter tuning job and its trials."""

    name: str
    status: str
    strategy: str
    objective: str
    minimize: bool
    early_stopping: str
    parallel: int
    wanted: int
    hyperparameters: list[Hyperparameter]
    trials: list[Trial]
    seconds: float | None
    failure: str
    instance_type: str
    instance_count: int
    started: datetime | None = None

    @property
    def best(self) -> Trial | None:
        """The best trial, None where none has a value."""
        return next((trial for trial in self.trials if trial.best), None)

    @property
    def failed(self) -> list[Trial]:
        """The trials that failed."""
        return [trial for trial in self.trials if trial.status == "Failed"]

    def row(self) -> JobReport:
        """All trials together as a row beside the other jobs."""
        billed = [trial.billable_seconds for trial in self.trials if trial.billable_seconds is not None]
        figures = {}
        if self.best is not None and self.best.objective is not None:
            figures[self.objective] = self.best.objective
        return JobReport(
            name=self.name,
            role=f"tuning, {len(self.trials)} trial{'s' if len(self.trials) != 1 else ''}",
            status=self.status,
            instance_type=self.instance_type,
            instance_count=self.instance_count,
            seconds=self.seconds,
            billable_seconds=sum(billed) if billed else None,
            figures=figures,
            failure=self.failure,
            started=self.started,
        )


def read_tuning(clients: Clients, name: str) -> Tuning:
    """The tuning job with its trials; raises botocore's ClientError where there is none of that name."""
    job = clients.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    definitions = job.get("TrainingJobDefinitions") or [job["TrainingJobDefinition"]]
    config = job["HyperParameterTuningJobConfig"]
    objective = config.get("HyperParameterTuningJobObjective") or definitions[0].get("TuningObjective") or {}
    summaries = _summaries(clients, name)
    with ThreadPoolExecutor(_READERS) as pool:
        described = list(
            pool.map(lambda s: clients.sagemaker.describe_training_job(TrainingJobName=s["TrainingJobName"]), summaries)
        )
    minimize = objective.get("Type", "Minimize") == "Minimize"
    best = (job.get("BestTrainingJob") or {}).get("TrainingJobName") or _best_name(summaries, minimize)
    limits = config["ResourceLimits"]
    instance_type, instance_count = instances_of(described[0]) if described else ("", 0)
    return Tuning(
        name=name,
        status=job["HyperParameterTuningJobStatus"],
        strategy=config["Strategy"],
        objective=objective.get("MetricName", "objective"),
        minimize=minimize,
        early_stopping=config.get("TrainingJobEarlyStoppingType", "Off"),
        parallel=limits["MaxParallelTrainingJobs"],
        wanted=limits.get("MaxNumberOfTrainingJobs", len(summaries)),
        hyperparameters=_hyperparameters([config, *definitions], summaries),
        trials=[
            _trial(number, summary, job, best)
            for number, (summary, job) in enumerate(zip(summaries, described, strict=True), 1)
        ],
        seconds=_seconds(job),
        failure=job.get("FailureReason", ""),
        instance_type=instance_type,
        instance_count=instance_count,
        started=job["CreationTime"],
    )


def _summaries(clients: Clients, name: str) -> list[dict[str, Any]]:
    pages = clients.sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
        HyperParameterTuningJobName=name, SortBy="CreationTime", SortOrder="Ascending"
    )
    return [summary for page in pages for summary in page["TrainingJobSummaries"]]


def _trial(number: int, summary: dict[str, Any], job: dict[str, Any], best: str) -> Trial:
    seconds, billable = times_of(job)
    return Trial(
        number=number,
        name=summary["TrainingJobName"],
        status=summary["TrainingJobStatus"],
        values={name: plain(value) for name, value in (summary.get("TunedHyperParameters") or {}).items()},
        objective=_objective(summary),
        failure=summary.get("FailureReason") or job.get("FailureReason") or "",
        seconds=seconds,
        billable_seconds=billable,
        best=summary["TrainingJobName"] == best,
        metrics={data["MetricName"]: float(data["Value"]) for data in job.get("FinalMetricDataList", [])},
    )


def _objective(summary: dict[str, Any]) -> float | None:
    value = (summary.get("FinalHyperParameterTuningJobObjectiveMetric") or {}).get("Value")
    return float(value) if value is not None and math.isfinite(value) else None


def _best_name(summaries: list[dict[str, Any]], minimize: bool) -> str:
    valued = [(value, s["TrainingJobName"]) for s in summaries if (value := _objective(s)) is not None]
    return str((min if minimize else max)(valued)[1]) if valued else ""


def _seconds(job: dict[str, Any]) -> float | None:
    if "HyperParameterTuningEndTime" not in job:
        return None
    return float((job["HyperParameterTuningEndTime"] - job["CreationTime"]).total_seconds())


def _hyperparameters(places: list[dict[str, Any]], summaries: list[dict[str, Any]]) -> list[Hyperparameter]:
    """The ranges of the job and of its definitions (which say HyperParameterRanges), each name once."""
    found: dict[str, Hyperparameter] = {}
    for place in places:
        ranges = place.get("ParameterRanges") or place.get("HyperParameterRanges") or {}
        for member in ("ContinuousParameterRanges", "IntegerParameterRanges"):
            for one in ranges.get(member, []):
                found.setdefault(one["Name"], _numeric(one))
        for one in ranges.get("CategoricalParameterRanges", []):
            found.setdefault(one["Name"], _categorical(one["Name"], [plain(value) for value in one["Values"]]))
    for summary in summaries:
        for name in summary.get("TunedHyperParameters") or {}:
            if name not in found:
                values = sorted({plain((s.get("TunedHyperParameters") or {}).get(name, "")) for s in summaries})
                found[name] = _categorical(name, values)
    return list(found.values())


def _numeric(one: dict[str, Any]) -> Hyperparameter:
    low, high = float(one["MinValue"]), float(one["MaxValue"])
    scaling = one.get("ScalingType", "Auto")
    # Auto leaves the choice to the tuner: two decades and more are seen only on a logarithmic axis.
    logarithmic = scaling == "Logarithmic" or (scaling == "Auto" and low > 0 and high / low >= 100)
    return Hyperparameter(one["Name"], (low, high), logarithmic and low > 0, ())


def _categorical(name: str, values: list[str]) -> Hyperparameter:
    return Hyperparameter(name, None, False, tuple(dict.fromkeys(values)))


def _rounded(value: str) -> str:
    try:
        number = float(value)
    except ValueError:
        return value
    return short(number) if len(value) > 6 and math.isfinite(number) else value


def plain(value: str) -> str:
    """A hyperparameter's value without the JSON quotes that SageMaker's SDK puts around it."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        try:
            return str(json.loads(value))
        except ValueError:
            return value
    return value
