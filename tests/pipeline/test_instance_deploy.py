"""The model that an EC2 instance has trained, behind an endpoint: found, judged, deployed by the command, and asked."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sagehound.errors import StepFailed
from sagehound.pipeline.admission import admit_result
from sagehound.pipeline.bucket import ensure_bucket
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.instance import train_on_instance
from sagehound.pipeline.instance_plan import OUTCOME, result_prefix
from sagehound.pipeline.instance_result import InstanceResult, latest_result
from sagehound.pipeline.invoke import Question, invoke
from sagehound.pipeline.names import Names
from sagehound.pipeline.progress import Step
from sagehound.settings import PipelineSettings, TrainSettings
from tests.cloud_process import CloudProcess
from tests.pipeline.conftest import Recorded, Uploaded
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(600)

Put = Callable[..., None]


@pytest.fixture
def put(clients: Clients, names: Names) -> Put:
    """`put("run-1", status=0, archive=True)`: what an instance would have left in the bucket."""
    ensure_bucket(clients, names)

    def leave(run: str, *, status: int = 0, archive: bool = True, metrics: bytes = b"{}") -> None:
        prefix = result_prefix(names, run)
        objects = {"TrainedModels/metrics.json": metrics, **({"model.tar.gz": b"model"} if archive else {})}
        objects[OUTCOME] = json.dumps({"status": status, "seconds": {"train": 1.5}}).encode()
        for name, body in objects.items():
            clients.s3.put_object(Bucket=names.bucket, Key=f"{prefix}{name}", Body=body)

    return leave


def deploy(cloud: CloudProcess, settings: PipelineSettings, *words: str) -> subprocess.CompletedProcess[str]:
    told = {name: getattr(settings, name) for name in ("project", "bucket", "role_name")}
    given = [word for name, value in told.items() for word in ("--set", f"{name}={value}")]
    return subprocess.run(
        [*(sys.executable, "-m", "sagehound.cli.main", "deploy"), "--data-dir", str(cloud.data_dir), *given, *words],
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_an_instance_has_trained_answers_at_an_endpoint(
    clients: Clients,
    cloud: CloudProcess,
    settings: PipelineSettings,
    names: Names,
    pictures: Path,
    uploaded: Uploaded,
    recorded: Recorded,
) -> None:
    quick = dataclasses.replace(settings, train=TrainSettings(epochs=6, batch_size=8, learning_rate=0.01))
    data = uploaded(settings)
    with recorded.reporter.step("instance") as step:
        trained = train_on_instance(clients, names, quick, data, recorded.reporter, step).result
    assert (trained.classes, trained.validated) == (3, 12)
    planned = deploy(cloud, settings, "--from-instance", "--plan")
    assert f'"ModelDataUrl": "{trained.artifact_uri}"' in planned.stdout, planned.stderr
    assert clients.sagemaker.list_models(NameContains=settings.project)["Models"] == []
    done = deploy(cloud, settings, "--from-instance")
    assert done.returncode == 0, done.stderr
    assert f"the model of {trained.run}" in done.stdout
    assert "cannot be judged" not in done.stdout
    questions = [Question(str(pictures / f"test/{label}/00.png"), label) for label in ("red", "green", "blue")]
    answers = invoke(clients, names.endpoint, questions, Step("invoke"))
    assert [answer.best for answer in answers] == ["red", "green", "blue"]
    clients.sagemaker.delete_endpoint(EndpointName=names.endpoint)


def test_the_last_that_went_well_and_has_an_archive_is_taken(clients: Clients, names: Names, put: Put) -> None:
    for run in ("run-2", "run-1"):
        put(run)
    put("run-3", status=1)
    put("run-4", archive=False)
    found = latest_result(clients, names)
    assert (found.run, found.job_name) == ("run-1", "run-1")
    assert found.artifact_uri == f"s3://{names.bucket}/{result_prefix(names, 'run-1')}model.tar.gz"

    def anew() -> bool:
        put("run-2")
        return latest_result(clients, names).run == "run-2"

    # S3 tells whole seconds: within the same one neither is the last.
    wait_for(anew, "a second that run-1 does not share")


def test_without_one_and_with_two_wishes_it_is_refused(
    clients: Clients, cloud: CloudProcess, settings: PipelineSettings, names: Names
) -> None:
    ensure_bucket(clients, names)
    with pytest.raises(StepFailed, match="no completed training on an instance"):
        latest_result(clients, names)
    both = deploy(cloud, settings, "--from-instance", "--job", "one")
    assert both.returncode == 1
    assert "--job and --from-instance exclude each other" in both.stderr


@pytest.mark.parametrize("written", [b"no JSON", b"[1, 2]", b'{"classes": "many", "pictures": 3, "test": null}'])
def test_metrics_of_another_script_tell_nothing(
    clients: Clients, names: Names, put: Put, recorded: Recorded, written: bytes
) -> None:
    put("run-1", metrics=written)
    result = latest_result(clients, names)
    assert (result.metrics, result.classes, result.validated) == ({}, 0, 0)
    admit_result(result, recorded.reporter, anyway=False)
    assert "whether run-1 is better than guessing cannot be judged" in recorded.notes()[0]


def test_a_model_that_guesses_is_not_deployed_unasked(recorded: Recorded) -> None:
    guesses = InstanceResult(
        run="run-1",
        uri="s3://bucket/",
        status=0,
        seconds={},
        metrics={"validation:loss": 2.302, "validation:accuracy": 0.1},
        files={},
        classes=10,
        validated=100,
    )
    with pytest.raises(StepFailed, match="run-1 is at chance level"):
        admit_result(guesses, recorded.reporter, anyway=False)
    admit_result(guesses, recorded.reporter, anyway=True)
    assert "is deployed anyway" in recorded.notes()[0]
    knows = dataclasses.replace(guesses, metrics={"validation:loss": 0.2, "validation:accuracy": 0.95})
    admit_result(knows, recorded.reporter, anyway=False)
    assert len(recorded.notes()) == 1
