"""Train, deploy, invoke and delete against a running cloud: real jobs, real endpoints, found again when there."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from sagehound.errors import StepFailed
from sagehound.pipeline.cleanup import Belongings, delete_belongings, find_belongings
from sagehound.pipeline.deploy import deploy, describe_endpoint
from sagehound.pipeline.intake.source import take_in
from sagehound.pipeline.invoke import Question, invoke, questions_of
from sagehound.pipeline.names import Names
from sagehound.pipeline.run import run
from sagehound.pipeline.train import latest_model, train
from sagehound.pipeline.upload import stored_data, upload
from sagehound.settings import PipelineSettings, TrainSettings

pytestmark = pytest.mark.timeout(600)


def colours(folder: Path, per_class: dict[str, int]) -> Path:
    """Pictures that are easy to tell apart: one colour a class, with some noise."""
    import random

    from PIL import Image

    for split, count in per_class.items():
        for label, colour in {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}.items():
            place = folder / split / label
            place.mkdir(parents=True)
            for number in range(count):
                chance = random.Random(f"{split}{label}{number}")
                shade = tuple(max(0, min(255, value + chance.randint(-25, 25))) for value in colour)
                Image.new("RGB", (48, 32), shade).save(place / f"{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return colours(tmp_path_factory.mktemp("colours"), {"train": 12, "valid": 4, "test": 4})


@pytest.fixture
def quick(settings: PipelineSettings) -> PipelineSettings:
    return dataclasses.replace(settings, train=TrainSettings(epochs=6, batch_size=8, learning_rate=0.01))


def walk(clients: Any, settings: PipelineSettings, source: Path, recorded: Any, cache: Path, **options: Any) -> Any:
    return run(clients, settings, str(source), cache, recorded.reporter, **options)


def test_the_whole_walk_and_everything_again(clients, quick, names, pictures, recorded, tmp_path) -> None:
    first = walk(clients, quick, pictures, recorded, tmp_path)
    steps = recorded.steps()
    assert list(steps) == ["check", "upload", "train", "deploy", "invoke"]
    assert steps["train"]["result"]["reused"] is False
    assert first.model.metrics["test:accuracy"] > 0.9
    assert len(first.answers) == 5
    assert sum(answer.right for answer in first.answers) >= 4
    assert {label for label, _ in first.answers[0].predictions} == {"red", "green", "blue"}
    assert steps["deploy"]["result"]["how"] == "created"

    second = walk(clients, quick, pictures, recorded, tmp_path)
    steps = recorded.steps()
    assert steps["upload"]["result"]["sent"] == 0
    assert steps["train"]["result"]["reused"] is True
    assert steps["deploy"]["result"]["how"] == "was there"
    assert second.model.job_name == first.model.job_name

    # Other hyperparameters: another job, and the same endpoint moves to its model.
    other = dataclasses.replace(quick, train=dataclasses.replace(quick.train, seed=5))
    third = walk(clients, other, pictures, recorded, tmp_path)
    assert recorded.steps()["deploy"]["result"]["how"] == "updated"
    assert third.endpoint.name == first.endpoint.name
    assert describe_endpoint(clients, third.endpoint.name)["EndpointStatus"] == "InService"

    found = find_belongings(clients, names)
    assert found.endpoints == [names.endpoint]
    assert (len(found.models), len(found.endpoint_configs)) == (2, 2)
    assert found.bucket_is_ours
    assert found.role_is_ours
    with recorded.reporter.step("delete") as step:
        delete_belongings(clients, names, found, step)
    assert find_belongings(clients, names).lines() == []
    assert describe_endpoint(clients, names.endpoint) is None
    # The job is still in the history, its artefact is not: training starts anew instead of believing it.
    with pytest.raises(StepFailed, match="no completed training job with an artefact"):
        latest_model(clients, names)
    fourth = walk(clients, quick, pictures, recorded, tmp_path, delete=True)
    assert fourth.model.job_name == f"{first.model.job_name}-2"
    assert find_belongings(clients, names).lines() == []


def uploaded(clients: Any, names: Names, source: Path, recorded: Any, cache: Path, settings: PipelineSettings) -> Any:
    manifest = take_in(str(source), settings.data, cache, recorded.reporter)
    with recorded.reporter.step("upload") as step:
        return upload(clients, names, manifest, recorded.reporter, step)


def test_a_job_that_runs_is_waited_for_and_not_started_twice(
    clients, quick, names, pictures, recorded, tmp_path
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    data = uploaded(clients, names, pictures, recorded, tmp_path, quick)

    def once() -> Any:
        with recorded.reporter.step("train") as step:
            return train(clients, names, quick.train, data, recorded.reporter, step)

    with ThreadPoolExecutor(1) as pool:
        early = pool.submit(once)
        while not clients.sagemaker.list_training_jobs(NameContains=names.job_prefix)["TrainingJobSummaries"]:
            assert not early.done(), early.result()
        late = once()
        assert early.result().job_name == late.job_name
    assert len(clients.sagemaker.list_training_jobs(NameContains=names.job_prefix)["TrainingJobSummaries"]) == 1
    with recorded.reporter.step("train") as step:
        anew = train(clients, names, quick.train, data, recorded.reporter, step, again=True)
    assert anew.job_name == f"{late.job_name}-2"
    assert anew.metrics == late.metrics  # the same seed, data and code on the same machine


def test_a_job_that_fails_says_why_and_the_next_try_is_another(
    clients, quick, names, pictures, recorded, tmp_path
) -> None:
    data = uploaded(clients, names, pictures, recorded, tmp_path, quick)
    broken = dataclasses.replace(quick.train, backbone="no_such_backbone")
    for number in (1, 2):
        with recorded.reporter.step("outer") as step, pytest.raises(StepFailed) as failed:
            train(clients, names, broken, data, recorded.reporter, step)
        assert "Failed" in failed.value.cause
        assert "no_such_backbone" in failed.value.cause
        jobs = clients.sagemaker.list_training_jobs(NameContains=names.job_prefix)["TrainingJobSummaries"]
        assert len(jobs) == number


def test_steps_alone_find_what_the_others_made(clients, quick, names, pictures, recorded, tmp_path) -> None:
    with pytest.raises(StepFailed, match="no completed training job"):
        latest_model(clients, names)
    uploaded(clients, names, pictures, recorded, tmp_path, quick)
    with recorded.reporter.step("train") as step:
        made = train(clients, names, quick.train, stored_data(clients, names), recorded.reporter, step)
    assert latest_model(clients, names) == latest_model(clients, names, made.job_name) == made
    with recorded.reporter.step("deploy") as step:
        deploy(clients, names, quick.deploy, quick.train, latest_model(clients, names), step)
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
        delete_belongings(clients, names, Belongings(endpoints=[names.endpoint]), step)
    clients.sagemaker.create_endpoint(EndpointName=names.endpoint, EndpointConfigName=config, Tags=names.tags)
    assert describe_endpoint(clients, names.endpoint)["EndpointStatus"] == "Creating"
    with recorded.reporter.step("delete") as step:
        delete_belongings(clients, names, find_belongings(clients, names), step)
    assert find_belongings(clients, names).lines() == []


def test_what_others_made_is_left_alone(clients, settings, names, recorded) -> None:
    clients.s3.create_bucket(Bucket=names.bucket)  # somebody's own bucket: no tag
    clients.s3.put_object(Bucket=names.bucket, Key="theirs.txt", Body=b"x")
    clients.s3.put_object(Bucket=names.bucket, Key=f"{names.project}/ours.txt", Body=b"x")
    found = find_belongings(clients, names)
    assert found.lines() == [f"this project's objects in bucket {names.bucket} (1 objects)"]
    with recorded.reporter.step("delete") as step:
        delete_belongings(clients, names, found, step)
    assert [entry["Key"] for entry in clients.s3.list_objects_v2(Bucket=names.bucket)["Contents"]] == ["theirs.txt"]


def test_versions_and_unfinished_uploads_are_deleted_too(clients, names, recorded) -> None:
    from sagehound.pipeline.bucket import ensure_bucket

    assert ensure_bucket(clients, names) is True
    assert ensure_bucket(clients, names) is False
    clients.s3.put_bucket_versioning(Bucket=names.bucket, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1", b"2"):
        clients.s3.put_object(Bucket=names.bucket, Key="x", Body=body)
    clients.s3.delete_object(Bucket=names.bucket, Key="x")
    clients.s3.create_multipart_upload(Bucket=names.bucket, Key="y")
    with recorded.reporter.step("delete") as step:
        delete_belongings(clients, names, find_belongings(clients, names), step)
    assert find_belongings(clients, names).lines() == []


def test_an_endpoint_that_is_not_there_is_said(clients, names, pictures, recorded) -> None:
    with recorded.reporter.step("invoke") as step, pytest.raises(StepFailed) as refused:
        invoke(clients, names.endpoint, questions_of([str(pictures / "test" / "red" / "00.png")]), step)
    assert "sagehound deploy" in refused.value.hint
