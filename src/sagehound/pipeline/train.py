"""Train: one SageMaker training job, made unless the same one is done or under way.

A job's name is a hash of all that its result depends on. So a finished job is used again, one that runs is
waited for, and one that failed is followed by another try that goes on from its checkpoints.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import aws_step, error_of
from sagehound.pipeline.bucket import ensure_bucket, object_exists
from sagehound.pipeline.bundle import build_bundle
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.log_tail import TRAINING_GROUP, LogTail
from sagehound.pipeline.names import Names, attempt_of
from sagehound.pipeline.progress import Reporter, Step
from sagehound.pipeline.security import ensure_role
from sagehound.pipeline.training_request import training_digest, training_request
from sagehound.pipeline.upload import StoredData
from sagehound.pipeline.waiting import interrupted, pauses, poll
from sagehound.settings import TrainSettings

_ROLE_SETTLES_SECONDS = 60.0


@dataclass(frozen=True)
class TrainedModel:
    """A completed training job: its artefact and the last value of each metric."""

    job_name: str
    artifact_uri: str
    metrics: dict[str, float]


def train(
    clients: Clients,
    names: Names,
    settings: TrainSettings,
    data: StoredData,
    reporter: Reporter,
    step: Step,
    *,
    again: bool = False,
) -> TrainedModel:
    """The trained model for these settings and data; ``again`` trains anew even where that was done already.

    Raises StepFailed with the job's FailureReason and last lines where it fails, Interrupted on Ctrl-C.
    """
    bundle = build_bundle(with_requirements=not clients.local)
    digest = training_digest(settings, clients.region, bundle.digest, data.digest, data.uri)
    base = names.job_base(digest)
    with aws_step("train"):
        attempts = _attempts(clients, base)
        running = [job for _, job in attempts if job["TrainingJobStatus"] == "InProgress"]
        done = None if again or running else _completed(clients, attempts)
        if done is not None:
            model = trained_model(done)
            step.done(f"{_told(model)}  (trained earlier)", **_result(model, reused=True, seconds=0))
            return model
        if running and not again:
            job_name, joined = str(running[-1]["TrainingJobName"]), True
        else:
            number = max((attempt for attempt, _ in attempts), default=0) + 1
            job_name, joined = (base if number == 1 else f"{base}-{number}"), False
            code_uri = _ship(clients, names, bundle.content, bundle.digest)
            request = training_request(
                job_name,
                # A further try after a failure finds the checkpoints of the first; training anew starts from nothing.
                job_name if again else base,
                settings,
                names,
                clients.region,
                role_arn=ensure_role(clients, names, "train"),
                code_uri=code_uri,
                data_uri=data.uri,
            )
            _create(clients, request)
        job = _wait(clients, job_name, reporter)
    model = trained_model(job)
    seconds = _seconds(job)
    text = f"{_told(model)}  ({'joined' if joined else 'trained'} in {seconds:.1f} s)"
    step.done(text, **_result(model, reused=joined, seconds=seconds))
    return model


def latest_model(clients: Clients, names: Names, job_name: str = "") -> TrainedModel:
    """The named training job's model, or that of the project's latest completed job; raises StepFailed without one."""
    with aws_step("deploy"):
        if job_name:
            job = clients.sagemaker.describe_training_job(TrainingJobName=job_name)
            if job["TrainingJobStatus"] != "Completed":
                raise StepFailed(
                    "deploy", f"training job {job_name} is {job['TrainingJobStatus']}", "Name a completed job."
                )
            return trained_model(job)
        pages = clients.sagemaker.get_paginator("list_training_jobs").paginate(
            NameContains=names.job_prefix, StatusEquals="Completed", SortBy="CreationTime", SortOrder="Descending"
        )
        for page in pages:
            for summary in page["TrainingJobSummaries"]:
                if summary["TrainingJobName"].startswith(names.job_prefix):
                    job = clients.sagemaker.describe_training_job(TrainingJobName=summary["TrainingJobName"])
                    if _artifact_exists(clients, job):
                        return trained_model(job)
    raise StepFailed(
        "deploy",
        f"project {names.project} has no completed training job with an artefact",
        "Run `sagehound train` first.",
    )


def trained_model(job: dict[str, Any]) -> TrainedModel:
    """The model of a completed job as DescribeTrainingJob tells it."""
    metrics = {metric["MetricName"]: float(metric["Value"]) for metric in job.get("FinalMetricDataList", [])}
    return TrainedModel(job["TrainingJobName"], job["ModelArtifacts"]["S3ModelArtifacts"], metrics)


def _attempts(clients: Clients, base: str) -> list[tuple[int, dict[str, Any]]]:
    """(number, summary) of the jobs that did or do this very thing, the first one first."""
    pages = clients.sagemaker.get_paginator("list_training_jobs").paginate(NameContains=base)
    jobs = [job for page in pages for job in page["TrainingJobSummaries"]]
    numbered = [(attempt_of(job["TrainingJobName"], base), job) for job in jobs]
    return sorted(((number, job) for number, job in numbered if number is not None), key=lambda pair: pair[0])


def _completed(clients: Clients, attempts: list[tuple[int, dict[str, Any]]]) -> dict[str, Any] | None:
    """The latest completed job whose artefact is still there (clean-up removes artefacts, never jobs)."""
    for _, summary in reversed(attempts):
        if summary["TrainingJobStatus"] == "Completed":
            job: dict[str, Any] = clients.sagemaker.describe_training_job(TrainingJobName=summary["TrainingJobName"])
            if _artifact_exists(clients, job):
                return job
    return None


def _artifact_exists(clients: Clients, job: dict[str, Any]) -> bool:
    uri = job.get("ModelArtifacts", {}).get("S3ModelArtifacts", "")
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bool(key) and object_exists(clients, bucket, key)


def _ship(clients: Clients, names: Names, content: bytes, digest: str) -> str:
    """The bundle's address in the bucket; sent unless these very bytes lie there."""
    ensure_bucket(clients, names)
    key = names.code_key(digest)
    if not object_exists(clients, names.bucket, key):
        clients.s3.put_object(Bucket=names.bucket, Key=key, Body=content, ContentType="application/gzip")
    return f"s3://{names.bucket}/{key}"


