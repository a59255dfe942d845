"""Tuning jobs that really run: what their training jobs are given, what counts, what Describe and List tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cloud.tuning import OBJECTIVE, PARABOLA, READ, TuningWorkshop, categorical, continuous
from tests.cloud_process import CloudProcess

TELL = READ + "import json\nprint('RESULT', json.dumps(given), flush=True)\nprint('loss=1')\n"


@pytest.fixture(scope="module")
def shop(cloud: CloudProcess) -> TuningWorkshop:
    return TuningWorkshop(cloud)


@pytest.fixture(scope="module")
def searched(shop: TuningWorkshop) -> dict[str, Any]:
    """A tuning job of six training jobs, two at a time, that is over."""
    return shop.tuned(PARABOLA, jobs=6, parallel=2, Tags=[{"Key": "project", "Value": "dogs"}])


def test_a_tuning_job_runs_all_its_training_jobs_and_tells_the_best(
    shop: TuningWorkshop, searched: dict[str, Any]
) -> None:
    assert searched["HyperParameterTuningJobStatus"] == "Completed", searched.get("FailureReason")
    name = searched["HyperParameterTuningJobName"]
    children = shop.children(name)
    assert [child["TrainingJobName"][:-9] for child in children] == [f"{name}-00{number}" for number in range(1, 7)]
    assert searched["TrainingJobStatusCounters"] == {
        "Completed": 6,
        "InProgress": 0,
        "RetryableError": 0,
        "NonRetryableError": 0,
        "Stopped": 0,
    }
    assert searched["ObjectiveStatusCounters"] == {"Succeeded": 6, "Pending": 0, "Failed": 0}
    for child in children:
        x = float(child["TunedHyperParameters"]["x"])
        assert child["FinalHyperParameterTuningJobObjectiveMetric"] == {
            "MetricName": "loss",
            "Value": pytest.approx((x - 0.3) ** 2),
        }
        assert (child["ObjectiveStatus"], child["TrainingJobStatus"]) == ("Succeeded", "Completed")
        assert child["CreationTime"] <= child["TrainingStartTime"] <= child["TrainingEndTime"]
    best = min(children, key=lambda child: child["FinalHyperParameterTuningJobObjectiveMetric"]["Value"])
    assert searched["BestTrainingJob"] == best
    assert "OverallBestTrainingJob" not in searched  # AWS tells it of warm starts only
    assert searched["HyperParameterTuningEndTime"] >= max(child["TrainingEndTime"] for child in children)
    assert searched["ConsumedResources"]["RuntimeInSeconds"] >= 0
    assert searched["TuningJobCompletionDetails"]["NumberOfTrainingJobsObjectiveNotImproving"] <= 5


def test_the_request_is_told_back_with_aws_defaults(searched: dict[str, Any]) -> None:
    config = searched["HyperParameterTuningJobConfig"]
    assert config["TrainingJobEarlyStoppingType"] == "Off"
    assert config["ParameterRanges"] == {
        "IntegerParameterRanges": [],
        "ContinuousParameterRanges": [{"Name": "x", "MinValue": "0", "MaxValue": "1", "ScalingType": "Auto"}],
        "CategoricalParameterRanges": [],
    }
    definition = searched["TrainingJobDefinition"]
    assert definition["StaticHyperParameters"]["_tuning_objective_metric"] == "loss"
    assert definition["EnableNetworkIsolation"] is definition["EnableManagedSpotTraining"] is False
    assert definition["OutputDataConfig"]["KmsKeyId"] == ""


def test_a_training_job_of_a_tuning_job_is_an_ordinary_one(shop: TuningWorkshop, searched: dict[str, Any]) -> None:
    child = shop.children(searched["HyperParameterTuningJobName"])[0]
    job = shop.describe(child["TrainingJobName"])
    assert job["TuningJobArn"] == searched["HyperParameterTuningJobArn"]
    statics = searched["TrainingJobDefinition"]["StaticHyperParameters"]
    assert job["HyperParameters"] == {**statics, **child["TunedHyperParameters"]}
    assert job["ModelArtifacts"]["S3ModelArtifacts"].endswith(f"/{child['TrainingJobName']}/output/model.tar.gz")
    tags = shop.sagemaker.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
    assert tags == [{"Key": "project", "Value": "dogs"}]
    tags = shop.sagemaker.list_tags(ResourceArn=searched["HyperParameterTuningJobArn"])["Tags"]
    assert tags == [{"Key": "project", "Value": "dogs"}]


def test_a_script_is_told_its_values_as_the_ranges_have_them(shop: TuningWorkshop) -> None:
    ranges = {
        **continuous("learning_rate", "0.001", "0.1"),
        **categorical('"32"', '"64"', name="batch_size"),
        "IntegerParameterRanges": [{"Name": "epochs", "MinValue": "2", "MaxValue": "9"}],
    }
    resources = {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 3}
    request = shop.tuning_request(TELL, ranges, jobs=1, definition={"static": {"gear": "head"}})
    definition = request["TrainingJobDefinition"]
    del definition["ResourceConfig"]
    definition["HyperParameterTuningResourceConfig"] = resources
    shop.sagemaker.create_hyper_parameter_tuning_job(**request)
    ended = shop.tuning_ended(request["HyperParameterTuningJobName"])
    assert ended["HyperParameterTuningJobStatus"] == "Completed", ended.get("FailureReason")
    job = shop.describe(ended["BestTrainingJob"]["TrainingJobName"])
    given = job["HyperParameters"]
    assert given["batch_size"] in ('"32"', '"64"')
    assert 0.001 <= float(given["learning_rate"]) <= 0.1
    assert 2 <= int(given["epochs"]) <= 9
    assert given["_tuning_objective_metric"] == "loss"
    assert job["ResourceConfig"] == resources
    told = shop.printed(job["TrainingJobName"])
    assert told["batch_size"] == given["batch_size"].strip('"')
    assert {name: told[name] for name in ("learning_rate", "epochs", "gear")} == {
        name: given[name] for name in ("learning_rate", "epochs", "gear")
    }


def test_of_several_instance_configs_the_first_is_taken(shop: TuningWorkshop) -> None:
    request = shop.tuning_request(PARABOLA, jobs=1)
    definition = request["TrainingJobDefinition"]
    del definition["ResourceConfig"]
    configs = [
        {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 4},
        {"InstanceType": "ml.c5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 5},
    ]
    definition["HyperParameterTuningResourceConfig"] = {
        "AllocationStrategy": "Prioritized",
        "InstanceConfigs": configs,
    }
    shop.sagemaker.create_hyper_parameter_tuning_job(**request)
    ended = shop.tuning_ended(request["HyperParameterTuningJobName"])
    assert shop.describe(ended["BestTrainingJob"]["TrainingJobName"])["ResourceConfig"] == configs[0]


def test_the_last_match_counts_and_maximize_takes_the_greatest(shop: TuningWorkshop) -> None:
    script = READ + "print('loss=900', flush=True)\nprint(f'loss=800 loss={x}', flush=True)\n"
    config = {"HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "loss"}}
    ended = shop.tuned(script, categorical("3", "5", "4"), strategy="Grid", jobs=None, config=config)
    assert sorted(value or 0 for value in shop.values(ended["HyperParameterTuningJobName"])) == [3, 4, 5]
    assert ended["BestTrainingJob"]["TunedHyperParameters"] == {"x": "5"}


def test_two_run_at_the_same_time_and_never_three(shop: TuningWorkshop, tmp_path: Path) -> None:
    script = READ + (
        "open(os.path.join(given['folder'], str(os.getpid())), 'w').close()\n"
        "while len(os.listdir(given['folder'])) < 2: time.sleep(.01)\n"  # only a second job can end this
        "print('loss=1', flush=True)\n"
    )
    ended = shop.tuned(script, jobs=2, parallel=2, definition={"static": {"folder": str(tmp_path)}})
    assert ended["TrainingJobStatusCounters"]["Completed"] == 2
    spans = [
        (child["TrainingStartTime"], child["TrainingEndTime"])
        for child in shop.children(shop.tuned(PARABOLA, jobs=7, parallel=3)["HyperParameterTuningJobName"])
    ]
    for start, _ in spans:
        assert sum(begun <= start < over for begun, over in spans) <= 3


def test_a_trial_without_a_value_is_failed_and_spoils_nothing(shop: TuningWorkshop) -> None:
    script = READ + (
        "kind = given['kind']\n"
        "if kind == 'bad': print('loss=0.001', flush=True); raise SystemExit('this one breaks')\n"
        "if kind == 'nan': print('loss=nan', flush=True)\n"
        "if kind == 'good': print('loss=0.5', flush=True)\n"
    )
    kinds = ("bad", "nan", "mute", "good")
    ended = shop.tuned(script, categorical(*kinds, name="kind"), strategy="Grid", jobs=None)
    assert ended["HyperParameterTuningJobStatus"] == "Completed", ended.get("FailureReason")
    assert ended["TrainingJobStatusCounters"] == {
        "Completed": 3,
        "InProgress": 0,
        "RetryableError": 0,
        "NonRetryableError": 1,
        "Stopped": 0,
    }
    assert ended["ObjectiveStatusCounters"] == {"Succeeded": 1, "Pending": 0, "Failed": 3}
    assert ended["BestTrainingJob"]["TunedHyperParameters"] == {"kind": "good"}
    for child in shop.children(ended["HyperParameterTuningJobName"]):
        kind = child["TunedHyperParameters"]["kind"]
        assert ("FinalHyperParameterTuningJobObjectiveMetric" in child) == (kind == "good")
        assert child["TrainingJobStatus"] == ("Failed" if kind == "bad" else "Completed")
        reason = child.get("FailureReason", "")
        if kind == "bad":
            assert "this one breaks" in reason
        elif kind == "good":
            assert not reason
        else:
            assert reason == "No value of the objective metric loss was found in the output of the training job."


SEE = "For additional details, please take a look at the training job failures by listing training jobs for the "


@pytest.mark.parametrize(
    ("script", "jobs", "reason", "made"),
    [
        ("raise SystemExit(1)", 8, f"No training job succeeded after 5 attempts. {SEE}hyperparameter tuning job.", 5),
        ("raise SystemExit(1)", 2, f"All training jobs failed. {SEE}hyperparameter tuning job.", 2),
        (
            "print('Loss: 1')",
            8,
            "No objective metrics found after running 5 training jobs. Please ensure that the custom algorithm is "
            "emitting the objective metric as defined by the regular expression provided.",
            5,
        ),
    ],
)
def test_a_tuning_job_in_which_nothing_succeeds_fails(
    shop: TuningWorkshop, script: str, jobs: int, reason: str, made: int
) -> None:
    ended = shop.tuned(script, jobs=jobs)
    assert (ended["HyperParameterTuningJobStatus"], ended["FailureReason"]) == ("Failed", reason)
    assert len(shop.children(ended["HyperParameterTuningJobName"])) == made
    assert "BestTrainingJob" not in ended


def test_a_seed_repeats_a_search_and_a_grid_is_searched_whole(shop: TuningWorkshop) -> None:
    def points(**changes: Any) -> list[str]:
        ended = shop.tuned(PARABOLA, **changes)
        return [child["TunedHyperParameters"]["x"] for child in shop.children(ended["HyperParameterTuningJobName"])]

    first = points(jobs=3)
    assert points(jobs=3) == first
    assert points(jobs=3, config={"RandomSeed": 8}) != first
    assert sorted(points(ranges=categorical("1", "2", "3"), strategy="Grid", jobs=3)) == ["1", "2", "3"]


def test_the_bayesian_search_comes_close(shop: TuningWorkshop) -> None:
    ended = shop.tuned(PARABOLA, jobs=12, parallel=2, strategy="Bayesian")
    assert ended["TrainingJobStatusCounters"]["Completed"] == 12, ended.get("FailureReason")
    best = ended["BestTrainingJob"]
    assert best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] < 0.005


def test_several_definitions_share_the_training_jobs(shop: TuningWorkshop) -> None:
    second = READ + "print(f'error={x + 5}', flush=True)\n"
    definitions = [
        shop.definition(
            PARABOLA, DefinitionName="first", TuningObjective=OBJECTIVE, HyperParameterRanges=categorical("1", "2")
        ),
        shop.definition(
            second,
            metrics=[{"Name": "error", "Regex": "error=(.*)"}],
            DefinitionName="second",
            TuningObjective={"Type": "Minimize", "MetricName": "error"},
            HyperParameterRanges=continuous("x", "0", "1"),
        ),
    ]
    ended = shop.tuned("", definitions=definitions, jobs=7)
    children = shop.children(ended["HyperParameterTuningJobName"])
    names = [child["TrainingJobDefinitionName"] for child in children]
    # The first has two points only: the second gets what is left.
    assert names == ["first", "second", "first", "second", "second", "second", "second"]
    metrics = {child["FinalHyperParameterTuningJobObjectiveMetric"]["MetricName"] for child in children[:2]}
    assert metrics == {"loss", "error"}
    assert ended["BestTrainingJob"]["TrainingJobDefinitionName"] == "first"
    assert ended["TrainingJobDefinitions"][1]["HyperParameterRanges"]["IntegerParameterRanges"] == []
    assert "TrainingJobDefinition" not in ended


def test_checkpoints_of_one_trial_are_not_found_by_the_next(shop: TuningWorkshop) -> None:
    script = (
        "import os\nprint(f'loss={len(os.listdir(\"/opt/ml/checkpoints\"))}')\nopen('/opt/ml/checkpoints/one', 'w')"
    )
    checkpoints = {"S3Uri": f"s3://{shop.bucket}/checkpoints/"}
    ended = shop.tuned(script, jobs=2, definition={"CheckpointConfig": checkpoints})
    name = ended["HyperParameterTuningJobName"]
    assert shop.values(name) == [0, 0]
    child = shop.children(name)[1]["TrainingJobName"]
    stored = shop.s3.list_objects_v2(Bucket=shop.bucket, Prefix=f"checkpoints/{child}/")["Contents"]
    assert [entry["Key"] for entry in stored] == [f"checkpoints/{child}/one"]
