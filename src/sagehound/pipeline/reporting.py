"""Reporting: the step that writes the report of a run, and finds what it is about where nobody says it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.admission import channel_uri, data_of, job_of_features
from sagehound.pipeline.aws_errors import aws_step
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.load.result import LoadResult
from sagehound.pipeline.names import Names
from sagehound.pipeline.progress import Step
from sagehound.pipeline.report import ReportSummary, report_table, write_report
from sagehound.pipeline.report.words import plural
from sagehound.pipeline.training_request import FEATURES
from sagehound.pipeline.tuning_job import latest_tuning

_WIDTH = 160  # more than the table takes: its columns are as wide as what stands in them


@dataclass(frozen=True)
class Reported:
    """The jobs that a report is about; the trainings in the order single, several instances."""

    data_uri: str
    tuning_job: str | None
    training_jobs: Sequence[str]
    features_job: str | None
    loads: Sequence[LoadResult] = ()


def report(clients: Clients, names: Names, jobs: Reported, path: Path, step: Step) -> ReportSummary:
    """Write the report to ``path``; raises StepFailed where AWS refuses or the file cannot be written."""
    try:
        summary = write_report(
            clients,
            names,
            path=path,
            data_uri=jobs.data_uri,
            tuning_job=jobs.tuning_job,
            training_jobs=list(jobs.training_jobs),
            features_job=jobs.features_job,
            loads=jobs.loads,
        )
    except OSError as error:
        raise StepFailed("report", f"{path} cannot be written: {error}", "Name another file with --report.") from error
    function = [summary.function.sentence()] if summary.function else []
    step.lines = [
        *([summary.clock] if summary.clock else []),
        *_table(summary),
        *function,
        *(finding.text for finding in summary.findings if finding.severity != "note"),
        *([f"cost: {summary.cost.bill.sentence()} (`sagehound cost` has the lines)"] if summary.cost else []),
    ]
    step.done(
        f"{path}  {plural(len(summary.rows), 'job')}, {summary.billable_seconds:.0f} s billable, "
        f"{plural(len(summary.findings), 'finding')}",
        **summary.as_dict(),
    )
    return summary


def latest_jobs(clients: Clients, names: Names) -> Reported:
    """The project's last tuning, and its last completed trainings over one and over several instances.

    Raises StepFailed where there is neither.
    """
    with aws_step("report"):
        tuning = latest_tuning(clients, names)
        trainings = _latest_trainings(clients, names)
        read = [*trainings, *([tuning["TrainingJobDefinition"]] if tuning else [])]
        if not read:
            raise StepFailed(
                "report",
                f"project {names.project} has no completed training and no completed tuning",
                "Run `sagehound run`, or `sagehound tune` and `sagehound train`, first.",
            )
        features = next((uri for job in read if (uri := channel_uri(job, FEATURES))), "")
        data = data_of(clients, names, read[0])
    if data is None:
        raise StepFailed(
            "report",
            "the pictures of the last training are not among the project's uploaded data any more",
            "Upload them again: `sagehound upload --data ...`.",
        )
    return Reported(
        data_uri=data.uri,
        tuning_job=tuning["HyperParameterTuningJobName"] if tuning else None,
        training_jobs=[job["TrainingJobName"] for job in trainings],
        features_job=job_of_features(features) if features else None,
    )


def _latest_trainings(clients: Clients, names: Names) -> list[dict[str, Any]]:
    """The last completed job over one instance and the last over several, as far as there are any."""
    alone: dict[str, Any] | None = None
    several: dict[str, Any] | None = None
    for job in _completed_trainings(clients, names):
        if job["ResourceConfig"]["InstanceCount"] == 1:
            alone = alone or job
        else:
            several = several or job
        if alone and several:
            break
    return [job for job in (alone, several) if job]


def _completed_trainings(clients: Clients, names: Names) -> Iterator[dict[str, Any]]:
    pages = clients.sagemaker.get_paginator("list_training_jobs").paginate(
        NameContains=names.job_prefix, StatusEquals="Completed", SortBy="CreationTime", SortOrder="Descending"
    )
    for summary in (summary for page in pages for summary in page["TrainingJobSummaries"]):
        if summary["TrainingJobName"].startswith(names.job_prefix):
            yield clients.sagemaker.describe_training_job(TrainingJobName=summary["TrainingJobName"])


def _table(summary: ReportSummary) -> list[str]:
    """The table for a terminal as lines of text."""
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=_WIDTH, force_jupyter=False).print(report_table(summary))
    return [line.rstrip() for line in out.getvalue().splitlines() if line.strip()]
