"""The training jobs of a report: what DescribeTrainingJob, their log and their output say of each"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sagehound.pipeline.aws_errors import error_of
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.log_tail import TRAINING_GROUP
from sagehound.pipeline.report.documents import DamagedOutput
from sagehound.pipeline.report.job_output import JobOutput, read_output

NOT_DISTRIBUTED = "x the bill: this script is not distributed"
"""Stands in algo-1's log of a job whose instances were no single training; the local cloud writes it."""
_SPLITS = ("validation", "test")
_FIGURES = ("loss", "accuracy", "top5")


@dataclass(frozen=True)
class JobReport:
    """One row of the report: a training job, or a tuning job with all of its trials."""

    name: str
    role: str
    """What it is in the project: features, tuning, training."""
    status: str
    instance_type: str
    instance_count: int
    seconds: float | None
    """Wall clock of the training, as TrainingTimeInSeconds; None while nothing ran."""
    billable_seconds: float | None
    """BillableTimeInSeconds times the instances: what a bill counts."""
    figures: dict[str, float] = field(default_factory=dict)
    """split:figure -> value, of metrics.json, or the last values of the metrics that the log was searched for."""
    failure: str = ""
    independent_copies: bool = False
    started: datetime | None = None
    output: JobOutput = field(default_factory=JobOutput)
    damage: str = ""
    """Why its output could not be read."""
    definitions: tuple[str, ...] = ()
    """Names of the metrics that its log is searched for."""
    ended: datetime | None = None
    final: dict[str, float] = field(default_factory=dict)
    """FinalMetricDataList: the last value of each metric."""

    @property
    def label(self) -> str:
        """Role and name at the beginning of a sentence."""
        return f"{self.role[0].upper()}{self.role[1:]} ({self.name})"

    def as_dict(self) -> dict[str, Any]:
        """The figures for machines (``--json``)."""
        return {
            "job_name": self.name,
            "role": self.role,
            "status": self.status,
            "instance_type": self.instance_type,
            "instance_count": self.instance_count,
            "seconds": self.seconds,
            "billable_seconds": self.billable_seconds,
            "figures": self.figures,
            "failure": self.failure,
            "independent_copies": self.independent_copies,
        }


def read_job(clients: Clients, name: str, role: str) -> JobReport:
    """All about one training job; raises botocore's ClientError where there is none of that name."""
    job = clients.sagemaker.describe_training_job(TrainingJobName=name)
    output, damage = JobOutput(), ""
    try:
        output = read_output(clients, job)
    except DamagedOutput as error:
        damage = str(error)
    instance_type, instance_count = instances_of(job)
    seconds, billable = times_of(job)
    return JobReport(
        name=name,
        role=role,
        status=job["TrainingJobStatus"],
        instance_type=instance_type,
        instance_count=instance_count,
        seconds=seconds,
        billable_seconds=billable,
        figures=_figures(job, output),
        failure=job.get("FailureReason", "") if job["TrainingJobStatus"] == "Failed" else "",
        independent_copies=instance_count > 1 and _copies(clients, name, output),
        started=job.get("TrainingStartTime") or job.get("CreationTime"),
        ended=job.get("TrainingEndTime"),
        final=_last_values(job),
        output=output,
        damage=damage,
        definitions=tuple(
            definition["Name"] for definition in job["AlgorithmSpecification"].get("MetricDefinitions", [])
        ),
    )


def instances_of(job: dict[str, Any]) -> tuple[str, int]:
    """(instance type, number of instances) of a job; of several groups the types joined, and all instances."""
    resources = job.get("ResourceConfig", {})
    groups = resources.get("InstanceGroups") or [resources]
    types = list(dict.fromkeys(group.get("InstanceType", "") for group in groups))
    return " + ".join(types), sum(int(group.get("InstanceCount", 0)) for group in groups)


def times_of(job: dict[str, Any]) -> tuple[float | None, float | None]:
    """(seconds of training, billable seconds of all instances together) of a job; None before it has run."""
    seconds, billable = job.get("TrainingTimeInSeconds"), job.get("BillableTimeInSeconds")
    _, instances = instances_of(job)
    return (
        None if seconds is None else float(seconds),
        None if billable is None else float(billable) * instances,
    )


def _figures(job: dict[str, Any], output: JobOutput) -> dict[str, float]:
    if output.metrics is not None:
        return {
            f"{split}:{figure}": float(getattr(values, figure))
            for split, values in output.metrics.splits.items()
            for figure in _FIGURES
        }
    wanted = {f"{split}:{figure}" for split in _SPLITS for figure in _FIGURES}
    return {name: value for name, value in _last_values(job).items() if name in wanted}


def _last_values(job: dict[str, Any]) -> dict[str, float]:
    return {data["MetricName"]: float(data["Value"]) for data in job.get("FinalMetricDataList", [])}


def _copies(clients: Clients, name: str, output: JobOutput) -> bool:
    """Whether each instance trained alone: metrics.json counts one host, or algo-1's log has the warning."""
    if output.metrics is not None:
        return output.metrics.hosts == 1
    return _log_has(clients, name, NOT_DISTRIBUTED)


def _log_has(clients: Clients, name: str, words: str) -> bool:
    from botocore.exceptions import ClientError

    try:
        pages = clients.logs.get_paginator("filter_log_events").paginate(
            logGroupName=TRAINING_GROUP,
            logStreamNamePrefix=f"{name}/algo-1",
            filterPattern=json.dumps(words),
        )
        return any(page["events"] for page in pages)
    except ClientError as error:
        if error_of(error)[0] == "ResourceNotFoundException":
            return False
        raise
