"""The tuning jobs of a project: found by what they try, waited for, and read when they are done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import aws_step, is_missing
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.hyperparameters import tuned_values
from sagehound.pipeline.names import Names, digest_of
from sagehound.pipeline.progress import Reporter
from sagehound.pipeline.trial_table import Standing
from sagehound.pipeline.trials import Trial, best_of, failures, trials_of
from sagehound.pipeline.waiting import poll
from sagehound.settings import TuneSettings


@dataclass(frozen=True)
class Tuning:
    """A completed tuning job and the best of its trials."""

    name: str
    best_job: str
    hyperparameters: dict[str, Any]
    """The tuned hyperparameters of the best trial, as values."""
    value: float
    trials: tuple[Trial, ...]


def latest_tuning(clients: Clients, names: Names) -> dict[str, Any] | None:
    """DescribeHyperParameterTuningJob of the project's last tuning that completed, or None before the first."""
    pages = clients.sagemaker.get_paginator("list_hyper_parameter_tuning_jobs").paginate(
        NameContains=names.tuning_prefix, StatusEquals="Completed", SortBy="CreationTime", SortOrder="Descending"
    )
    for page in pages:
        for summary in page["HyperParameterTuningJobSummaries"]:
            tags = clients.sagemaker.list_tags(ResourceArn=summary["HyperParameterTuningJobArn"])["Tags"]
            if names.tags[0] in tags:
                return describe_tuning(clients, summary["HyperParameterTuningJobName"])
    return None


def best_of_latest(clients: Clients, names: Names, *, ours: bool) -> Tuning:
    """The best trial of the project's last tuning; raises StepFailed without one."""
    with aws_step("train"):
        job = latest_tuning(clients, names)
        if job is None:
            raise StepFailed("train", f"project {names.project} has no completed tuning", "Run `sagehound tune` first.")
        return completed_tuning(job, trials_of(clients, job["HyperParameterTuningJobName"]), ours=ours)


def describe_tuning(clients: Clients, name: str) -> dict[str, Any] | None:
    """DescribeHyperParameterTuningJob, or None where there is no such tuning job."""
    from botocore.exceptions import ClientError

    try:
        found: dict[str, Any] = clients.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    return found


def find_tuning(clients: Clients, names: Names, digest: str, again: bool) -> tuple[str, str]:
    """Name of the tuning job for a digest, and whether it is to be made, runs (joined), or was done earlier."""
    name = ""
    for name in _attempt_names(names, digest):
        found = describe_tuning(clients, name)
        if found is None:
            break
        status = found["HyperParameterTuningJobStatus"]
        if not again and status in ("InProgress", "Completed"):
            return name, "joined" if status == "InProgress" else "earlier"
    return name, "made"


def _attempt_names(names: Names, digest: str) -> Iterator[str]:
    yield names.tuning(digest)
    number = 2
    while True:
        yield names.tuning(digest_of({"tuning": digest, "attempt": number}))
        number += 1


def wait_for_tuning(
    clients: Clients, name: str, options: TuneSettings, wanted: int, reporter: Reporter, *, quiet: bool
) -> tuple[dict[str, Any], list[Trial]]:
    """The completed tuning job and its trials; the reporter is shown them meanwhile."""
    minimize = options.objective_type == "Minimize"
    trials: list[Trial] = []

    def ask() -> dict[str, Any]:
        # The status comes first: the trials that are listed after the end are all there are.
        job: dict[str, Any] = clients.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        trials[:] = trials_of(clients, name)
        best = best_of(trials, minimize=minimize)
        if not quiet:
            best_name, clock = best.job_name if best else "", clients.clock.sentence()
            reporter.trials(Standing(options.objective, wanted, list(trials), best_name, clock))
        return job

    job = poll(
        ask,
        lambda job: job["HyperParameterTuningJobStatus"] in ("Completed", "Failed", "Stopped"),
        clients.place.pauses(),
    )
    if job["HyperParameterTuningJobStatus"] != "Completed":
        raise _not_completed(job, trials)
    return job, trials


def _not_completed(job: Mapping[str, Any], trials: list[Trial]) -> StepFailed:
    name, status = job["HyperParameterTuningJobName"], job["HyperParameterTuningJobStatus"]
    cause = f"tuning job {name} {status}: {job.get('FailureReason') or 'no reason given'}"
    failed = next(failures(trials), None)
    if failed is None and status == "Failed":
        objective = job["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["MetricName"]
        return StepFailed(
            "tune",
            cause,
            f"Check that the script prints {objective} in the form that tune.objective_regex reads; "
            f"`sagehound logs {name}` has what its trials printed.",
        )
    if failed is None:
        return StepFailed("tune", cause, f"`sagehound logs {name}` has its lines; `sagehound tune` tries again.")
    return StepFailed(
        "tune",
        f"{cause}\ntrial {failed.number}: {failed.reason}",
        f"`sagehound logs {failed.job_name}` has all of it; after the repair, `sagehound tune` tries again.",
    )


def completed_tuning(job: Mapping[str, Any], trials: list[Trial], *, ours: bool) -> Tuning:
    name = job["HyperParameterTuningJobName"]
    best = job.get("BestTrainingJob") or {}
    metric = best.get("FinalHyperParameterTuningJobObjectiveMetric")
    if metric is None:
        objective = job["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["MetricName"]
        raise StepFailed(
            "tune",
            f"tuning job {name} has no best trial: none of its {len(trials)} reported {objective}",
            "Check that the script prints it in the form that tune.objective_regex reads.",
        )
    values = tuned_values(best["TunedHyperParameters"], ours=ours)
    return Tuning(name, best["TrainingJobName"], values, float(metric["Value"]), tuple(trials))
