"""Tuning jobs as strangers' notebooks make them: the request of SageMaker SDK v2 around scripts in the usual style."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud.hosting import Hosting
from tests.cloud.tuning import TuningWorkshop
from tests.cloud_process import CloudProcess

USUAL_REGEX = r"Testing Loss: ([0-9\.]+)"
BATCH_SIZES = ("32", "64", "128", "256", "512")

HPO = '''
import argparse
import json
import os

INFERENCE = """
def model_fn(model_dir):
    return open(model_dir + "/model.pth").read()
def transform_fn(model, data, content_type, accept):
    return model, "text/plain"
"""


def test(args):
    loss = abs(args.learning_rate - 0.05) + 1 / args.batch_size
    print(f"Testing Loss: {loss}")
    print(f"Testing Accuracy: {1 / (1 + loss)}")


def main(args):
    print(f"Hyperparameters are LR: {args.learning_rate}, Batch Size: {args.batch_size}")
    for epoch in range(3):
        print(f"Epoch {epoch}, Testing Loss: {9 - epoch}.5")
    test(args)
    os.makedirs(os.path.join(args.model_dir, "code"))
    with open(os.path.join(args.model_dir, "model.pth"), "w") as model:
        model.write(f"{args.learning_rate!r} {args.batch_size}")
    with open(os.path.join(args.model_dir, "code", "inference.py"), "w") as code:
        code.write(INFERENCE)
    pictures = sorted(os.listdir(args.data))
    print("RESULT " + json.dumps([args.learning_rate, args.batch_size, pictures, json.loads(os.environ["SM_HPS"])]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--learning-rate", "--learning_rate", type=float)
    parser.add_argument("--batch_size", type=int)
    parser.add_argument("--data", type=str, default=os.environ["SM_CHANNEL_TRAINING"])
    parser.add_argument("--model_dir", type=str, default=os.environ["SM_MODEL_DIR"])
    parser.add_argument("--output_dir", type=str, default=os.environ["SM_OUTPUT_DATA_DIR"])
    main(parser.parse_args())
'''

BY_MODE = """
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--mode", type=str, required=True)
mode = parser.parse_args().mode
if mode == "crashes":
    raise ValueError("Expected more than 1 value per channel when training")
if mode == "leaves early":
    raise SystemExit(3)
for value in {
    "plain": [0.5],
    "silent": [],
    "nan": ["nan"],
    "better, then nan": [0.25, "nan"],
    "inf": ["inf"],
    "minus inf": ["-inf"],
    "full stop": ["3.2."],
    "two dots": ["1.2.3"],
    "exponent": [2e-05],
    "huge": ["9" * 400],
    "many": [*(1000 - batch / 10 for batch in range(3000)), 0.75],
}.get(mode, []):
    print(f"Testing Loss: {value}")
"""


def sdk_request(shop: TuningWorkshop, script: str, ranges: dict[str, Any], **config: Any) -> dict[str, Any]:
    """CreateHyperParameterTuningJob as sagemaker 2.257.7 was recorded to send it, around a script of the test's."""
    template = shop.request(script)
    regex, kind = config.pop("Regex", USUAL_REGEX), config.pop("Type", "Minimize")
    shop.put("dogImages/train/001.Affenpinscher/1.jpg", "no picture")
    return {
        "HyperParameterTuningJobName": f"pytorch-training-{uuid.uuid4().hex[:10]}",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1},
            "TrainingJobEarlyStoppingType": "Off",
            "HyperParameterTuningJobObjective": {"Type": kind, "MetricName": "Test Loss"},
            "ParameterRanges": {
                "ContinuousParameterRanges": [],
                "CategoricalParameterRanges": [],
                "IntegerParameterRanges": [],
                **ranges,
            },
            **config,
        },
        "TrainingJobDefinition": {
            "StaticHyperParameters": {
                **template["HyperParameters"],
                "sagemaker_container_log_level": "20",
                "sagemaker_job_name": '"pytorch-dog-hpo-2026-11-22-10-51-48-657"',
                "sagemaker_region": '"us-east-1"',
                "sagemaker_estimator_class_name": '"PyTorch"',
                "sagemaker_estimator_module": '"sagemaker.pytorch.estimator"',
            },
            "RoleArn": shop.role_arn,
            "OutputDataConfig": {"S3OutputPath": f"s3://{shop.bucket}/"},
            "StoppingCondition": {"MaxRuntimeInSeconds": 86400},
            "HyperParameterTuningResourceConfig": {
                "InstanceCount": 1,
                "InstanceType": "ml.g4dn.xlarge",
                "VolumeSizeInGB": 30,
            },
            "AlgorithmSpecification": {
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "Test Loss", "Regex": regex}],
                "TrainingImage": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:1.11.0-gpu-py38",
            },
            "InputDataConfig": [shop.channel("training", "dogImages/", S3DataDistributionType="FullyReplicated")],
        },
    }