def _create(clients: Clients, request: dict[str, Any]) -> None:
    """CreateTrainingJob; tried again while AWS does not know everywhere yet the role that was made seconds ago."""
    from botocore.exceptions import ClientError

    until = time.monotonic() + (0 if clients.local else _ROLE_SETTLES_SECONDS)
    for pause in pauses(clients.local):
        try:
            clients.sagemaker.create_training_job(**request)
            return
        except ClientError as error:
            code, message = error_of(error)
            if code == "ResourceInUse":
                return  # another run asked for the very same job a moment ago: wait for that one
            settling = code == "ValidationException" and "assume the role" in message.lower()
            if not settling or time.monotonic() > until:
                raise
        time.sleep(pause)


def _wait(clients: Clients, job_name: str, reporter: Reporter) -> dict[str, Any]:
    """DescribeTrainingJob of the ended job; its log lines go to the reporter meanwhile."""
    tail = LogTail(clients, TRAINING_GROUP, f"{job_name}/")

    def tell() -> None:
        for _, line in tail.new_lines():
            reporter.log(line)

    try:
        job = poll(
            lambda: clients.sagemaker.describe_training_job(TrainingJobName=job_name),
            lambda job: job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"),
            local=clients.local,
            each=tell,
        )
    except KeyboardInterrupt:
        raise interrupted(
            "train",
            f"training job {job_name} goes on",
            f"`sagehound train` waits for it again, `sagehound logs {job_name}` shows it, `sagehound delete` stops it.",
        ) from None
    tell()
    status = job["TrainingJobStatus"]
    if status != "Completed":
        reason = job.get("FailureReason") or job.get("SecondaryStatus") or "no reason given"
        last = "\n".join(tail.last_lines(20))
        raise StepFailed(
            "train",
            f"training job {job_name} {status}: {reason}" + (f"\n{last}" if last and last not in reason else ""),
            f"`sagehound logs {job_name}` has all of it; after the repair, `sagehound train` tries again.",
        )
    return dict(job)


def _seconds(job: dict[str, Any]) -> float:
    if "TrainingTimeInSeconds" in job:
        return float(job["TrainingTimeInSeconds"])
    return float((job["TrainingEndTime"] - job["TrainingStartTime"]).total_seconds())


def _told(model: TrainedModel) -> str:
    shown = [
        f"{name} {model.metrics[name]:.3f}"
        for name in ("validation:accuracy", "test:accuracy")
        if name in model.metrics
    ]
    return "  ".join([model.job_name, *shown])


def _result(model: TrainedModel, *, reused: bool, seconds: float) -> dict[str, Any]:
    return {
        "job_name": model.job_name,
        "artifact_uri": model.artifact_uri,
        "metrics": model.metrics,
        "reused": reused,
        "training_seconds": seconds,
    }
