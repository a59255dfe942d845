"""Admission: a model whose validation metrics are those of guessing does not go behind an endpoint unasked."""

from __future__ import annotations

from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import aws_step
from sagehound.pipeline.chance import Verdict, judge, validation_metrics
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.names import Names
from sagehound.pipeline.progress import Reporter
from sagehound.pipeline.train import TrainedModel
from sagehound.pipeline.training_request import FEATURES, PICTURES
from sagehound.pipeline.upload import StoredData, recorded_data


def admit(model: TrainedModel, data: StoredData | None, reporter: Reporter, *, anyway: bool) -> None:
    """Raise StepFailed where the model only guesses, unless ``anyway``; note where that cannot be judged.

    ``data`` is what the model was trained on. Only the validation split is looked at.
    """
    if data is None:
        verdict = Verdict(None, "the record of the pictures that it was trained on is gone")
    else:
        verdict = judge(validation_metrics(model.metrics), len(data.classes), data.counts.get("valid", 0))
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


def data_of(clients: Clients, names: Names, job_name: str) -> StoredData | None:
    """The record of the pictures that a training job was trained on, followed through its channels."""
    with aws_step("deploy"):
        uri = _channel(clients, job_name, FEATURES)
        if uri:
            # s3://BUCKET/PROJECT/jobs/JOB/output/model/: features, made by JOB from pictures.
            job_name = uri.rstrip("/").split("/")[-3]
        pictures = _channel(clients, job_name, PICTURES)
        folder = f"s3://{names.bucket}/{names.data_prefix('').rstrip('/')}/"
        if not pictures.startswith(folder):
            return None
        return recorded_data(clients, names, pictures.removeprefix(folder).rstrip("/"))


def _channel(clients: Clients, job_name: str, name: str) -> str:
    job: dict[str, Any] = clients.sagemaker.describe_training_job(TrainingJobName=job_name)
    for channel in job.get("InputDataConfig", []):
        if channel["ChannelName"] == name:
            return str(channel["DataSource"]["S3DataSource"]["S3Uri"])
    return ""