def tune(shop: TuningWorkshop, script: str, ranges: dict[str, Any], **config: Any) -> dict[str, Any]:
    """Create such a tuning job and wait for its end; its description."""
    request = sdk_request(shop, script, ranges, **config)
    shop.sagemaker.create_hyper_parameter_tuning_job(**request)
    return shop.tuning_ended(request["HyperParameterTuningJobName"])


def quoted(name: str, *values: str) -> dict[str, Any]:
    """A CategoricalParameter as version 2 of the SDK sends it: each value as JSON."""
    return {"CategoricalParameterRanges": [{"Name": name, "Values": [json.dumps(value) for value in values]}]}


def usual_ranges() -> dict[str, Any]:
    """ContinuousParameter(0.001, 0.1) and CategoricalParameter([32, 64, 128, 256, 512])."""
    rate = {"Name": "learning_rate", "MinValue": "0.001", "MaxValue": "0.1", "ScalingType": "Auto"}
    return {"ContinuousParameterRanges": [rate], **quoted("batch_size", *BATCH_SIZES)}


def by_mode(shop: TuningWorkshop, *modes: str, **config: Any) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """A tuning job with one training job for each mode of BY_MODE; its description, and the summaries by mode."""
    limits = {"MaxNumberOfTrainingJobs": len(modes), "MaxParallelTrainingJobs": 2}
    ended = tune(shop, BY_MODE, quoted("mode", *modes), Strategy="Grid", ResourceLimits=limits, **config)
    children = shop.children(ended["HyperParameterTuningJobName"])
    return ended, {json.loads(child["TunedHyperParameters"]["mode"]): child for child in children}


def value(child: dict[str, Any]) -> float | None:
    """The final value of a training job's summary."""
    found: float | None = child.get("FinalHyperParameterTuningJobObjectiveMetric", {}).get("Value")
    return found


def statistics(shop: TuningWorkshop, training_job: str) -> dict[str, float]:
    """What CloudWatch has of a training job's objective."""
    now, totals = datetime.now(UTC), ("SampleCount", "Sum", "Minimum", "Maximum")
    points = shop.cloud.client("cloudwatch").get_metric_statistics(
        Namespace="/aws/sagemaker/TrainingJobs",
        MetricName="Test Loss",
        Dimensions=[{"Name": "TrainingJobName", "Value": training_job}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=1),
        Period=7200,
        Statistics=list(totals),
    )["Datapoints"]
    gather = {"SampleCount": sum, "Sum": sum, "Minimum": min, "Maximum": max}
    return {name: gather[name](point[name] for point in points) for name in totals}


@pytest.fixture(scope="module")
def shop(cloud: CloudProcess) -> TuningWorkshop:
    return TuningWorkshop(cloud)


@pytest.fixture(scope="module")
def usual(shop: TuningWorkshop) -> dict[str, Any]:
    """The usual tuning job: two training jobs, one at a time."""
    return tune(shop, HPO, usual_ranges())


