"""Torchrun over two hosts, twice at the same time: SDK v3 gives every training the same port."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
from sagemaker.core.helper.session_helper import Session
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, SourceCode
from sagemaker.train.distributed import Torchrun
from shared import artefacts

SOURCE = Path(__file__).parent / "code/all_reduce"
PREFIX = "v3-torchrun/meeting"


def started(session: Session, image: str, name: str) -> ModelTrainer:
    """A training that has begun and is not waited for."""
    trainer = ModelTrainer(
        training_image=image,
        source_code=SourceCode(source_dir=str(SOURCE), entry_script="train.py"),
        compute=Compute(instance_type="ml.m5.xlarge", instance_count=2),
        distributed=Torchrun(),
        environment={"MEETING_BUCKET": session.default_bucket(), "MEETING_PREFIX": PREFIX},
        base_job_name=name,
        sagemaker_session=session,
    )
    trainer.train(wait=False)
    return trainer


def summed(session: Session, trainer: ModelTrainer) -> dict[str, Any]:
    """What the first process of a training has written into the model."""
    found: dict[str, Any] = json.loads(artefacts.unpacked(session, artefacts.model(trainer))["sum.json"])
    return found


def main() -> None:
    session = Session()
    s3, bucket = boto3.client("s3"), session.default_bucket()
    image = artefacts.image(session, "training")
    trainers = [started(session, image, name) for name in ("v3-torchrun-a", "v3-torchrun-b")]
    # Both hold the port before either may end.
    for trainer in trainers:
        key = f"{PREFIX}/ready/{trainer._latest_training_job.training_job_name}"
        s3.get_waiter("object_exists").wait(Bucket=bucket, Key=key, WaiterConfig={"Delay": 1, "MaxAttempts": 240})
    s3.put_object(Bucket=bucket, Key=f"{PREFIX}/go")
    for trainer in trainers:
        trainer._latest_training_job.wait(logs=True)
        found = summed(session, trainer)
        assert found["sum"] == 3.0, found
        assert found["size"] == 2, found
        assert found["port"] == "7777", found
        assert trainer._latest_training_job.resource_config.instance_count == 2


if __name__ == "__main__":
    main()
