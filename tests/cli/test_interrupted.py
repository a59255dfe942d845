"""Ctrl-C: what is still running is said, and the next command goes on from there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sagehound.pipeline.clients import connect_local
from tests.cli.conftest import clean_environment

SAMPLE = str(Path(__file__).parents[2] / "src" / "sagehound" / "sample" / "pictures")
LONG = "train.epochs=1000000"


def interrupted(tmp_path: Path, *arguments: str, when: Callable[[], bool]) -> subprocess.CompletedProcess[str]:
    """Start a command, press Ctrl-C once ``when`` holds, and wait for its end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sagehound.cli.main", *arguments],
        cwd=tmp_path / "here",
        env=clean_environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not when():
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    assert "Traceback" not in err
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


@pytest.mark.timeout(600)
def test_ctrl_c_while_training_leaves_the_job_and_says_so(sagehound, tmp_path) -> None:
    sagehound("up", "--detach", "--port", "0")
    sagehound("upload", "--data", SAMPLE)
    sagehound("features")
    sagemaker = connect_local(tmp_path / "cloud", "us-east-1").sagemaker

    def training() -> list[str]:
        found = sagemaker.list_training_jobs(NameContains="-train-")["TrainingJobSummaries"]
        return [
            job["TrainingJobName"]
            for job in found
            if sagemaker.describe_training_job(TrainingJobName=job["TrainingJobName"])["SecondaryStatus"] == "Training"
        ]

    done = interrupted(tmp_path, "train", "--set", LONG, when=lambda: bool(training()))
    (job,) = training()
    status = json.loads(sagehound("status", "--json").stdout)
    assert status["training_jobs"] == {"Completed": 1, "InProgress": 1}
    assert f"interrupted; training job {job} goes on" in done.stderr
    assert "`sagehound train` waits for it again" in done.stderr
    deleted = sagehound("delete", "--yes")
    assert f"training job {job} (stopped)" in deleted.stdout
    assert sagemaker.describe_training_job(TrainingJobName=job)["TrainingJobStatus"] == "Stopped"


@pytest.mark.timeout(600)
def test_ctrl_c_while_tuning_leaves_the_search_and_says_so(sagehound, tmp_path) -> None:
    sagehound("up", "--detach", "--port", "0")
    sagehound("upload", "--data", SAMPLE)
    (tmp_path / "here" / "hpo.py").write_text("import time\nprint('begun', flush=True)\ntime.sleep(600)\n")
    sagemaker = connect_local(tmp_path / "cloud", "us-east-1").sagemaker
    # A file that is there goes before our entry point of the same name.
    objective = ("--set", "tune.objective=Test Loss", "--set", "tune.objective_regex=Testing Loss: ([0-9.]+)")
    done = interrupted(
        tmp_path,
        *("tune", "--entry-point", "hpo.py", *objective),
        when=lambda: bool(sagemaker.list_training_jobs(NameContains="-hpo-")["TrainingJobSummaries"]),
    )
    status = json.loads(sagehound("status", "--json").stdout)
    assert status["tuning_jobs"] == {"InProgress": 1}
    (name,) = [
        job["HyperParameterTuningJobName"]
        for job in sagemaker.list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"]
    ]
    assert f"interrupted; tuning job {name} goes on" in done.stderr
    assert "`sagehound tune` waits for it again" in done.stderr
    assert f"tuning job {name} (stopped)" in sagehound("delete", "--yes").stdout
    assert json.loads(sagehound("status", "--json").stdout)["tuning_jobs"] == {"Stopped": 1}
