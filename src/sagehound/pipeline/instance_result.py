"""What an EC2 training has left in the bucket: how it ended, its figures, its model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import answer_unless, aws_step
from sagehound.pipeline.bucket import list_objects
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.instance_plan import OUTCOME, result_prefix, results_prefix
from sagehound.pipeline.names import Names

MODEL = "TrainedModels/model.pth"
METRICS = "TrainedModels/metrics.json"
ARTIFACT = "model.tar.gz"
_SHOWN = ("validation", "test")


@dataclass(frozen=True)
class InstanceResult:
    """The outcome that the instance wrote last, and what lies beside it."""

    run: str
    uri: str
    status: int
    """Exit code of the work."""
    seconds: Mapping[str, float]
    """How long each phase took: start, fetch, install, train, upload."""
    metrics: Mapping[str, float]
    """validation:accuracy and the like, as a training job of the same script gives them."""
    classes: int
    """How many classes the model knows; 0 where its script does not say."""
    validated: int
    """Pictures of the validation split; 0 where its script does not say."""
    files: Mapping[str, int]
    """Path below the result's prefix -> bytes."""

    @property
    def job_name(self) -> str:
        """What a training job's model has its job's name for."""
        return self.run

    @property
    def model_uri(self) -> str:
        """Where model.pth lies; empty where the script wrote none."""
        return f"{self.uri}{MODEL}" if MODEL in self.files else ""

    @property
    def artifact_uri(self) -> str:
        """The whole model folder in one archive, as SageMaker has it; empty without."""
        return f"{self.uri}{ARTIFACT}" if ARTIFACT in self.files else ""

    @property
    def train_seconds(self) -> float:
        """Seconds of the training script alone."""
        return self.seconds.get("train", 0.0)

    def figures(self) -> list[str]:
        """The figures that a person is told."""
        return [
            f"{split}:accuracy {self.metrics[f'{split}:accuracy']:.3f}"
            for split in _SHOWN
            if f"{split}:accuracy" in self.metrics
        ]

    def as_dict(self) -> dict[str, Any]:
        """For machines (``--json``) and the report."""
        return {
            "run": self.run,
            "uri": self.uri,
            "model_uri": self.model_uri,
            "artifact_uri": self.artifact_uri,
            "metrics": dict(self.metrics),
            "seconds": dict(self.seconds),
            "files": dict(self.files),
        }


def read_result(clients: Clients, names: Names, run: str) -> InstanceResult | None:
    """The result of a training by its name; None where its instance has not come to its end, or could not say so."""
    prefix = result_prefix(names, run)
    outcome = _read_json(clients, names.bucket, f"{prefix}{OUTCOME}")
    if outcome is None:
        return None
    try:
        metrics = _read_json(clients, names.bucket, f"{prefix}{METRICS}")
    except ValueError:
        # A script of the person's own may call anything metrics.json.
        metrics = None
    metrics = metrics if isinstance(metrics, dict) else {}
    there = list_objects(clients, names.bucket, prefix)
    return InstanceResult(
        run=run,
        uri=f"s3://{names.bucket}/{prefix}",
        status=int(outcome["status"]),
        seconds={name: float(value) for name, value in outcome["seconds"].items()},
        metrics=figures_of(metrics),
        **counts_of(metrics),
        files={key.removeprefix(prefix): size for key, (size, _) in there.items()},
    )


def latest_result(clients: Clients, names: Names) -> InstanceResult:
    """The result of the project's last EC2 training that went well; raises StepFailed of `deploy` without one."""
    folder = results_prefix(names)
    with aws_step("deploy"):
        pages = clients.s3.get_paginator("list_objects_v2").paginate(Bucket=names.bucket, Prefix=folder)
        entries = [entry for page in pages for entry in page.get("Contents", [])]
        outcomes = [entry for entry in entries if entry["Key"].endswith(f"/{OUTCOME}")]
        for entry in sorted(outcomes, key=lambda entry: entry["LastModified"], reverse=True):
            result = read_result(clients, names, entry["Key"].removeprefix(folder).partition("/")[0])
            if result is not None and result.status == 0 and result.artifact_uri:
                return result
    raise StepFailed(
        "deploy",
        f"project {names.project} has no completed training on an instance",
        "Run `sagehound instance train` first.",
    )


def counts_of(metrics: Mapping[str, Any]) -> dict[str, int]:
    """Classes and validated pictures as metrics.json of our entry points says them; 0 where it does not."""
    pictures = metrics.get("pictures")
    found = {
        "classes": metrics.get("classes"),
        "validated": pictures.get("validation") if isinstance(pictures, Mapping) else None,
    }
    return {name: value if isinstance(value, int) else 0 for name, value in found.items()}


def figures_of(metrics: Mapping[str, Any]) -> dict[str, float]:
    """metrics.json as the metrics of a training job: split:accuracy, split:loss."""
    found = {}
    for split in _SHOWN:
        figures = metrics.get(split)
        for name in ("accuracy", "loss"):
            if isinstance(figures, Mapping) and isinstance(figures.get(name), int | float):
                found[f"{split}:{name}"] = float(figures[name])
    return found


def forget_result(clients: Clients, names: Names, run: str) -> None:
    """Remove what an earlier try has left, so that nothing of it passes for the new one's; the outcome goes first."""
    prefix = result_prefix(names, run)
    clients.s3.delete_object(Bucket=names.bucket, Key=f"{prefix}{OUTCOME}")
    for key in list_objects(clients, names.bucket, prefix):
        clients.s3.delete_object(Bucket=names.bucket, Key=key)


def _read_json(clients: Clients, bucket: str, key: str) -> Any:
    answer = answer_unless(lambda: clients.s3.get_object(Bucket=bucket, Key=key), "NoSuchKey", "NoSuchBucket", "404")
    return None if answer is None else json.loads(answer["Body"].read())
