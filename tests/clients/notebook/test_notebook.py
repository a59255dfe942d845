"""A notebook in the write-up's order runs from its first cell to its last, and its cells say what they say on AWS."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.dogs import BREEDS, COUNTS, give
from tests.clients.environments import environment
from tests.clients.scenarios import command, surroundings
from tests.cloud_process import CloudProcess
from tests.conftest import private_cloud

NOTEBOOK = Path(__file__).parent / "train_and_deploy-solution.ipynb"
CODE = Path(__file__).parents[1] / "scripts" / "code"
SCRIPTS = ("hpo.py", "train_model.py", "infernce2.py")
LIMIT = 1200
PICTURES = BREEDS * sum(COUNTS.values())

pytestmark = [pytest.mark.xdist_group("clients-notebook"), pytest.mark.timeout(LIMIT + 300)]


@dataclass(frozen=True)
class Executed:
    """What the cells have said, by their ids, and the cloud that they said it about."""

    cells: dict[str, str]
    cloud: CloudProcess


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executed]:
    """The notebook after its execution, beside its scripts in a folder of its own, as a person has it."""
    python = environment("clients-notebook")
    folder = tmp_path_factory.mktemp("SageMaker")
    for path in (NOTEBOOK, *(CODE / name for name in SCRIPTS)):
        shutil.copy(path, folder)
    with contextmanager(private_cloud)("--other-hosts", "refuse") as cloud:
        give(cloud, tmp_path_factory.mktemp("public"), "resnet18", "resnet50")
        words = [str(python.with_name("jupyter-execute")), "--inplace", f"--timeout={LIMIT}", NOTEBOOK.name]
        ended = subprocess.run(
            command(cloud, words),
            cwd=folder,
            env=surroundings(python, tmp_path_factory.mktemp("home")),
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        assert ended.returncode == 0, f"{ended.stderr}\n{cloud.log()[-4000:]}"
        yield Executed(_said(folder / NOTEBOOK.name), cloud)


def _said(path: Path) -> dict[str, str]:
    cells = json.loads(path.read_text())["cells"]
    return {cell["id"]: "".join(map(_text, cell["outputs"])) for cell in cells if cell["cell_type"] == "code"}


def _text(output: dict[str, object]) -> str:
    data = output.get("data")
    text = output.get("text", data.get("text/plain", "") if isinstance(data, dict) else "")
    return text if isinstance(text, str) else "".join(map(str, text)) if isinstance(text, list) else ""


def _number(text: str, pattern: str) -> float:
    found = re.search(pattern, text)
    assert found, f"no {pattern!r} in:\n{text}"
    return float(found[1])


def test_the_caller_is_a_role_and_has_its_bucket(notebook: Executed) -> None:
    role, region, bucket = notebook.cells["setup"].split()[-3:]
    assert role.startswith(f"arn:aws:iam::{notebook.cloud.account_id}:role/")
    assert region == notebook.cloud.region
    assert bucket == f"sagemaker-{region}-{notebook.cloud.account_id}"


def test_the_pictures_come_from_their_public_address_and_go_to_the_bucket(notebook: Executed) -> None:
    assert "dogImages.zip" in notebook.cells["download"]
    assert notebook.cells["download"].split()[-1] == str(PICTURES)
    assert _number(notebook.cells["upload"], r"Total Objects: (\d+)") == PICTURES


def test_the_tuner_finds_the_best_of_two_jobs(notebook: Executed) -> None:
    assert "'batch_size'" in notebook.cells["best"]
    assert "'learning_rate'" in notebook.cells["best"]
    assert notebook.cells["analytics"].count("Completed") == 2
    jobs = notebook.cloud.client("sagemaker").list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"]
    assert [job["TrainingJobStatusCounters"]["Completed"] for job in jobs] == [2]
    sagemaker = notebook.cloud.client("sagemaker")
    name = jobs[0]["HyperParameterTuningJobName"]
    trials = sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    values = {
        trial["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]: trial["TunedHyperParameters"]["batch_size"]
        for trial in trials["TrainingJobSummaries"]
    }
    assert f"'batch-size': {int(json.loads(values[min(values)]))}" in notebook.cells["chosen"]


def test_training_is_told_while_it_lasts_and_billed(notebook: Executed) -> None:
    said = notebook.cells["train"]
    assert "Testing Loss:" in said
    assert "Training job completed" in said
    assert _number(said, r"Training seconds: (\d+)") == _number(said, r"Billable seconds: (\d+)") > 0


def test_five_instances_train_five_times_the_same_and_are_billed_five_times(notebook: Executed) -> None:
    said = notebook.cells["train5"]
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said)
    assert plain.count("Test set: Average loss:") == 5
    assert {f"algo-{number}" for number in range(1, 6)} <= set(re.findall(r"this one is (algo-\d)", plain))
    assert _number(said, r"Billable seconds: (\d+)") % 5 == 0


def test_a_picture_is_scored_by_its_bytes_and_by_its_address(notebook: Executed) -> None:
    said = notebook.cells["predict"]
    assert said.count("133 scores") == 2
    assert said.split()[-1] == "same"
    assert "133 scores" in notebook.cells["deploy5"]
    assert notebook.cells["deploy"].split()[-1] in notebook.cells["deploy5"], "two endpoints at once"


def test_nothing_is_left(notebook: Executed) -> None:
    assert "left: [] []" in notebook.cells["delete"]
    assert "remove_bucket" in notebook.cells["bucket"]


def test_only_a_role_has_called_and_nothing_was_denied(notebook: Executed) -> None:
    calls = notebook.cloud.calls()
    callers = {call["caller"] for call in calls if "AWS-SageMaker-Python-SDK" in call.get("user_agent", "")}
    assert {caller.split(":")[5].split("/")[0] for caller in callers} == {"assumed-role"}, callers
    assert not [call for call in calls if str(call.get("error", "")).startswith("AccessDenied")]
