"""Training and tuning jobs of a project, as usage: SageMaker keeps them for good, so nothing of them is lost"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from sagehound.pipeline.clients import Clients
from sagehound.pipeline.cost.arithmetic import exact_seconds, training_seconds, volume
from sagehound.pipeline.cost.usage import Job, Running, Usage, Usages, carries
from sagehound.pipeline.names import Names
from sagehound.pipeline.pricing.hardware import has_local_storage
from sagehound.pipeline.pricing.prices import Use
from sagehound.pipeline.training_request import FEATURES

_MOVING = ("InProgress", "Stopping")


def job_usages(clients: Clients, names: Names, since: datetime | None, now: datetime) -> Usages:
    """The project's features, tunings and trainings; those that run are counted up to now."""
    found = Usages()
    for job in _trainings(clients, names, names.features_prefix, since):
        found.add(_usages("features", job, now))
    for name in _tunings(clients, names, since):
        for trial in _trials(clients, name):
            found.add(_usages("tune", trial, now, of=name))
    for job in _trainings(clients, names, names.job_prefix, since):
        _, count = _groups(job)[0]
        found.add(_usages("train" if count == 1 else f"train x{count}", job, now))
    return found


def _usages(step: str, job: dict[str, Any], now: datetime, of: str = "") -> Usages:
    """What one training job used; ``of`` is the tuning job whose trial it is."""
    found = Usages()
    name = job["TrainingJobName"]
    begin = job.get("TrainingStartTime")
    if begin is None:
        return found  # nothing ran yet, or ever: a job that fails before its instances are there is not billed
    runs = job["TrainingJobStatus"] in _MOVING
    seconds = _seconds(job, now)
    # While a job runs BillableTimeInSeconds is not told: what has passed is what will be billed at least.
    billable = job.get("BillableTimeInSeconds")
    billable = seconds if billable is None else Decimal(billable)
    spot = bool(job.get("EnableManagedSpotTraining"))
    resources = job.get("ResourceConfig", {})
    for instance_type, count in _groups(job):
        used = training_seconds(float(billable), count)
        what = f"{name}, {count} x {instance_type}" + (", spot" if spot else "")
        found.entries.append(
            Usage(step, what, Use.TRAINING, instance_type, used, seconds, count, of or name, spot=spot)
        )
        size = int(resources.get("VolumeSizeInGB", 0))
        if size and not has_local_storage(instance_type):
            found.entries.append(
                Usage(
                    step,
                    f"{name}, volumes of {size} GB",
                    Use.TRAINING_STORAGE,
                    "",
                    volume(size, Decimal(billable), count),
                    seconds,
                    count,
                    of or name,
                )
            )
        if runs:
            found.running.append(
                Running(f"training job {name}", Use.TRAINING, instance_type, Decimal(count), begin, resource=name)
            )
    if job["TrainingJobStatus"] == "Completed" and len(_groups(job)) == 1 and not of:
        ((instance_type, count),) = _groups(job)
        billed = training_seconds(float(billable), count)
        found.jobs.append(Job(name, step, instance_type, count, seconds, billed, _phase(job), _features(job)))
    return found


def _groups(job: dict[str, Any]) -> list[tuple[str, int]]:
    """(instance type, instances) of each group of a job."""
    resources = job.get("ResourceConfig", {})
    groups = resources.get("InstanceGroups") or [resources]
    return [(group["InstanceType"], int(group["InstanceCount"])) for group in groups]


def _seconds(job: dict[str, Any], now: datetime) -> Decimal:
    told = job.get("TrainingTimeInSeconds")
    if told is not None:
        return Decimal(told)
    return exact_seconds((job.get("TrainingEndTime") or now) - job["TrainingStartTime"])


def _phase(job: dict[str, Any]) -> Decimal | None:
    """Seconds between the beginning and the end of the status Training."""
    for transition in job.get("SecondaryStatusTransitions", []):
        if transition["Status"] == "Training" and "EndTime" in transition:
            return exact_seconds(transition["EndTime"] - transition["StartTime"])
    return None


def _features(job: dict[str, Any]) -> str:
    """The address of its channel of features; empty without one."""
    for channel in job.get("InputDataConfig", []):
        if channel["ChannelName"] == FEATURES:
            return str(channel["DataSource"]["S3DataSource"]["S3Uri"])
    return ""


def _trainings(clients: Clients, names: Names, prefix: str, since: datetime | None) -> Iterator[dict[str, Any]]:
    """DescribeTrainingJob of the jobs that begin so and carry the project's tag, the oldest first."""
    sagemaker = clients.sagemaker
    asked: dict[str, Any] = {"NameContains": prefix, "SortBy": "CreationTime", "SortOrder": "Ascending"}
    asked |= {"CreationTimeAfter": since} if since else {}
    for page in sagemaker.get_paginator("list_training_jobs").paginate(**asked):
        for summary in page["TrainingJobSummaries"]:
            if not summary["TrainingJobName"].startswith(prefix):
                continue
            if carries(sagemaker.list_tags(ResourceArn=summary["TrainingJobArn"])["Tags"], names):
                yield sagemaker.describe_training_job(TrainingJobName=summary["TrainingJobName"])


def _tunings(clients: Clients, names: Names, since: datetime | None) -> Iterator[str]:
    sagemaker = clients.sagemaker
    asked: dict[str, Any] = {"NameContains": names.tuning_prefix, "SortBy": "CreationTime", "SortOrder": "Ascending"}
    asked |= {"CreationTimeAfter": since} if since else {}
    for page in sagemaker.get_paginator("list_hyper_parameter_tuning_jobs").paginate(**asked):
        for summary in page["HyperParameterTuningJobSummaries"]:
            if carries(sagemaker.list_tags(ResourceArn=summary["HyperParameterTuningJobArn"])["Tags"], names):
                yield summary["HyperParameterTuningJobName"]


def _trials(clients: Clients, tuning: str) -> Iterator[dict[str, Any]]:
    """DescribeTrainingJob of a tuning's trials: a tuning itself costs nothing, its trainings do."""
    pages = clients.sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
        HyperParameterTuningJobName=tuning, SortBy="CreationTime", SortOrder="Ascending"
    )
    for page in pages:
        for summary in page["TrainingJobSummaries"]:
            yield clients.sagemaker.describe_training_job(TrainingJobName=summary["TrainingJobName"])
