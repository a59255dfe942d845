"""Train, deploy, invoke and delete against a running cloud: real jobs, real endpoints, found again when there."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from sagehound.errors import StepFailed
from sagehound.pipeline.admission import admit, data_of
from sagehound.pipeline.belongings.scaling import place_of
from sagehound.pipeline.belongings.thing import Kind
from sagehound.pipeline.bucket import ensure_bucket
from sagehound.pipeline.cleanup import Belongings, delete_belongings, find_belongings
from sagehound.pipeline.deploy import Placement, deploy, describe_endpoint
from sagehound.pipeline.features import FeatureChannel, extract_features
from sagehound.pipeline.invoke import Question, invoke, questions_of
from sagehound.pipeline.run import Options, run
from sagehound.pipeline.train import TrainedModel, comparison, latest_model, train
from sagehound.pipeline.upload import stored_data
from sagehound.settings import PipelineSettings, TrainSettings, TuneSettings
from tests.pipeline.conftest import picture_bytes

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def quick(settings: PipelineSettings) -> PipelineSettings:
    return dataclasses.replace(
        settings,
        multi_instance_count=2,
        train=TrainSettings(epochs=6, batch_size=8, learning_rate=0.01),
        tune=TuneSettings(ranges={"learning_rate": {"min": 0.003, "max": 0.03}}),
    )


def walk(clients: Any, settings: PipelineSettings, source: Path, recorded: Any, cache: Path, **options: Any) -> Any:
    return run(clients, settings, str(source), cache, recorded.reporter, Options(**options))


def test_the_whole_walk_and_everything_again(clients, quick, names, pictures, recorded, tmp_path) -> None:
    page = tmp_path / "report.html"
    first = walk(clients, quick, pictures, recorded, tmp_path, report=page)
    steps = recorded.steps()
    assert list(steps) == [
        *("check", "upload", "features", "tune", "train", "train x2", "deploy", "invoke"),
        *("function", "secure", "denial", "scale", "report", "cost"),
    ]
    assert [steps[step]["result"]["reused"] for step in ("features", "tune", "train", "train x2")] == [False] * 4
    alone, several = first.models
    assert alone.metrics["test:accuracy"] > 0.9
    assert several.metrics["test:accuracy"] > 0.9
    assert (alone.instance_count, several.instance_count) == (1, 2)
    assert several.billable_seconds >= 2 * several.seconds - 2
    told = clients.sagemaker.describe_training_job(TrainingJobName=alone.job_name)["HyperParameters"]
    assert float(told["learning_rate"]) == first.tuning.hyperparameters["learning_rate"]
    # The backbone ran once: trials and trainings read its features.
    for job in (first.tuning.best_job, alone.job_name, several.job_name):
        described = clients.sagemaker.describe_training_job(TrainingJobName=job)
        assert [channel["ChannelName"] for channel in described["InputDataConfig"]] == ["features"]
    assert [endpoint.name for endpoint in first.endpoints] == [names.endpoint, names.multi_endpoint]
    assert [endpoint["how"] for endpoint in steps["deploy"]["result"]["endpoints"]] == ["created", "created"]
    assert len(first.answers) == 5
    assert sum(answer.right for answer in first.answers) >= 4
    assert {label for label, _ in first.answers[0].predictions} == {"red", "green", "blue"}
    assert steps["invoke"]["result"]["agree"] >= 4
    # The function asks the first endpoint; there are as many scores as classes; its role may no more than that.
    assert first.function.endpoints == (names.endpoint,)
    assert len(first.function.answer.scores) == 3
    assert steps["function"]["result"]["how"] == "created"
    assert [finding for finding in first.findings.findings if finding.where == f"role {names.function_role}"] == []
    assert steps["denial"]["result"]["denied"]["error"] == "AccessDenied"
    # Both are registered, and no load is sent in a cloud that was there before.
    assert [(one["how"], one["min_capacity"], one["max_capacity"]) for one in steps["scale"]["result"]["targets"]] == [
        ("registered", 1, 3),
        ("registered", 2, 4),
    ]
    assert first.shown is None
    assert any("not shown under a load" in note for note in recorded.notes())
    assert alone.job_name in page.read_text()
    assert names.function in page.read_text()

    second = walk(clients, quick, pictures, recorded, tmp_path)
    steps = recorded.steps()
    assert steps["upload"]["result"]["sent"] == 0
    assert [steps[step]["result"]["reused"] for step in ("features", "tune", "train", "train x2")] == [True] * 4
    assert [endpoint["how"] for endpoint in steps["deploy"]["result"]["endpoints"]] == ["was there", "was there"]
    assert (steps["function"]["result"]["how"], second.function.version) == ("was there", first.function.version)
    assert [one["how"] for one in steps["scale"]["result"]["targets"]] == ["was there", "was there"]
    assert [model.job_name for model in second.models] == [model.job_name for model in first.models]
    assert second.tuning.name == first.tuning.name

    # Another number of epochs, and no second training: another job, and the same endpoint moves to its model.
    other = dataclasses.replace(quick, multi_instance_count=0, train=dataclasses.replace(quick.train, epochs=7))
    third = walk(clients, other, pictures, recorded, tmp_path)
    assert [endpoint.how for endpoint in third.endpoints] == ["updated"]
    assert third.features == first.features
    assert describe_endpoint(clients, names.endpoint)["EndpointStatus"] == "InService"

    found = find_belongings(clients, names)
    assert sorted(found.names(Kind.ENDPOINT)) == [names.endpoint, names.multi_endpoint]
    assert found.names(Kind.FUNCTION) == [names.function]
    scaled = [place_of(thing).owner for thing in found.things if thing.kind is Kind.SCALING]
    assert scaled == [names.endpoint, names.function]
    assert (len(found.names(Kind.MODEL)), len(found.names(Kind.ENDPOINT_CONFIG))) == (3, 3)
    assert found.names(Kind.BUCKET) == [names.bucket]
    assert sorted(found.names(Kind.ROLE)) == sorted([names.function_role, names.role])
    with recorded.reporter.step("delete") as step:
        delete_belongings(clients, found, step)
    assert find_belongings(clients, names).lines() == []
    assert describe_endpoint(clients, names.endpoint) is None
    alarms = clients.cloudwatch.describe_alarms(AlarmNamePrefix=f"TargetTracking-endpoint/{names.endpoint}/")
    assert alarms["MetricAlarms"] == []
    # The jobs are still in the history, their artefacts are not: they are made anew instead of being believed.
    with pytest.raises(StepFailed, match="no completed training job with an artefact"):
        latest_model(clients, names)
    fourth = walk(clients, other, pictures, recorded, tmp_path, delete=True)
    assert fourth.features.job_name == f"{first.features.job_name}-2"
    assert fourth.models[0].job_name == f"{third.models[0].job_name}-2"
    assert find_belongings(clients, names).lines() == []


def test_features_of_which_a_file_is_gone_are_made_anew(clients, quick, names, uploaded, recorded) -> None:
    data = uploaded(quick)

    def extract() -> tuple[FeatureChannel, bool]:
        with recorded.reporter.step("features") as step:
            channel = extract_features(clients, names, quick, data, recorded.reporter, step)
        return channel, recorded.steps()["features"]["result"]["reused"]

    made, reused = extract()
    assert not reused
    assert extract() == (made, True)
    bucket, _, prefix = made.uri.removeprefix("s3://").partition("/")
    clients.s3.delete_object(Bucket=bucket, Key=f"{prefix}validation.npy")
    anew, reused = extract()
    assert not reused
    assert anew.job_name == f"{made.job_name}-2"
    assert anew.digest == made.digest


def test_a_job_that_runs_is_waited_for_and_not_started_twice(clients, quick, names, uploaded, recorded) -> None:
    from concurrent.futures import ThreadPoolExecutor

    data = uploaded(quick)

    def once() -> Any:
        with recorded.reporter.step("train") as step:
            return train(clients, names, quick, data, None, recorded.reporter, step)

    with ThreadPoolExecutor(1) as pool:
        early = pool.submit(once)
        while not clients.sagemaker.list_training_jobs(NameContains=names.job_prefix)["TrainingJobSummaries"]:
            assert not early.done(), early.result()
        late = once()
        assert early.result().job_name == late.job_name
    assert len(clients.sagemaker.list_training_jobs(NameContains=names.job_prefix)["TrainingJobSummaries"]) == 1
    with recorded.reporter.step("train") as step:
        anew = train(clients, names, quick, data, None, recorded.reporter, step, again=True)
    assert anew.job_name == f"{late.job_name}-2"
    assert anew.metrics == late.metrics  # the same seed, data and code on the same machine


def test_a_job_that_fails_says_why_and_the_next_try_is_another(clients, quick, names, uploaded, recorded) -> None:
    data = uploaded(quick)
    broken = dataclasses.replace(quick, train=dataclasses.replace(quick.train, backbone="no_such_backbone"))
    for number in (1, 2):
        with recorded.reporter.step("outer") as step, pytest.raises(StepFailed) as failed:
            train(clients, names, broken, data, None, recorded.reporter, step)
        assert "Failed" in failed.value.cause
        assert "no_such_backbone" in failed.value.cause
        jobs = clients.sagemaker.list_training_jobs(NameContains=names.job_prefix)["TrainingJobSummaries"]
        assert len(jobs) == number


def test_steps_alone_find_what_the_others_made(clients, quick, names, pictures, uploaded, recorded, tmp_path) -> None:
    with pytest.raises(StepFailed, match="no completed training job"):
        latest_model(clients, names)
    data = uploaded(quick)
    assert stored_data(clients, names) == data
    with recorded.reporter.step("train") as step:
        made = train(clients, names, quick, data, None, recorded.reporter, step)
    assert latest_model(clients, names) == latest_model(clients, names, made.job_name) == made
    described = clients.sagemaker.describe_training_job(TrainingJobName=made.job_name)
    assert data_of(clients, names, described) == data
    admit(made, data, recorded.reporter, anyway=False)
    assert recorded.notes() == []
    with recorded.reporter.step("deploy") as step:
        deploy(clients, names, quick.deploy, quick.train, [Placement(names.endpoint, made)], step)
    with recorded.reporter.step("invoke") as step:
        answers = invoke(clients, names.endpoint, questions_of([str(pictures / "test")]), step)
    assert len(answers) == 12
    assert sum(bool(answer.right) for answer in answers) >= 11
    (tmp_path / "text.jpg").write_text("no picture")
    with recorded.reporter.step("invoke") as step, pytest.raises(StepFailed) as refused:
        invoke(clients, names.endpoint, [Question(str(tmp_path / "text.jpg"))], step)
    assert "text.jpg was refused by the endpoint's handler" in refused.value.cause
    assert "Traceback" not in refused.value.cause
    # An endpoint that is still being made is deleted all the same.
    config = describe_endpoint(clients, names.endpoint)["EndpointConfigName"]
    with recorded.reporter.step("delete") as step:
        only = [thing for thing in find_belongings(clients, names).things if thing.kind is Kind.ENDPOINT]
        delete_belongings(clients, Belongings(only), step)
    clients.sagemaker.create_endpoint(EndpointName=names.endpoint, EndpointConfigName=config, Tags=names.tags)
    assert describe_endpoint(clients, names.endpoint)["EndpointStatus"] == "Creating"
    with recorded.reporter.step("delete") as step:
        delete_belongings(clients, find_belongings(clients, names), step)
    assert find_belongings(clients, names).lines() == []


def test_a_model_that_only_guesses_is_not_deployed_unasked(clients, quick, names, tmp_path, uploaded, recorded) -> None:
    # Noise, with labels that mean nothing: whatever is learned from it, the validation split is guessed.
    for number in range(60):
        split, label = ("train", "train", "valid", "valid", "test")[number // 3 % 5], "abc"[number % 3]
        place = tmp_path / "noise" / split / label
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.png").write_bytes(picture_bytes(number))
    data = uploaded(quick, tmp_path / "noise")
    with recorded.reporter.step("train") as step:
        model = train(clients, names, quick, data, None, recorded.reporter, step)
    with pytest.raises(StepFailed) as refused:
        admit(model, data, recorded.reporter, anyway=False)
    assert refused.value.step == "deploy"
    assert f"the model of {model.job_name} is at chance level" in refused.value.cause
    assert "--anyway" in refused.value.hint
    admit(model, data, recorded.reporter, anyway=True)
    assert "is deployed anyway" in recorded.notes()[-1]
    assert data_of(clients, names, clients.sagemaker.describe_training_job(TrainingJobName=model.job_name)) == data
    # The test split decides nothing, however good it looks.
    lucky = dataclasses.replace(model, metrics={**model.metrics, "test:accuracy": 1.0, "test:loss": 0.0})
    with pytest.raises(StepFailed):
        admit(lucky, data, recorded.reporter, anyway=False)
    admit(dataclasses.replace(model, metrics={"test:accuracy": 0.3}), data, recorded.reporter, anyway=False)
    assert "cannot be judged" in recorded.notes()[-1]


def test_several_instances_are_compared_with_one() -> None:
    alone = TrainedModel("a", "s3://b/a", {"test:accuracy": 0.836}, 1, 10.3, 10.3)
    several = TrainedModel("s", "s3://b/s", {"test:accuracy": 0.8361}, 5, 12.1, 60.5)
    assert comparison(alone, several, joined=True) == [
        "5 instances: 12.1 s, 60.5 billable; 1 instance: 10.3 s, 10.3 billable; test:accuracy 0.836 / 0.836"
    ]
    assert comparison(None, several, joined=True) == []
    (line,) = comparison(None, several, joined=False)
    assert line.startswith("5 x the bill: this script is not distributed")
    assert comparison(dataclasses.replace(alone, metrics={}), several, joined=True) == [
        "5 instances: 12.1 s, 60.5 billable; 1 instance: 10.3 s, 10.3 billable"
    ]


def test_what_others_made_is_left_alone(clients, settings, names, recorded) -> None:
    clients.s3.create_bucket(Bucket=names.bucket)  # somebody's own bucket: no tag
    clients.s3.put_object(Bucket=names.bucket, Key="theirs.txt", Body=b"x")
    clients.s3.put_object(Bucket=names.bucket, Key=f"{names.project}/ours.txt", Body=b"x")
    found = find_belongings(clients, names)
    assert found.lines() == [f"this project's objects in bucket {names.bucket} (1 objects)"]
    with recorded.reporter.step("delete") as step:
        delete_belongings(clients, found, step)
    assert [entry["Key"] for entry in clients.s3.list_objects_v2(Bucket=names.bucket)["Contents"]] == ["theirs.txt"]


def test_versions_and_unfinished_uploads_are_deleted_too(clients, names, recorded) -> None:
    assert ensure_bucket(clients, names) is True
    assert ensure_bucket(clients, names) is False
    clients.s3.put_bucket_versioning(Bucket=names.bucket, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1", b"2"):
        clients.s3.put_object(Bucket=names.bucket, Key="x", Body=body)
    clients.s3.delete_object(Bucket=names.bucket, Key="x")
    clients.s3.create_multipart_upload(Bucket=names.bucket, Key="y")
    with recorded.reporter.step("delete") as step:
        delete_belongings(clients, find_belongings(clients, names), step)
    assert find_belongings(clients, names).lines() == []


def test_an_endpoint_that_is_not_there_is_said(clients, names, pictures, recorded) -> None:
    with recorded.reporter.step("invoke") as step, pytest.raises(StepFailed) as refused:
        invoke(clients, names.endpoint, questions_of([str(pictures / "test" / "red" / "00.png")]), step)
    assert "sagehound deploy" in refused.value.hint