def test_the_usual_script_runs_and_gets_its_values_without_quotation_marks(
    shop: TuningWorkshop, usual: dict[str, Any]
) -> None:
    assert usual["HyperParameterTuningJobStatus"] == "Completed", usual.get("FailureReason")
    children = shop.children(usual["HyperParameterTuningJobName"])
    assert len(children) == 2
    for child in children:
        rate, batch_size, pictures, hyperparameters = shop.printed(child["TrainingJobName"])
        assert child["TunedHyperParameters"] == {"learning_rate": repr(rate), "batch_size": f'"{batch_size}"'}
        assert 0.001 <= rate <= 0.1
        assert str(batch_size) in BATCH_SIZES
        assert pictures == ["train"]
        # Of its own tuning a script is told nothing, and of the SDK's own hyperparameters neither.
        assert hyperparameters == {"learning_rate": rate, "batch_size": str(batch_size)}
        assert value(child) == pytest.approx(abs(rate - 0.05) + 1 / batch_size)


def test_the_hyperparameters_of_a_training_job_are_told_as_they_were_sent(
    shop: TuningWorkshop, usual: dict[str, Any]
) -> None:
    best = usual["BestTrainingJob"]
    job = shop.describe(best["TrainingJobName"])
    static = usual["TrainingJobDefinition"]["StaticHyperParameters"]
    assert job["HyperParameters"] == {**static, **best["TunedHyperParameters"]}
    assert static["_tuning_objective_metric"] == "Test Loss"
    assert job["HyperParameters"]["sagemaker_program"] == '"train.py"'
    assert job["HyperParameters"]["batch_size"][0] == '"'
    assert job["TuningJobArn"] == usual["HyperParameterTuningJobArn"]
    assert [data["MetricName"] for data in job["FinalMetricDataList"]] == ["Test Loss"]


