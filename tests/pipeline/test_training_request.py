"""CreateTrainingJob as the SageMaker SDK would ask it, valid by AWS's own model."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator

from sagehound.errors import SettingsError
from sagehound.pipeline.aws_images import image_uri
from sagehound.pipeline.names import Names, attempt_of
from sagehound.pipeline.training_request import Channel, JobPlan, training_request
from sagehound.settings import AwsSettings, DeploySettings, PipelineSettings, TrainSettings

NAMES = Names.of(PipelineSettings(project="dogs"), "123456789012")
PLAN = JobPlan(
    program="train_model.py",
    code_digest="code",
    hyperparameters={"batch_size": 64, "gear": "head", "learning_rate": 0.001},
    channels=(Channel("training", "s3://b/dogs/data/pets/", "data"),),
    image=image_uri("training", "ml.m5.large", "us-east-1", TrainSettings(), AwsSettings()),
    instance_type="ml.m5.large",
)


def request(plan: JobPlan = PLAN, **options: str) -> dict[str, Any]:
    return training_request(
        plan,
        "dogs-train-1",
        NAMES,
        "us-east-1",
        role_arn="arn:aws:iam::123456789012:role/sagehound-training",
        code_uri="s3://b/dogs/code/x/sourcedir.tar.gz",
        **options,
    )


@pytest.mark.parametrize(
    "plan",
    [
        PLAN,
        dataclasses.replace(PLAN, compression="NONE", instance_count=5),
        dataclasses.replace(PLAN, distribution="mpi"),
    ],
)
def test_it_is_valid_by_the_service_model(plan: JobPlan) -> None:
    shape = boto3.client("sagemaker", region_name="us-east-1").meta.service_model.operation_model("CreateTrainingJob")
    report = ParamValidator().validate(request(plan, checkpoints="dogs-train-1"), shape.input_shape)
    assert not report.has_errors(), report.generate_report()


def test_hyperparameters_are_json_quoted_like_the_sdk_does() -> None:
    values = request()["HyperParameters"]
    assert values["sagemaker_program"] == '"train_model.py"'
    assert values["sagemaker_submit_directory"] == '"s3://b/dogs/code/x/sourcedir.tar.gz"'
    assert values["sagemaker_container_log_level"] == "20"
    assert values["sagemaker_job_name"] == '"dogs-train-1"'
    assert values["sagemaker_region"] == '"us-east-1"'
    assert values["batch_size"] == "64"
    assert {name: json.loads(value) for name, value in values.items()}["gear"] == "head"


def test_a_distribution_is_said_as_the_sdk_says_it() -> None:
    plain = request()["HyperParameters"]
    assert not [name for name in plain if name.endswith("_enabled")]
    torchrun = request(dataclasses.replace(PLAN, distribution="torch_distributed"))["HyperParameters"]
    assert torchrun["sagemaker_torch_distributed_enabled"] == "true"
    assert torchrun["sagemaker_instance_type"] == '"ml.m5.large"'
    mpi = request(dataclasses.replace(PLAN, distribution="mpi"))["HyperParameters"]
    assert mpi["sagemaker_mpi_enabled"] == "true"
    assert mpi["sagemaker_mpi_num_of_processes_per_host"] == "1"


def test_plain_files_and_checkpoints_are_asked_for_where_they_are_wanted() -> None:
    assert "CompressionType" not in request()["OutputDataConfig"]
    assert "CheckpointConfig" not in request()
    assert request(dataclasses.replace(PLAN, compression="NONE"))["OutputDataConfig"]["CompressionType"] == "NONE"
    assert request(checkpoints="other")["CheckpointConfig"]["S3Uri"].endswith("/dogs/checkpoints/other")


@pytest.mark.parametrize(
    ("kind", "instance_type", "uri"),
    [
        ("training", "ml.m5.large", "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312"),
        (
            "inference",
            "ml.g4dn.xlarge",
            "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-gpu-py312",
        ),
    ],
)
def test_the_image_is_awss_own(kind: str, instance_type: str, uri: str) -> None:
    assert image_uri(kind, instance_type, "us-east-1", TrainSettings(), AwsSettings()) == uri


@pytest.mark.parametrize(
    "change",
    [
        {"hyperparameters": {**PLAN.hyperparameters, "epochs": 3}},
        {"program": "hpo.py"},
        {"code_digest": "other"},
        {"channels": (Channel("training", "s3://b/dogs/data/pets/", "other"),)},
        {"channels": (Channel("features", "s3://b/dogs/data/pets/", "data"),)},
        {"instance_count": 2},
        {"distribution": "mpi"},
        {"compression": "NONE"},
        {"image": PLAN.image.replace("2.6.0", "2.5.1")},
        {"metric_definitions": ({"Name": "Test Loss", "Regex": "Testing Loss: ([0-9.]+)"},)},
    ],
)
def test_what_changes_the_result_changes_the_name(change: dict[str, Any]) -> None:
    assert dataclasses.replace(PLAN, **change).digest() != PLAN.digest()


def test_how_long_it_may_take_and_where_inputs_lie_change_nothing() -> None:
    moved = (Channel("training", "s3://elsewhere/", "data"),)
    same = dataclasses.replace(PLAN, max_runtime_seconds=60, volume_size_gb=50, channels=moved)
    assert same.digest() == PLAN.digest()
    assert PLAN.over(5).over(1).digest() == PLAN.digest()


def test_names_are_within_awss_limits() -> None:
    names = Names.of(PipelineSettings(project="p" * 30), "123456789012")
    for name in (
        f"{names.job_base('f' * 64)}-99",
        f"{names.features_base('f' * 64)}-99",
        names.multi_endpoint,
        names.model("f" * 64),
        names.endpoint_config("f" * 64),
        names.endpoint,
    ):
        assert len(name) <= 63
    assert len(names.tuning("f" * 64)) <= 32
    assert NAMES.bucket == "project5bucket98-123456789012"


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        (PipelineSettings(project="My Project"), "project 'My Project'"),
        (PipelineSettings(project="p" * 31), "project"),
        (PipelineSettings(bucket="No_Such"), "bucket 'No_Such'"),
        (PipelineSettings(deploy=DeploySettings(endpoint_name="my_endpoint")), "deploy.endpoint_name 'my_endpoint'"),
        (PipelineSettings(deploy=DeploySettings(endpoint_name="e" * 58)), "deploy.endpoint_name"),
    ],
)
def test_names_that_aws_would_refuse_are_refused_here(settings: PipelineSettings, word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        Names.of(settings, "123456789012")


def test_the_endpoint_may_have_a_name_of_its_own() -> None:
    settings = PipelineSettings(deploy=DeploySettings(endpoint_name="mine"))
    assert Names.of(settings, "123456789012").endpoint == "mine"


def test_attempts_are_told_from_other_jobs() -> None:
    assert [
        attempt_of(name, "d-train-ab") for name in ("d-train-ab", "d-train-ab-2", "d-train-ab-x", "d-train-abc")
    ] == [
        1,
        2,
        None,
        None,
    ]
