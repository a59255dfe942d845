"""Ctrl-C: what is still running is said, and the next command goes on from there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sagehound.pipeline.clients import connect_local
from tests.cli.conftest import clean_environment

SAMPLE = str(Path(__file__).parents[2] / "src" / "sagehound" / "sample" / "pictures")
LONG = "train.epochs=1000000"


@pytest.mark.timeout(600)
def test_ctrl_c_while_training_leaves_the_job_and_says_so(sagehound, tmp_path) -> None:
    sagehound("up", "--detach", "--port", "0")
    sagehound("upload", "--data", SAMPLE)
    command = [sys.executable, "-m", "sagehound.cli.main", "train", "--set", LONG]
    process = subprocess.Popen(
        command,
        cwd=tmp_path / "here",
        env=clean_environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    sagemaker = connect_local(tmp_path / "cloud", "us-east-1").sagemaker
    job = ""
    while not job or sagemaker.describe_training_job(TrainingJobName=job)["SecondaryStatus"] != "Training":
        assert process.poll() is None, process.communicate()
        job = next((one["TrainingJobName"] for one in sagemaker.list_training_jobs()["TrainingJobSummaries"]), "")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    assert "Traceback" not in err
    status = json.loads(sagehound("status", "--json").stdout)
    assert status["training_jobs"] == {"InProgress": 1}
    assert f"interrupted; training job {job} goes on" in err
    assert "`sagehound train` waits for it again" in err
    done = sagehound("delete", "--yes")
    assert f"training job {job} (stopped)" in done.stdout
    assert sagemaker.describe_training_job(TrainingJobName=job)["TrainingJobStatus"] == "Stopped"
