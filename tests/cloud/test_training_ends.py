"""How training jobs end otherwise than well: errors, signals, stops, time limits."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from tests.cloud.training import Workshop
from tests.cloud_process import CloudProcess

SLOW = "import time\nopen('/opt/ml/model/half.txt', 'w').write('half')\nprint('under way', flush=True)\n"
SLOW += "while True: time.sleep(.1)\n"


@pytest.fixture(scope="module")
def shop(cloud: CloudProcess) -> Workshop:
    return Workshop(cloud)


def test_an_exception_is_the_failure_reason_and_the_artefacts_are_stored(shop: Workshop) -> None:
    script = (
        "open('/opt/ml/model/partial.txt', 'w').write('so far')\n"
        "print('epoch 1 done')\n"
        "raise ValueError('labels are missing')\n"
    )
    job = shop.run(script, hyperparameters={"epochs": "3"})
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Failed"
    reason = job["FailureReason"]
    assert reason.startswith('AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage "Traceback')
    assert "ValueError: labels are missing" in reason
    assert "epoch 1 done" not in reason
    assert reason.endswith('train.py --epochs 3", exit code: 1')
    assert shop.model(job) == {"partial.txt": b"so far"}


def test_the_failure_file_speaks_for_the_script(shop: Workshop) -> None:
    job = shop.run("open('/opt/ml/output/failure', 'w').write('no pictures ' * 200); raise SystemExit(7)")
    reason = job["FailureReason"]
    assert reason.startswith("AlgorithmError: no pictures no pictures")
    assert reason.endswith(", exit code: 7")
    assert len(reason) == 1024


def test_a_long_traceback_keeps_its_end(shop: Workshop) -> None:
    job = shop.run("raise ValueError('x' * 3000 + ' the end')")
    assert len(job["FailureReason"]) <= 1024
    assert "the end" in job["FailureReason"]


def test_a_script_killed_by_a_signal_says_so(shop: Workshop) -> None:
    job = shop.run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert "ExitCode 137" in job["FailureReason"]
    assert "killed by signal 9" in job["FailureReason"]


def test_code_that_is_missing_or_broken_fails_the_job(shop: Workshop) -> None:
    request = shop.request("pass")
    request["HyperParameters"]["sagemaker_program"] = '"other.py"'
    shop.sagemaker.create_training_job(**request)
    assert (
        "entry point other.py is not in the code archive (train.py)"
        in shop.ended(request["TrainingJobName"])["FailureReason"]
    )
    request = shop.request("pass")
    shop.s3.delete_object(Bucket=shop.bucket, Key=f"code/{request['TrainingJobName']}/sourcedir.tar.gz")
    shop.sagemaker.create_training_job(**request)
    assert "(404) when calling the HeadObject operation" in shop.ended(request["TrainingJobName"])["FailureReason"]


def test_requirements_that_cannot_be_installed_fail_the_job(shop: Workshop) -> None:
    job = shop.run("pass", files={"requirements.txt": "./not-there-1.0-py3-none-any.whl\n"})
    assert job["FailureReason"].startswith("AlgorithmError: InstallRequirementsError:\nExitCode 1")
    assert any("Installing dependencies from requirements.txt" in line for line in shop.lines(job["TrainingJobName"]))


def test_an_output_bucket_that_does_not_exist_fails_the_job(shop: Workshop) -> None:
    job = shop.run("pass", OutputDataConfig={"S3OutputPath": "s3://no-such-bucket-anywhere/out"})
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(
        "ClientError: Artifact upload failed:Unable to upload file to s3://no-such-bucket-anywhere/out/"
    )


def test_one_host_that_fails_ends_the_others(shop: Workshop) -> None:
    script = (
        "import os, time\n"
        "if os.environ['SM_CURRENT_HOST'] == 'algo-2': raise ValueError('algo-2 cannot go on')\n"
        "time.sleep(600)\n"
    )
    job = shop.run(script, count=2)
    assert job["TrainingJobStatus"] == "Failed"
    assert "algo-2 cannot go on" in job["FailureReason"]


def test_a_stopped_job_keeps_what_it_has_and_hears_sigterm(shop: Workshop) -> None:
    script = (
        "import signal, sys\n"
        "def last_words(*_):\n"
        "    print('saving', flush=True)\n"
        "    open('/opt/ml/model/saved.txt', 'w').write('x')\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, last_words)\n"
    ) + SLOW
    name = shop.create(script)
    shop.until_line(name, "under way")
    shop.sagemaker.stop_training_job(TrainingJobName=name)
    assert shop.describe(name)["TrainingJobStatus"] in ("Stopping", "Stopped")
    job = shop.ended(name)
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Stopped"
    assert [step["Status"] for step in job["SecondaryStatusTransitions"]][-3:] == ["Stopping", "Uploading", "Stopped"]
    assert shop.model(job).keys() == {"half.txt", "saved.txt"}
    assert "saving" in shop.lines(name)
    assert "FailureReason" not in job


def test_a_job_can_be_stopped_at_once(shop: Workshop) -> None:
    for number in range(300):
        shop.put(f"many/{number}", "x")
    name = shop.create(SLOW, InputDataConfig=[shop.channel("train", "many/")], count=3)
    shop.sagemaker.stop_training_job(TrainingJobName=name)
    assert shop.ended(name)["TrainingJobStatus"] == "Stopped"


def test_the_time_limit_stops_a_job(shop: Workshop) -> None:
    job = shop.run(SLOW, limit=1)
    assert job["TrainingJobStatus"] == "Stopped"
    assert job["SecondaryStatus"] == "MaxRuntimeExceeded"
    assert job["SecondaryStatusTransitions"][-1]["StatusMessage"] == (
        "Training job runtime exceeded MaxRuntimeInSeconds provided"
    )
    assert shop.model(job) == {"half.txt": b"half"}


def test_what_a_script_started_ends_with_it(shop: Workshop) -> None:
    script = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print('RESULT', child.pid)\n"
    )
    job = shop.run(script)
    assert not psutil.pid_exists(shop.printed(job["TrainingJobName"]))


def test_a_code_archive_leads_nowhere_else(shop: Workshop, tmp_path: Path) -> None:
    outside = tmp_path / "outside.sh"
    outside.write_text("exit 0")
    outside.chmod(0o600)
    for program in (f'"{outside}"', f'"{"../" * 20}{str(outside).lstrip("/")}"'):
        job = shop.run("pass", hyperparameters={"sagemaker_program": program})
        assert "is not in the code archive" in job["FailureReason"]
    assert outside.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ['"zero\\u0000byte"', '"half a \\ud800 pair"'])
def test_what_no_program_can_be_told_fails_the_job(shop: Workshop, text: str) -> None:
    job = shop.run("pass", hyperparameters={"a": text})
    assert job["FailureReason"].startswith("ClientError: A hyperparameter or variable cannot be given to a program")