def test_the_best_training_job_can_be_deployed(
    cloud: CloudProcess, shop: TuningWorkshop, usual: dict[str, Any]
) -> None:
    hosting = Hosting(cloud)
    best = shop.describe(usual["BestTrainingJob"]["TrainingJobName"])
    container = {
        "Image": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:1.11.0-gpu-py38",
        "ModelDataUrl": best["ModelArtifacts"]["S3ModelArtifacts"],
        "Environment": {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"},
    }
    hosting.sagemaker.create_model(
        ModelName=hosting.name("best"), ExecutionRoleArn=shop.role_arn, PrimaryContainer=container
    )
    endpoint = hosting.create("best", hosting.config("best", hosting.variant(hosting.name("best"))))
    assert hosting.settled(endpoint)["EndpointStatus"] == "InService"
    hyperparameters = best["HyperParameters"]
    batch_size = json.loads(hyperparameters["batch_size"])
    assert hosting.invoke(endpoint) == f"{hyperparameters['learning_rate']} {batch_size}"
    hosting.delete(endpoint)


def test_accuracy_is_maximized(shop: TuningWorkshop) -> None:
    regex, limits = r"Testing Accuracy: ([0-9\.]+)", {"MaxNumberOfTrainingJobs": 5, "MaxParallelTrainingJobs": 2}
    static = HPO.replace("args.learning_rate - 0.05", "0.01").replace("type=float)", "type=float, default=0.01)")
    ended = tune(
        shop,
        static,
        quoted("batch_size", *BATCH_SIZES),
        Strategy="Grid",
        ResourceLimits=limits,
        Regex=regex,
        Type="Maximize",
    )
    name = ended["HyperParameterTuningJobName"]
    assert ended["BestTrainingJob"]["TunedHyperParameters"] == {"batch_size": '"512"'}
    best = shop.children(name, SortBy="FinalObjectiveMetricValue", SortOrder="Descending")
    assert [json.loads(child["TunedHyperParameters"]["batch_size"]) for child in best] == list(reversed(BATCH_SIZES))
    assert value(best[0]) == pytest.approx(1 / (1 + 0.01 + 1 / 512))


def test_a_script_that_crashes_for_one_category_does_not_end_the_search(shop: TuningWorkshop) -> None:
    ended, children = by_mode(shop, "plain", "crashes", "many", "leaves early")
    assert ended["HyperParameterTuningJobStatus"] == "Completed"
    assert "FailureReason" not in ended
    assert {mode: child["TrainingJobStatus"] for mode, child in children.items()} == {
        "plain": "Completed",
        "crashes": "Failed",
        "many": "Completed",
        "leaves early": "Failed",
    }
    assert "Expected more than 1 value per channel" in children["crashes"]["FailureReason"]
    assert children["crashes"]["ObjectiveStatus"] == "Failed"
    assert ended["TrainingJobStatusCounters"] == {
        "Completed": 2,
        "InProgress": 0,
        "RetryableError": 0,
        "NonRetryableError": 2,
        "Stopped": 0,
    }
    assert ended["ObjectiveStatusCounters"] == {"Succeeded": 2, "Pending": 0, "Failed": 2}
    assert value(ended["BestTrainingJob"]) == 0.5


def test_what_the_usual_regex_reads_of_odd_lines(shop: TuningWorkshop) -> None:
    ended, children = by_mode(shop, "plain", "silent", "nan", "full stop", "two dots", "exponent", "huge", "many")
    assert {mode: value(child) for mode, child in children.items()} == {
        "plain": 0.5,
        "silent": None,
        "nan": None,
        "full stop": None,  # the expression takes the full stop, too, and "3.2." is no number
        "two dots": None,
        "exponent": 2.0,  # the expression stops before "e-05": what it has captured is what counts
        "huge": None,
        "many": 0.75,
    }
    assert {child["TrainingJobStatus"] for child in children.values()} == {"Completed"}
    assert ended["HyperParameterTuningJobStatus"] == "Completed"
    assert ended["ObjectiveStatusCounters"] == {"Succeeded": 3, "Pending": 0, "Failed": 5}
    assert value(ended["BestTrainingJob"]) == 0.5
    assert statistics(shop, children["many"]["TrainingJobName"]) == {
        "SampleCount": 3001,
        "Sum": pytest.approx(sum(1000 - batch / 10 for batch in range(3000)) + 0.75),
        "Minimum": 0.75,
        "Maximum": 1000,
    }


def test_what_is_no_finite_number_is_no_value_and_never_the_best(shop: TuningWorkshop) -> None:
    modes = ("plain", "nan", "inf", "minus inf", "exponent", "better, then nan")
    ended, children = by_mode(shop, *modes, Regex=r"Testing Loss: (\S+)")
    assert {mode: value(child) for mode, child in children.items()} == {
        "plain": 0.5,
        "nan": None,
        "inf": None,
        "minus inf": None,
        "exponent": 2e-05,
        "better, then nan": 0.25,
    }
    assert value(ended["BestTrainingJob"]) == 2e-05
    assert ended["ObjectiveStatusCounters"] == {"Succeeded": 3, "Pending": 0, "Failed": 3}


def test_a_script_that_takes_another_name_fails_every_trial_and_the_tuning_job_says_so(shop: TuningWorkshop) -> None:
    script = HPO.replace('"--learning-rate", "--learning_rate"', '"--lr"')
    ended = tune(shop, script, usual_ranges())
    assert ended["HyperParameterTuningJobStatus"] == "Failed"
    assert "All training jobs failed." in ended["FailureReason"]
    reasons = [child["FailureReason"] for child in shop.children(ended["HyperParameterTuningJobName"])]
    assert len(reasons) == 2
    assert all("unrecognized arguments: --learning_rate" in reason for reason in reasons)
    assert "BestTrainingJob" not in ended


def test_the_name_of_the_objective_is_no_hyperparameter_to_tune(shop: TuningWorkshop) -> None:
    request = sdk_request(shop, HPO, quoted("_tuning_objective_metric", "Test Loss", "Other Loss"))
    with pytest.raises(ClientError, match="cannot be a tunable hyperparameter"):
        shop.sagemaker.create_hyper_parameter_tuning_job(**request)
