"""Jobs of the classifier's own entry points on small features, as the pipeline creates them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import psutil

from sagehound.classifier.metrics import METRIC_DEFINITIONS
from sagehound.pipeline.bundle import build_bundle
from tests.classifier.pictures import write_splits
from tests.classifier.script import run
from tests.cloud.training import Workshop


def extracted(folder: Path) -> Path:
    """A feature channel of 24, 12 and 12 coloured shapes, made by extract_features.py."""
    pictures = write_splits(folder / "pictures")
    finished = run("extract_features.py", SM_CHANNEL_TRAINING=pictures, SM_MODEL_DIR=folder / "features")
    assert finished.returncode == 0, finished.errors
    return folder / "features"


class ClassifierJobs:
    """train_model.py in a workshop's cloud, with a channel of features."""

    def __init__(self, shop: Workshop, features: Path) -> None:
        self.shop = shop
        shop.put("code/sourcedir.tar.gz", build_bundle(with_requirements=False).content)
        for path in features.iterdir():
            shop.put(f"features/{path.name}", path.read_bytes())

    def create(self, hosts: int, checkpoints: str | None = None, **hyperparameters: object) -> str:
        """A job of so many hosts; its name."""
        request = self.shop.request("pass", count=hosts, algorithm={"MetricDefinitions": METRIC_DEFINITIONS})
        request["HyperParameters"] = {
            "sagemaker_program": "train_model.py",
            "sagemaker_submit_directory": f"s3://{self.shop.bucket}/code/sourcedir.tar.gz",
            **{name: str(value) for name, value in hyperparameters.items()},
        }
        request["InputDataConfig"] = [self.shop.channel("features", "features/")]
        if checkpoints is not None:
            request["CheckpointConfig"] = {"S3Uri": f"s3://{self.shop.bucket}/checkpoints/{checkpoints}"}
        self.shop.sagemaker.create_training_job(**request)
        return str(request["TrainingJobName"])

    def metrics(self, job: dict[str, Any]) -> dict[str, Any]:
        """metrics.json of a job that has ended well."""
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        metrics: dict[str, Any] = json.loads(self.shop.model(job)["metrics.json"])
        return metrics


def program_of(shop: Workshop, name: str, host: str) -> psutil.Process:
    """The program that runs on a host of a job: the child of its init."""
    for process in psutil.process_iter(["cmdline"]):
        path = next((part for part in process.info["cmdline"] or [] if part.endswith(f"{host}/run/program.json")), "")
        if path.startswith(f"{shop.cloud.data_dir}/training/") and f"/{name}-" in path:
            children = process.children()
            if len(children) == 1:
                return children[0]
    processes = subprocess.run(["ps", "-eo", "pid,ppid,args"], check=True, capture_output=True, text=True).stdout
    raise AssertionError(f"no program runs on {host} of {name}:\n{processes}")
