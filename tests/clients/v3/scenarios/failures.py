"""What goes wrong: a script that fails, a job that is stopped, a role that SageMaker may not use, a missing image."""

from __future__ import annotations

import json
from pathlib import Path

import boto3
from botocore.exceptions import ClientError
from sagemaker.core.helper.iam_role_resolver import RoleValidationError
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.resources import TrainingJob
from sagemaker.core.utils.exceptions import FailedStatusError
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, SourceCode
from shared import artefacts
from shared.refusals import refused

SOURCE = Path(__file__).parent / "code/fails"
COMPUTE = Compute(instance_type="ml.m5.large", instance_count=1)


def role_of_a_function() -> str:
    """A role that only AWS Lambda may take on."""
    trusted = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    made = boto3.client("iam").create_role(
        RoleName="v3-function-only",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trusted]}),
    )
    return str(made["Role"]["Arn"])


def a_script_that_fails(image: str) -> None:
    source = SourceCode(source_dir=str(SOURCE), entry_script="train.py")
    trainer = ModelTrainer(training_image=image, source_code=source, compute=COMPUTE, base_job_name="v3-fails")
    with refused(FailedStatusError, "AlgorithmError", "train.py"):
        trainer.train()
    job = trainer._latest_training_job
    assert job.training_job_status == "Failed"


def a_job_that_is_stopped(image: str) -> None:
    source = SourceCode(source_dir=str(SOURCE), command="sleep 600")
    trainer = ModelTrainer(training_image=image, source_code=source, compute=COMPUTE, base_job_name="v3-stopped")
    trainer.train(wait=False)
    job = trainer._latest_training_job
    job.stop()
    job.wait()
    assert job.training_job_status == "Stopped", job.training_job_status


def a_role_that_sagemaker_may_not_use(image: str) -> None:
    source = SourceCode(source_dir=str(SOURCE), entry_script="train.py")
    with refused(RoleValidationError, "v3-function-only"):
        ModelTrainer(training_image=image, source_code=source, compute=COMPUTE, role=role_of_a_function())


def an_image_that_is_not_there() -> None:
    trainer = ModelTrainer(
        training_image="123456789012.dkr.ecr.us-east-1.amazonaws.com/nothing:1",
        source_code=SourceCode(source_dir=str(SOURCE), entry_script="train.py"),
        compute=COMPUTE,
        base_job_name="v3-no-image",
    )
    with refused((FailedStatusError, ClientError), "repository: nothing"):
        trainer.train()


def main() -> None:
    image = artefacts.image(Session(), "training")
    a_script_that_fails(image)
    a_job_that_is_stopped(image)
    a_role_that_sagemaker_may_not_use(image)
    an_image_that_is_not_there()
    assert "v3-fails" in next(TrainingJob.get_all(name_contains="v3-fails", status_equals="Failed")).training_job_name


if __name__ == "__main__":
    main()
