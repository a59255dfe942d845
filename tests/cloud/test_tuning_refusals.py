"""What CreateHyperParameterTuningJob refuses, and that nothing of a refused tuning job remains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud.tuning import OBJECTIVE, PARABOLA, TuningWorkshop, categorical, continuous
from tests.cloud_process import CloudProcess

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def shop(cloud: CloudProcess) -> TuningWorkshop:
    return TuningWorkshop(cloud)


def refusal(shop: TuningWorkshop, request: dict[str, Any]) -> tuple[str, str]:
    name = request["HyperParameterTuningJobName"]
    with pytest.raises(ClientError) as refused:
        shop.sagemaker.create_hyper_parameter_tuning_job(**request)
    with pytest.raises(shop.sagemaker.exceptions.ResourceNotFound):
        shop.tuning(name)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def config(request: dict[str, Any]) -> Any:
    return request["HyperParameterTuningJobConfig"]


def definition(request: dict[str, Any]) -> Any:
    return request["TrainingJobDefinition"]


def ranges(request: dict[str, Any], given: dict[str, Any], **changes: Any) -> None:
    config(request).update(ParameterRanges=given, **changes)


NOT_ENOUGH = "You don't have enough combinations of hyperparameter ranges."
CASES: dict[str, tuple[Change, str]] = {
    "upside down": (lambda request: ranges(request, continuous("x", "1", "0")), "must be less than"),
    "logarithm of zero": (
        lambda request: ranges(request, continuous("x", "0", "1", ScalingType="Logarithmic")),
        "greater than 0",
    ),
    "reverse logarithm above one": (
        lambda request: ranges(request, continuous("x", "0.5", "1.5", ScalingType="ReverseLogarithmic")),
        "within 0 <= x < 1.0",
    ),
    "no number": (lambda request: ranges(request, continuous("x", "a", "b")), "is not a finite number"),
    "twice the same": (
        lambda request: ranges(request, {**continuous("x"), **categorical("1", "2")}),
        "'x' has more than one range",
    ),
    "no range": (lambda request: config(request).pop("ParameterRanges"), "ParameterRanges is required"),
    "no objective": (
        lambda request: config(request).pop("HyperParameterTuningJobObjective"),
        "HyperParameterTuningJobObjective is required",
    ),
    "too few combinations": (
        lambda request: ranges(request, categorical("1", "2")),
        f"{NOT_ENOUGH} The total number of hyperparameter combinations for the provided ranges [2.0] must be equal or "
        "greater than the value of MaxNumberOfJobs, [3]. Provide additional ranges.",
    ),
    "a grid of another size": (
        lambda request: ranges(request, categorical("1", "2", "3", "4"), Strategy="Grid"),
        "must be equal to the number of combinations of the categorical hyperparameters, [4]",
    ),
    "a grid of numbers": (lambda request: config(request).update(Strategy="Grid"), "only categorical"),
    "static and tuned": (
        lambda request: definition(request)["StaticHyperParameters"].update(x="1"),
        "Hyperparameters cannot be both static and tunable: x.",
    ),
    "another metric": (
        lambda request: config(request).update(
            HyperParameterTuningJobObjective={"Type": "Minimize", "MetricName": "accuracy"}
        ),
        "A metric is required for this hyperparameter tuning job objective. Provide a metric in the metric "
        "definitions.",
    ),
    "a regex without a group": (
        lambda request: definition(request)["AlgorithmSpecification"].update(
            MetricDefinitions=[{"Name": "loss", "Regex": "loss=.*"}]
        ),
        "has no group that captures a value",
    ),
    "more parallel jobs than jobs": (
        lambda request: config(request)["ResourceLimits"].update(MaxParallelTrainingJobs=4),
        "The value of MaxParallelTrainingJobs, [4], must be less than or equal to the value of "
        "MaxNumberOfTrainingJobs, [3].",
    ),
    "no end": (
        lambda request: config(request)["ResourceLimits"].pop("MaxNumberOfTrainingJobs"),
        "MaxNumberOfTrainingJobs is required",
    ),
    "Hyperband and Auto": (
        lambda request: config(request).update(
            Strategy="Hyperband",
            TrainingJobEarlyStoppingType="Auto",
            StrategyConfig={"HyperbandStrategyConfig": {"MaxResource": 9}},
        ),
        "TrainingJobEarlyStoppingType must be Off",
    ),
    "Hyperband without epochs": (
        lambda request: config(request).update(Strategy="Hyperband"),
        "MaxResource of HyperbandStrategyConfig is required",
    ),
    "both kinds of definitions": (
        lambda request: request.update(TrainingJobDefinitions=[definition(request)]),
        "Provide exactly one of TrainingJobDefinition and TrainingJobDefinitions.",
    ),
    "no definition": (
        lambda request: request.pop("TrainingJobDefinition"),
        "Provide exactly one of TrainingJobDefinition and TrainingJobDefinitions.",
    ),
    "definitions without names": (
        lambda request: request.update(TrainingJobDefinitions=[request.pop("TrainingJobDefinition")]),
        "DefinitionName is required in each of TrainingJobDefinitions.",
    ),
    "two resource configurations": (
        lambda request: definition(request).update(
            HyperParameterTuningResourceConfig=definition(request)["ResourceConfig"]
        ),
        "ResourceConfig cannot be given together with HyperParameterTuningResourceConfig.",
    ),
    "an unknown role": (
        lambda request: definition(request).update(RoleArn="arn:aws:iam::123456789012:role/nobody"),
        "Could not assume role arn:aws:iam::123456789012:role/nobody.",
    ),
    "an image that nobody can pull": (
        lambda request: definition(request)["AlgorithmSpecification"].update(
            TrainingImage="123456789012.dkr.ecr.us-east-1.amazonaws.com/my/own:latest"
        ),
        "Cannot find repository: my/own",
    ),
    "no input": (
        lambda request: definition(request).update(
            InputDataConfig=[
                {
                    "ChannelName": "training",
                    "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://no-such-bucket-x/y"}},
                }
            ]
        ),
        "no-such-bucket-x",
    ),
    "reserved tags": (
        lambda request: request.update(Tags=[{"Key": "aws:x", "Value": "y"}]),
        "reserved for system use",
    ),
    "too many hyperparameters": (
        lambda request: definition(request)["StaticHyperParameters"].update({f"p{n}": "1" for n in range(98)}),
        "at most 100 hyperparameters",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_request_that_makes_no_sense(shop: TuningWorkshop, case: str) -> None:
    change, expected = CASES[case]
    request = shop.tuning_request(PARABOLA)
    change(request)
    code, message = refusal(shop, request)
    assert code == "ValidationException"
    assert expected in message


def test_autotune_is_refused_by_name(shop: TuningWorkshop) -> None:
    code, message = refusal(shop, shop.tuning_request(PARABOLA, Autotune={"Mode": "Enabled"}))
    assert (code, "Autotune" in message) == ("NotImplemented", True)


def test_definitions_of_one_name(shop: TuningWorkshop) -> None:
    one = shop.definition(
        PARABOLA, DefinitionName="one", TuningObjective=OBJECTIVE, HyperParameterRanges=continuous("x")
    )
    _, message = refusal(shop, shop.tuning_request("", definitions=[one, one]))
    assert "DefinitionName must be unique" in message


def test_a_taken_name_and_an_unknown_one(shop: TuningWorkshop) -> None:
    name = shop.tuned(PARABOLA, jobs=1)["HyperParameterTuningJobName"]
    with pytest.raises(shop.sagemaker.exceptions.ResourceInUse) as taken:
        shop.tune(PARABOLA, jobs=1, name=name)
    assert taken.value.response["Error"]["Message"] == (
        f"A hyperparameter tuning job with the name, {name}, already exists. Choose a different name."
    )
    for operation in (
        "describe_hyper_parameter_tuning_job",
        "stop_hyper_parameter_tuning_job",
        "delete_hyper_parameter_tuning_job",
        "list_training_jobs_for_hyper_parameter_tuning_job",
    ):
        with pytest.raises(ClientError) as unknown:
            getattr(shop.sagemaker, operation)(HyperParameterTuningJobName="nobody")
        assert unknown.value.response["Error"] == {
            "Code": "ResourceNotFound",
            "Message": "Amazon SageMaker can't find a tuning job called nobody. Type another name.",
        }
