"""Train: one SageMaker training job over one or several instances, and what several of them gained over one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import aws_step
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.code import find_code, warn_of_script
from sagehound.pipeline.features import FeatureChannel, uses_features
from sagehound.pipeline.hyperparameters import told
from sagehound.pipeline.job_plan import job_plan
from sagehound.pipeline.names import Names
from sagehound.pipeline.progress import Reporter, Step
from sagehound.pipeline.training_job import artifact_exists, completed_job, ensure_training_job, seconds_of
from sagehound.pipeline.upload import StoredData
from sagehound.settings import PipelineSettings


@dataclass(frozen=True)
class TrainedModel:
    """A completed training job: its artefact, the last value of each metric, and what it took."""

    job_name: str
    artifact_uri: str
    metrics: dict[str, float]
    instance_count: int
    seconds: float
    """TrainingTimeInSeconds: from the first host's start to the end of the upload."""
    billable_seconds: float
    """BillableTimeInSeconds of one instance, times the instances: what is paid for."""


def train(
    clients: Clients,
    names: Names,
    settings: PipelineSettings,
    data: StoredData,
    features: FeatureChannel | None,
    reporter: Reporter,
    step: Step,
    *,
    tuned: Mapping[str, Any] | None = None,
    instance_count: int = 0,
    again: bool = False,
) -> TrainedModel:
    """The trained model for these settings and data; ``again`` trains anew even where that was done already.

    ``tuned`` go before the settings' hyperparameters, ``instance_count`` (0: the settings') before theirs;
    ``features`` is the channel of our own entry point with gear head. Raises StepFailed with the job's FailureReason
    and last lines where it fails, Interrupted on Ctrl-C.
    """
    count = instance_count or settings.train.instance_count
    code = find_code(settings.train.entry_point, settings.train.source_dir, "train", clients.place)
    warn_of_script(
        code,
        reporter,
        instance_type=settings.train.instance_type,
        instance_count=count,
        distribution=settings.train.distribution,
        objective_regex=settings.tune.objective_regex,
    )
    channel = features if uses_features(settings, code) else None
    plan = job_plan(
        settings,
        code,
        data,
        channel,
        clients.region,
        told(settings.train, ours=code.ours, tuned=tuned),
        instance_type=settings.train.instance_type,
        instance_count=count,
    )
    with aws_step("train"):
        base = names.job_base(plan.digest())
        job = ensure_training_job(clients, names, plan, base, code.bundle, reporter, "train", again=again)
        model = trained_model(job.description)
        alone = completed_job(clients, names.job_base(plan.over(1).digest())) if count > 1 else None
    over = f"  over {count} instances" if count > 1 else ""
    step.done(
        f"{'  '.join([model.job_name, *_told(model)])}  {model.billable_seconds:.0f} s billable{over}  ({job.told})",
        **_result(model),
        reused=job.how != "made",
    )
    if count > 1:
        joined = code.ours or bool(settings.train.distribution)
        step.lines = comparison(trained_model(alone) if alone else None, model, joined=joined)
    return model


def comparison(alone: TrainedModel | None, several: TrainedModel, *, joined: bool) -> list[str]:
    """What several instances gained over one; ``joined``: the instances train one model, and are not so many copies."""
    lines = []
    if alone is not None:
        name = next((name for name in ("test:accuracy", "validation:accuracy") if name in several.metrics), "")
        both = f"; {name} {several.metrics[name]:.3f} / {alone.metrics[name]:.3f}" if name in alone.metrics else ""
        lines.append(f"{_took(several)}; {_took(alone)}{both}")
    if not joined:
        lines.append(
            f"{several.instance_count} x the bill: this script is not distributed, so each instance trained the same "
            "(train.distribution joins them)"
        )
    return lines


def latest_model(clients: Clients, names: Names, job_name: str = "", *, instance_count: int = 0) -> TrainedModel:
    """The named training job's model, or that of the project's latest completed job; raises StepFailed without one.

    Of the latest jobs one over ``instance_count`` instances goes first (0: any).
    """
    with aws_step("deploy"):
        if job_name:
            job = clients.sagemaker.describe_training_job(TrainingJobName=job_name)
            if job["TrainingJobStatus"] != "Completed":
                raise StepFailed(
                    "deploy", f"training job {job_name} is {job['TrainingJobStatus']}", "Name a completed job."
                )
            return trained_model(job)
        found: TrainedModel | None = None
        pages = clients.sagemaker.get_paginator("list_training_jobs").paginate(
            NameContains=names.job_prefix, StatusEquals="Completed", SortBy="CreationTime", SortOrder="Descending"
        )
        for summary in (summary for page in pages for summary in page["TrainingJobSummaries"]):
            if not summary["TrainingJobName"].startswith(names.job_prefix):
                continue
            job = clients.sagemaker.describe_training_job(TrainingJobName=summary["TrainingJobName"])
            if artifact_exists(clients, job):
                model = trained_model(job)
                if instance_count in (0, model.instance_count):
                    return model
                found = found or model
    if found is not None:
        return found
    raise StepFailed(
        "deploy",
        f"project {names.project} has no completed training job with an artefact",
        "Run `sagehound train` first.",
    )


def trained_model(job: Mapping[str, Any]) -> TrainedModel:
    """The model of a completed job as DescribeTrainingJob tells it."""
    metrics = {metric["MetricName"]: float(metric["Value"]) for metric in job.get("FinalMetricDataList", [])}
    count = int(job["ResourceConfig"]["InstanceCount"])
    seconds = seconds_of(dict(job))
    billable = float(job.get("BillableTimeInSeconds", seconds)) * count
    artifact = job["ModelArtifacts"]["S3ModelArtifacts"]
    return TrainedModel(job["TrainingJobName"], artifact, metrics, count, seconds, billable)


def _took(model: TrainedModel) -> str:
    plural = "s" if model.instance_count > 1 else ""
    return f"{model.instance_count} instance{plural}: {model.seconds:.1f} s, {model.billable_seconds:.1f} billable"


def _told(model: TrainedModel) -> list[str]:
    shown = ("validation:accuracy", "test:accuracy")
    return [f"{name} {model.metrics[name]:.3f}" for name in shown if name in model.metrics]


def _result(model: TrainedModel) -> dict[str, Any]:
    return {
        "job_name": model.job_name,
        "artifact_uri": model.artifact_uri,
        "metrics": model.metrics,
        "instance_count": model.instance_count,
        "training_seconds": model.seconds,
        "billable_seconds": model.billable_seconds,
    }
