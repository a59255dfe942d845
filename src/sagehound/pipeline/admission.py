"""Admission: a model whose validation metrics are those of guessing does not go behind an endpoint unasked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from sagehound.errors import StepFailed
from sagehound.pipeline.chance import Verdict, judge, validation_metrics
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.instance_result import InstanceResult
from sagehound.pipeline.names import Names
from sagehound.pipeline.progress import Reporter
from sagehound.pipeline.training_request import FEATURES, PICTURES
from sagehound.pipeline.upload import StoredData, recorded_data


class Measured(Protocol):
    """A trained model as far as it is judged."""

    @property
    def job_name(self) -> str:
        """What trained it."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """The last value of each metric."""


def admit(model: Measured, data: StoredData | None, reporter: Reporter, *, anyway: bool) -> None:
    """Raise StepFailed where the model only guesses, unless ``anyway``; note where that cannot be judged.

    ``data`` is what the model was trained on. Only the validation split is looked at.
    """
    if data is None:
        _act_on(model, Verdict(None, "the record of the pictures that it was trained on is gone"), reporter, anyway)
    else:
        verdict = judge(validation_metrics(model.metrics), len(data.classes), data.counts.get("valid", 0))
        _act_on(model, verdict, reporter, anyway)


def admit_result(result: InstanceResult, reporter: Reporter, *, anyway: bool) -> None:
    """The same for what an instance has trained, by what its script has written of its data."""
    verdict = Verdict(None, "its script has not written how many classes there are")
    if result.classes > 1:
        verdict = judge(validation_metrics(result.metrics), result.classes, result.validated)
    _act_on(result, verdict, reporter, anyway)


def _act_on(model: Measured, verdict: Verdict, reporter: Reporter, anyway: bool) -> None:
    """Act on the verdict: raise, note, or let it pass."""
    if verdict.guesses is None:
        reporter.note(f"whether {model.job_name} is better than guessing cannot be judged: {verdict.text}")
    elif verdict.guesses and anyway:
        reporter.note(f"{model.job_name} is at chance level ({verdict.text}), and is deployed anyway")
    elif verdict.guesses:
        raise StepFailed(
            "deploy",
            f"the model of {model.job_name} is at chance level: {verdict.text}",
            "Train with other hyperparameters (`sagehound tune`); --anyway deploys it all the same.",
        )


def data_of(clients: Clients, names: Names, job: Mapping[str, Any]) -> StoredData | None:
    """The record of the pictures that a job was trained on, followed through its channels; None without one.

    ``job`` is a described training job, or the definition of a tuning job's trials.
    """
    features = channel_uri(job, FEATURES)
    if features:
        job = clients.sagemaker.describe_training_job(TrainingJobName=job_of_features(features))
    pictures = channel_uri(job, PICTURES)
    folder = f"s3://{names.bucket}/{names.data_prefix('').rstrip('/')}/"
    if not pictures.startswith(folder):
        return None
    return recorded_data(clients, names, pictures.removeprefix(folder).rstrip("/"))


def job_of_features(uri: str) -> str:
    """The job that made a feature channel: s3://BUCKET/PROJECT/jobs/JOB/output/model/."""
    return uri.rstrip("/").split("/")[-3]


def channel_uri(job: Mapping[str, Any], name: str) -> str:
    """Where a channel of a job lies; "" where it has no such channel."""
    for channel in job.get("InputDataConfig", []):
        if channel["ChannelName"] == name:
            return str(channel["DataSource"]["S3DataSource"]["S3Uri"])
    return ""
