"""How tuning jobs end before their last training job: stops, criteria, early stopping; warm starts; what List tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud.training import TRUST
from tests.cloud.tuning import PARABOLA, READ, TuningWorkshop, categorical, continuous
from tests.cloud_process import CloudProcess

ENDLESS = "import time\nprint('loss=2', flush=True)\ntime.sleep(600)\n"
ORDER = READ + (
    # The order in which the jobs of one folder have begun: 0, 1, 2, ...
    "order = next(number for number in range(99) if not os.path.exists(f\"{given['folder']}/{number}\"))\n"
    "open(f\"{given['folder']}/{order}\", 'w').close()\n"
)


@pytest.fixture(scope="module")
def shop(cloud: CloudProcess) -> TuningWorkshop:
    return TuningWorkshop(cloud)


def until_value(shop: TuningWorkshop, name: str) -> str:
    """Wait until the first training job of a tuning job has printed a value of its objective; its name."""
    shop.tuning_until(name, lambda job: job["TrainingJobStatusCounters"]["InProgress"])
    child = str(shop.children(name)[0]["TrainingJobName"])
    shop.until(child, lambda job: job.get("FinalMetricDataList"))
    return child


def test_a_stop_ends_what_runs_and_starts_no_other(shop: TuningWorkshop) -> None:
    name = shop.tune(ENDLESS, jobs=5)
    child = until_value(shop, name)
    running = shop.tuning(name)
    assert running["HyperParameterTuningJobStatus"] == "InProgress"
    assert running["ObjectiveStatusCounters"] == {"Succeeded": 0, "Pending": 1, "Failed": 0}
    assert shop.children(name)[0]["ObjectiveStatus"] == "Pending"
    with pytest.raises(shop.sagemaker.exceptions.ResourceInUse):
        shop.sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    shop.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    shop.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    ended = shop.tuning_ended(name)
    assert ended["HyperParameterTuningJobStatus"] == "Stopped"
    assert ended["TrainingJobStatusCounters"]["Stopped"] == 1
    assert shop.describe(child)["TrainingJobStatus"] == "Stopped"
    assert [found["TrainingJobName"] for found in shop.children(name)] == [child]
    # What it had reached is not lost.
    assert ended["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 2
    with pytest.raises(ClientError, match="tuning job is in status Stopped"):
        shop.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)


def test_a_training_job_that_is_stopped_by_hand_does_not_stop_the_tuning_job(
    shop: TuningWorkshop, tmp_path: Path
) -> None:
    script = ORDER + "print('loss=1', flush=True)\nif order == 0: time.sleep(600)\n"
    name = shop.tune(script, jobs=3, definition={"static": {"folder": str(tmp_path)}})
    shop.sagemaker.stop_training_job(TrainingJobName=until_value(shop, name))
    ended = shop.tuning_ended(name)
    assert ended["HyperParameterTuningJobStatus"] == "Completed", ended.get("FailureReason")
    counters = ended["TrainingJobStatusCounters"]
    assert (counters["Stopped"], counters["Completed"]) == (1, 2)


def test_a_training_job_that_is_refused_later_fails_the_tuning_job(shop: TuningWorkshop, tmp_path: Path) -> None:
    script = READ + (
        "print('loss=1', flush=True)\nwhile not os.path.exists(os.path.join(given['folder'], 'go')): time.sleep(.01)\n"
    )
    request = shop.tuning_request(script, jobs=3, definition={"static": {"folder": str(tmp_path)}})
    other = TuningWorkshop(shop.cloud).role_arn
    request["TrainingJobDefinition"]["RoleArn"] = other
    shop.sagemaker.create_hyper_parameter_tuning_job(**request)
    name = request["HyperParameterTuningJobName"]
    until_value(shop, name)
    trust = json.dumps(TRUST).replace("sagemaker.amazonaws.com", "ec2.amazonaws.com")
    shop.cloud.client("iam").update_assume_role_policy(RoleName=other.rsplit("/", 1)[-1], PolicyDocument=trust)
    (tmp_path / "go").touch()
    ended = shop.tuning_ended(name)
    assert ended["HyperParameterTuningJobStatus"] == "Failed"
    assert ended["FailureReason"].startswith(f"Could not assume role {other}.")
    assert ended["TrainingJobStatusCounters"]["Completed"] == len(shop.children(name)) == 1


def test_max_runtime_stops_what_runs(fast_cloud: CloudProcess) -> None:
    shop = TuningWorkshop(fast_cloud)
    name = shop.tune(ENDLESS, jobs=None, parallel=2, limits={"MaxRuntimeInSeconds": 300})
    ended = shop.tuning_ended(name)
    assert ended["HyperParameterTuningJobStatus"] == "Completed"
    assert ended["TrainingJobStatusCounters"]["Stopped"] == 2
    assert ended["ConsumedResources"]["RuntimeInSeconds"] >= 300


def test_a_target_that_is_reached_completes(shop: TuningWorkshop) -> None:
    script = READ + (
        "print('loss=1' if given['kind'] == 'slow' else 'loss=0.25', flush=True)\n"
        "if given['kind'] == 'slow': time.sleep(600)\n"
    )
    criteria = {"TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": 0.25}}
    ranges = categorical("slow", "fast", name="kind")
    name = shop.tune(script, ranges, strategy="Grid", jobs=None, parallel=2, config=criteria)
    ended = shop.tuning_ended(name)
    assert ended["HyperParameterTuningJobStatus"] == "Completed"
    assert ended["BestTrainingJob"]["TunedHyperParameters"] == {"kind": "fast"}
    assert ended["TrainingJobStatusCounters"]["Stopped"] == 1


def test_a_search_that_does_not_improve_completes(shop: TuningWorkshop) -> None:
    criteria = {"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}}
    ended = shop.tuned("print('loss=1')", jobs=50, config={"TuningJobCompletionCriteria": criteria})
    assert ended["HyperParameterTuningJobStatus"] == "Completed"
    assert ended["TrainingJobStatusCounters"]["Completed"] == 4
    assert ended["TuningJobCompletionDetails"]["NumberOfTrainingJobsObjectiveNotImproving"] == 3


def test_early_stopping_stops_a_job_that_is_worse_than_the_median(shop: TuningWorkshop, tmp_path: Path) -> None:
    script = ORDER + (
        "for epoch in range(5): print(f'loss={10 - epoch + 5 * (order == 3)}', flush=True)\n"
        "if order == 3: time.sleep(600)\n"  # nothing but early stopping ends this one
    )
    static = {"static": {"folder": str(tmp_path)}}
    ended = shop.tuned(script, jobs=5, config={"TrainingJobEarlyStoppingType": "Auto"}, definition=static)
    assert ended["HyperParameterTuningJobStatus"] == "Completed", ended.get("FailureReason")
    counters = ended["TrainingJobStatusCounters"]
    assert (counters["Stopped"], counters["Completed"]) == (1, 4)
    name = ended["HyperParameterTuningJobName"]
    stopped = shop.children(name)[3]
    assert (stopped["TrainingJobStatus"], stopped["ObjectiveStatus"]) == ("Stopped", "Succeeded")
    assert shop.values(name) == [6, 6, 6, 11, 6]


def test_hyperband_stops_what_falls_behind(shop: TuningWorkshop, tmp_path: Path) -> None:
    script = ORDER + (
        "for epoch in range(9):\n    print(f'loss={1 + order}', flush=True)\n    if order: time.sleep(.1)\n"
        "if order: time.sleep(2)\n"  # as long as it takes to be stopped after the last value
    )
    hyperband = {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 9}}
    static = {"static": {"folder": str(tmp_path)}}
    ended = shop.tuned(
        script, jobs=8, parallel=2, strategy="Hyperband", config={"StrategyConfig": hyperband}, definition=static
    )
    assert ended["HyperParameterTuningJobStatus"] == "Completed", ended.get("FailureReason")
    # There are three brackets: of eight jobs, each worse than the one before, some fall behind in theirs.
    assert ended["TrainingJobStatusCounters"]["Stopped"] >= 1
    assert ended["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 1


@pytest.fixture(scope="module")
def parent(shop: TuningWorkshop) -> dict[str, Any]:
    """A tuning job that is over, and its request."""
    request = shop.tuning_request(PARABOLA, continuous("x", "0.3", "0.31"), jobs=2, name="warm-parent")
    shop.sagemaker.create_hyper_parameter_tuning_job(**request)
    shop.tuning_ended("warm-parent")
    return request


def child_of(parent: dict[str, Any], name: str, kind: str, **config: Any) -> dict[str, Any]:
    return {
        **parent,
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {**parent["HyperParameterTuningJobConfig"], **config},
        "WarmStartConfig": {
            "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "warm-parent"}],
            "WarmStartType": kind,
        },
    }


def test_a_warm_start_knows_the_best_of_its_parents(shop: TuningWorkshop, parent: dict[str, Any]) -> None:
    request = child_of(parent, "warm-child", "IdenticalDataAndAlgorithm", ParameterRanges=continuous("x", "0.6", "0.9"))
    shop.sagemaker.create_hyper_parameter_tuning_job(**request)
    ended = shop.tuning_ended("warm-child")
    assert ended["WarmStartConfig"] == request["WarmStartConfig"]
    overall = ended["OverallBestTrainingJob"]
    assert overall["TuningJobName"] == "warm-parent"
    assert overall["TrainingJobName"] == shop.tuning("warm-parent")["BestTrainingJob"]["TrainingJobName"]
    assert ended["BestTrainingJob"]["TrainingJobName"].startswith("warm-child-")


def test_transfer_learning_goes_on_from_what_the_parents_have_found(
    shop: TuningWorkshop, parent: dict[str, Any]
) -> None:
    """A finite space of which the parent has tried two of three points: the Bayesian search takes the third."""
    ranges = categorical("1", "2", "3")
    first = shop.tuning_request(PARABOLA, ranges, strategy="Bayesian", jobs=2, name="transfer-parent")
    shop.sagemaker.create_hyper_parameter_tuning_job(**first)
    shop.tuning_ended("transfer-parent")
    tried = {child["TunedHyperParameters"]["x"] for child in shop.children("transfer-parent")}
    limits = {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1}
    second = child_of(first, "transfer-child", "TransferLearning", ResourceLimits=limits)
    second["WarmStartConfig"]["ParentHyperParameterTuningJobs"] = [{"HyperParameterTuningJobName": "transfer-parent"}]
    shop.sagemaker.create_hyper_parameter_tuning_job(**second)
    ended = shop.tuning_ended("transfer-child")
    assert ended["HyperParameterTuningJobStatus"] == "Completed", ended.get("FailureReason")
    assert {child["TunedHyperParameters"]["x"] for child in shop.children("transfer-child")} == {"1", "2", "3"} - tried
    assert "OverallBestTrainingJob" not in ended


def test_what_is_no_warm_start(shop: TuningWorkshop, parent: dict[str, Any]) -> None:
    def refusal(request: dict[str, Any]) -> str:
        with pytest.raises(ClientError) as refused:
            shop.sagemaker.create_hyper_parameter_tuning_job(**request)
        return str(refused.value.response["Error"]["Message"])

    other = child_of(parent, "warm-other", "TransferLearning", ParameterRanges=continuous("y"))
    assert refusal(other).startswith("The set of tunable plus static HyperParameter names is not the same")
    objective = {"HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "loss"}}
    assert "warm-parent is loss (Minimize)" in refusal(child_of(parent, "warm-other", "TransferLearning", **objective))
    identical = child_of(parent, "warm-other", "IdenticalDataAndAlgorithm")
    image = identical["TrainingJobDefinition"]["AlgorithmSpecification"]["TrainingImage"].replace("2.6.0", "2.5.1")
    algorithm = {**identical["TrainingJobDefinition"]["AlgorithmSpecification"], "TrainingImage": image}
    identical["TrainingJobDefinition"] = {**identical["TrainingJobDefinition"], "AlgorithmSpecification": algorithm}
    assert "use TransferLearning" in refusal(identical)
    unknown = child_of(parent, "warm-other", "TransferLearning")
    unknown["WarmStartConfig"]["ParentHyperParameterTuningJobs"] = [{"HyperParameterTuningJobName": "nobody"}]
    assert refusal(unknown) == "Amazon SageMaker can't find a tuning job called nobody. Type another name."
    running = shop.tune(ENDLESS, continuous("x", "0.3", "0.31"), jobs=2)
    unknown["WarmStartConfig"]["ParentHyperParameterTuningJobs"] = [{"HyperParameterTuningJobName": running}]
    assert "a parent must be in a terminal state" in refusal(unknown)
    shop.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=running)
    shop.tuning_ended(running)


def test_training_jobs_are_listed_with_filters_order_and_pages(shop: TuningWorkshop) -> None:
    script = READ + "if given['x'] == '2': raise SystemExit(1)\nprint(f'loss={x}')\n"
    ended = shop.tuned(script, categorical("1", "2", "3"), strategy="Grid", jobs=None)
    name = ended["HyperParameterTuningJobName"]

    def tuned(**asked: Any) -> list[str]:
        return [child["TunedHyperParameters"]["x"] for child in shop.children(name, **asked)]

    assert tuned(SortBy="FinalObjectiveMetricValue") == ["1", "3"]
    assert tuned(SortBy="FinalObjectiveMetricValue", SortOrder="Descending") == ["3", "1"]
    assert tuned(StatusEquals="Failed") == ["2"]
    assert tuned(SortBy="CreationTime", SortOrder="Descending") == tuned()[::-1]
    assert tuned(PaginationConfig={"PageSize": 1}) == tuned()


def test_tuning_jobs_are_listed(shop: TuningWorkshop, parent: dict[str, Any]) -> None:
    shop.tuned("raise SystemExit(1)", jobs=1, name="listed-b")
    shop.tuned(PARABOLA, jobs=1, name="listed-a")
    paginator = shop.sagemaker.get_paginator("list_hyper_parameter_tuning_jobs")

    def names(**asked: Any) -> list[str]:
        pages = paginator.paginate(NameContains="listed-", PaginationConfig={"PageSize": 1}, **asked)
        found = [summary for page in pages for summary in page["HyperParameterTuningJobSummaries"]]
        return [summary["HyperParameterTuningJobName"] for summary in found]

    assert names() == ["listed-a", "listed-b"]
    assert names(SortBy="CreationTime") == ["listed-b", "listed-a"]
    assert names(StatusEquals="Failed") == ["listed-b"]
    found = shop.sagemaker.list_hyper_parameter_tuning_jobs(NameContains="listed-a")
    summary = found["HyperParameterTuningJobSummaries"][0]
    assert summary["Strategy"] == "Random"
    assert summary["ResourceLimits"] == {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1}
    assert summary["TrainingJobStatusCounters"]["Completed"] == summary["ObjectiveStatusCounters"]["Succeeded"] == 1
    assert summary["HyperParameterTuningEndTime"] >= summary["CreationTime"]


def test_a_deleted_tuning_job_is_gone_and_its_training_jobs_stay(shop: TuningWorkshop) -> None:
    ended = shop.tuned(PARABOLA, jobs=1)
    name, child = ended["HyperParameterTuningJobName"], ended["BestTrainingJob"]["TrainingJobName"]
    shop.sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    for operation in ("describe_hyper_parameter_tuning_job", "list_training_jobs_for_hyper_parameter_tuning_job"):
        with pytest.raises(shop.sagemaker.exceptions.ResourceNotFound):
            getattr(shop.sagemaker, operation)(HyperParameterTuningJobName=name)
    assert shop.describe(child)["TrainingJobStatus"] == "Completed"
    again = shop.tuned(PARABOLA, jobs=1, name=name)
    assert len(shop.children(name)) == 1
    assert again["BestTrainingJob"]["TrainingJobName"] != child


def test_a_deleted_training_job_stays_in_the_tuning_job(shop: TuningWorkshop) -> None:
    ended = shop.tuned(PARABOLA, jobs=2)
    best = ended["BestTrainingJob"]
    shop.sagemaker.delete_training_job(TrainingJobName=best["TrainingJobName"])
    again = shop.tuning(ended["HyperParameterTuningJobName"])
    assert again["BestTrainingJob"] == best
    assert again["TrainingJobStatusCounters"]["Completed"] == 2
    assert len(shop.children(ended["HyperParameterTuningJobName"])) == 2
