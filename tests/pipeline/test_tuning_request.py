"""CreateHyperParameterTuningJob as the SageMaker SDK sends it, and settings that do not fit together."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator

from sagehound.errors import SettingsError
from sagehound.pipeline.aws_images import image_uri
from sagehound.pipeline.hyperparameters import told, tuned_values
from sagehound.pipeline.names import Names
from sagehound.pipeline.training_request import Channel, JobPlan
from sagehound.pipeline.tune import space_of
from sagehound.pipeline.tuning_request import objective_definitions, tuning_digest, tuning_request
from sagehound.settings import AwsSettings, PipelineSettings, TrainSettings, TuneSettings

NAMES = Names.of(PipelineSettings(project="dogs"), "123456789012")
PLAN = JobPlan(
    program="hpo.py",
    code_digest="code",
    hyperparameters={"gear": "head", "epochs": 9},
    channels=(Channel("features", "s3://b/dogs/jobs/f/output/model/", "data"),),
    image=image_uri("training", "ml.m5.large", "us-east-1", TrainSettings(), AwsSettings()),
    instance_type="ml.m5.large",
)


def settings(*, epochs: int = 0, **changes: Any) -> PipelineSettings:
    return PipelineSettings(tune=dataclasses.replace(TuneSettings(), **changes), train=TrainSettings(epochs=epochs))


def request(parent: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    given = settings(**changes)
    return tuning_request(
        PLAN,
        given.tune,
        space_of(given),
        NAMES.tuning("0" * 64),
        NAMES,
        "us-east-1",
        role_arn="arn:aws:iam::123456789012:role/sagehound-training",
        code_uri="s3://b/dogs/code/x/sourcedir.tar.gz",
        parent=parent,
    )


PARENT = {"HyperParameterTuningJobName": "dogs-hpo-1", "TrainingJobDefinition": request()["TrainingJobDefinition"]}


@pytest.mark.parametrize(
    "asked",
    [
        request(),
        request(parent=PARENT, early_stopping="Auto"),
        request(strategy="Grid", ranges={"batch_size": [32, 64]}),
        request(strategy="Hyperband", epochs=9, max_jobs=9, ranges={"head_epochs": {"min": 4, "max": 20}}),
    ],
)
def test_it_is_valid_by_the_service_model(asked: dict[str, Any]) -> None:
    model = boto3.client("sagemaker", region_name="us-east-1").meta.service_model
    shape = model.operation_model("CreateHyperParameterTuningJob").input_shape
    report = ParamValidator().validate(asked, shape)
    assert not report.has_errors(), report.generate_report()


def test_it_has_the_members_that_the_sdk_sends() -> None:
    asked = request()
    assert asked["HyperParameterTuningJobName"] == "dogs-hpo-00000000"
    config = asked["HyperParameterTuningJobConfig"]
    assert config["Strategy"] == "Bayesian"
    assert config["ResourceLimits"] == {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1}
    assert config["TrainingJobEarlyStoppingType"] == "Off"
    assert config["HyperParameterTuningJobObjective"] == {"Type": "Minimize", "MetricName": "validation:loss"}
    assert config["RandomSeed"] == 0
    definition = asked["TrainingJobDefinition"]
    assert definition["HyperParameterTuningResourceConfig"] == {
        "InstanceCount": 1,
        "InstanceType": "ml.m5.large",
        "VolumeSizeInGB": 30,
    }
    assert "ResourceConfig" not in definition
    statics = {name: json.loads(text) for name, text in definition["StaticHyperParameters"].items()}
    assert statics == {
        "gear": "head",
        "epochs": 9,
        "sagemaker_submit_directory": "s3://b/dogs/code/x/sourcedir.tar.gz",
        "sagemaker_program": "hpo.py",
        "sagemaker_container_log_level": 20,
        "sagemaker_job_name": "dogs-hpo-00000000",
        "sagemaker_region": "us-east-1",
        "sagemaker_estimator_class_name": "PyTorch",
        "sagemaker_estimator_module": "sagemaker.pytorch.estimator",
    }
    metrics = definition["AlgorithmSpecification"]["MetricDefinitions"]
    assert "validation:loss" in [metric["Name"] for metric in metrics]
    assert "EnableSageMakerMetricsTimeSeries" not in definition["AlgorithmSpecification"]


def test_a_grid_is_as_long_as_its_combinations_and_hyperband_knows_the_epochs() -> None:
    grid = request(strategy="Grid", ranges={"batch_size": [32, 64]})["HyperParameterTuningJobConfig"]
    assert grid["ResourceLimits"] == {"MaxParallelTrainingJobs": 1}
    band = request(strategy="Hyperband", epochs=9)["HyperParameterTuningJobConfig"]
    assert band["StrategyConfig"]["HyperbandStrategyConfig"] == {"MinResource": 1, "MaxResource": 9}


def test_a_warm_start_says_whether_data_and_container_are_the_parents() -> None:
    warm = request(parent=PARENT)["WarmStartConfig"]
    assert warm["ParentHyperParameterTuningJobs"] == [{"HyperParameterTuningJobName": "dogs-hpo-1"}]
    assert warm["WarmStartType"] == "IdenticalDataAndAlgorithm"
    other = json.loads(json.dumps(PARENT).replace("/jobs/f/", "/jobs/other/"))
    assert request(parent=other)["WarmStartConfig"]["WarmStartType"] == "TransferLearning"


@pytest.mark.parametrize(
    "change",
    [
        {"max_jobs": 3},
        {"max_jobs": 4, "max_parallel_jobs": 2},
        {"seed": 1},
        {"strategy": "Random"},
        {"objective": "validation:accuracy", "objective_type": "Maximize"},
        {"early_stopping": "Auto"},
        {"warm_start": "previous"},
        {"ranges": {"batch_size": [32]}},
    ],
)
def test_what_changes_the_search_changes_the_name(change: dict[str, Any]) -> None:
    usual, other = settings(), settings(**change)
    assert tuning_digest(PLAN, other.tune, space_of(other)) != tuning_digest(PLAN, usual.tune, space_of(usual))
    changed = dataclasses.replace(PLAN, code_digest="other")
    assert tuning_digest(changed, usual.tune, space_of(usual)) != tuning_digest(PLAN, usual.tune, space_of(usual))


@pytest.mark.parametrize(
    ("changes", "cause", "hint"),
    [
        ({"ranges": {}}, "tune.ranges is empty", "init"),
        ({"max_parallel_jobs": 3}, "tune.max_parallel_jobs 3 is above the 2 trials", "tune.max_jobs"),
        ({"strategy": "Grid"}, "tune.strategy Grid takes lists only", "another strategy"),
        (
            {"strategy": "Grid", "ranges": {"batch_size": [32, 64]}, "max_parallel_jobs": 3},
            "above the 2 trials",
            "Lower it",
        ),
        ({"strategy": "Hyperband"}, "train.epochs does not say how many", "train.epochs=12"),
        ({"strategy": "Hyperband", "early_stopping": "Auto"}, "does not go with tune.strategy Hyperband", "Off"),
        ({"objective": "test:loss"}, "the test split stays unseen", "validation:loss"),
        ({"objective": "validation:accuracy"}, "would choose the worst trial", "Maximize"),
        ({"entry_point": "mine.py", "objective": "Test Loss"}, "needs tune.objective_regex", "Testing Loss"),
        (
            {"entry_point": "mine.py", "objective": "Test Loss", "objective_regex": "Testing Loss: [0-9.]+"},
            "has no group",
            "parentheses",
        ),
        (
            {"entry_point": "mine.py", "objective": "Test Loss", "objective_regex": "Testing Loss: ([0-9.+"},
            "is no regular expression",
            "Correct it",
        ),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(changes: dict[str, Any], cause: str, hint: str) -> None:
    with pytest.raises(SettingsError) as refused:
        space_of(settings(**changes))
    assert cause in refused.value.cause
    assert hint in refused.value.hint


def test_the_objective_of_ones_own_script_is_read_by_its_expression() -> None:
    own = dataclasses.replace(TuneSettings(), objective="Test Loss", objective_regex="Testing Loss: ([0-9\\.]+)")
    assert objective_definitions(own, ours=False) == ({"Name": "Test Loss", "Regex": "Testing Loss: ([0-9\\.]+)"},)
    # A script that prints our names needs no expression.
    assert len(objective_definitions(TuneSettings(), ours=False)) > 1


def test_what_was_tuned_comes_back_with_its_type() -> None:
    texts = {"learning_rate": "0.0123", "batch_size": '"64"', "epochs": "7", "momentum": "0.9", "optimizer": '"sgd"'}
    assert tuned_values(texts, ours=False) == {
        "learning_rate": 0.0123,
        "batch_size": "64",
        "epochs": 7,
        "momentum": 0.9,
        "optimizer": "sgd",
    }
    ours = tuned_values({"learning_rate": "1", "batch_size": '"64"', "epochs": "7.0"}, ours=True)
    assert ours == {"learning_rate": 1.0, "batch_size": 64, "epochs": 7}
    assert [type(value) for value in ours.values()] == [float, int, int]


def test_what_a_job_is_told() -> None:
    train = dataclasses.replace(TrainSettings(), hyperparameters={"head_epochs": 5})
    values = told(train, ours=True, tuned={"batch_size": 128})
    assert (values["batch_size"], values["head_epochs"], values["learning_rate"]) == (128, 5, 0.001)
    assert "epochs" not in values  # 0: the entry point knows how many
    assert told(dataclasses.replace(train, epochs=3), ours=True)["epochs"] == 3
    assert told(train, ours=False, tuned={"lr": 0.1}) == {"head_epochs": 5, "lr": 0.1}


@pytest.mark.parametrize(
    ("extra", "cause"),
    [
        ({"momentum": 0.9}, "train.hyperparameters.momentum: the entry point has no hyperparameter momentum"),
        ({"batch_size": 3}, "train.hyperparameters.batch_size is a setting of its own"),
        ({"head_epochs": [1]}, "train.hyperparameters.head_epochs is [1]"),
    ],
)
def test_further_hyperparameters_are_checked(extra: dict[str, Any], cause: str) -> None:
    with pytest.raises(SettingsError) as refused:
        told(dataclasses.replace(TrainSettings(), hyperparameters=extra), ours=True)
    assert cause in refused.value.cause
