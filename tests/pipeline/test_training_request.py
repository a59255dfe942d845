"""CreateTrainingJob as the SageMaker SDK would ask it, valid by AWS's own model."""

from __future__ import annotations

import dataclasses
import json

import boto3
import pytest
from botocore.validate import ParamValidator

from sagehound.errors import SettingsError
from sagehound.pipeline.names import Names, attempt_of
from sagehound.pipeline.training_request import image_uri, training_digest, training_request
from sagehound.settings import DeploySettings, PipelineSettings, TrainSettings

NAMES = Names.of(PipelineSettings(project="dogs"), "123456789012")


def request() -> dict[str, object]:
    return training_request(
        "dogs-train-1",
        "dogs-train-1",
        TrainSettings(),
        NAMES,
        "us-east-1",
        role_arn="arn:aws:iam::123456789012:role/sagehound-training",
        code_uri="s3://b/dogs/code/x/sourcedir.tar.gz",
        data_uri="s3://b/dogs/data/pets/",
    )


def test_it_is_valid_by_the_service_model() -> None:
    shape = boto3.client("sagemaker", region_name="us-east-1").meta.service_model.operation_model("CreateTrainingJob")
    report = ParamValidator().validate(request(), shape.input_shape)
    assert not report.has_errors(), report.generate_report()


def test_hyperparameters_are_json_quoted_like_the_sdk_does() -> None:
    values = request()["HyperParameters"]
    assert isinstance(values, dict)
    assert values["sagemaker_program"] == '"train_model.py"'
    assert values["sagemaker_submit_directory"] == '"s3://b/dogs/code/x/sourcedir.tar.gz"'
    assert values["sagemaker_container_log_level"] == "20"
    assert values["sagemaker_job_name"] == '"dogs-train-1"'
    assert values["sagemaker_region"] == '"us-east-1"'
    assert values["batch_size"] == "64"
    assert "epochs" not in values  # 0: the entry point knows how many
    assert {name: json.loads(value) for name, value in values.items()}["gear"] == "head"


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
    assert image_uri(kind, instance_type, "us-east-1", TrainSettings()) == uri


@pytest.mark.parametrize(
    "change", [{"epochs": 3}, {"gear": "network"}, {"instance_count": 2}, {"framework_version": "2.5.1"}]
)
def test_what_changes_the_result_changes_the_name(change: dict[str, object]) -> None:
    usual = training_digest(TrainSettings(), "us-east-1", "code", "data", "s3://b/")
    assert (
        training_digest(dataclasses.replace(TrainSettings(), **change), "us-east-1", "code", "data", "s3://b/") != usual
    )
    assert training_digest(TrainSettings(), "us-east-1", "other", "data", "s3://b/") != usual
    assert training_digest(TrainSettings(), "us-east-1", "code", "other", "s3://b/") != usual
    # How long it may take changes nothing about what is computed.
    slower = dataclasses.replace(TrainSettings(), max_runtime_seconds=60, volume_size_gb=50)
    assert training_digest(slower, "us-east-1", "code", "data", "s3://b/") == usual


def test_names_are_within_awss_limits() -> None:
    names = Names.of(PipelineSettings(project="p" * 30), "123456789012")
    for name in (
        f"{names.job_base('f' * 64)}-99",
        names.model("f" * 64),
        names.endpoint_config("f" * 64),
        names.endpoint,
    ):
        assert len(name) <= 63
    assert NAMES.bucket == "project5bucket98-123456789012"


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        (PipelineSettings(project="My Project"), "project 'My Project'"),
        (PipelineSettings(project="p" * 31), "project"),
        (PipelineSettings(bucket="No_Such"), "bucket 'No_Such'"),
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
