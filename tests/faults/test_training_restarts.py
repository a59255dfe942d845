"""Training jobs while the server dies: what was acknowledged goes on, what died is said."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from tests.cloud.training import Workshop
from tests.cloud_process import CloudProcess
from tests.waiting import command_line, is_alive

COUNTING = (
    "import time, os\n"
    "print('under way', flush=True)\n"
    "number = 0\n"
    "while not os.path.exists('/opt/ml/input/data/go/now') and number < 3000:\n"
    "    number += 1; print(f'line {number}', flush=True); time.sleep(.02)\n"
    "    if number == {end}: break\n"
    "open('/opt/ml/model/count.txt', 'w').write(str(number))\n"
)


def processes_of(shop: Workshop) -> list[psutil.Process]:
    """The processes that run jobs of this cloud."""
    found: set[psutil.Process] = set()
    for process in psutil.process_iter(["cmdline"]):
        if any(str(shop.cloud.data_dir / "training") in part for part in process.info["cmdline"] or []):
            found |= {process, *process.children(recursive=True)}
    return list(found)


def test_a_running_job_is_adopted_and_no_line_is_lost_or_doubled(own_cloud: CloudProcess) -> None:
    shop = Workshop(own_cloud)
    script = (
        "import signal, time\n"
        "ends = []\n"
        "signal.signal(signal.SIGUSR1, lambda *_: ends.append(1))\n"
        "number = 0\n"
        "while not ends:\n"
        "    number += 1; print(f'line {number}', flush=True); time.sleep(.02)\n"
        "open('/opt/ml/model/count.txt', 'w').write(str(number))\n"
    )
    name = shop.create(script)
    shop.until_line(name, "line 5")
    for _ in range(3):
        own_cloud.restart(kill=True)
    assert shop.describe(name)["TrainingJobStatus"] == "InProgress"
    [program] = [process for process in processes_of(shop) if command_line(process)[1:2] == ["train.py"]]
    program.send_signal(signal.SIGUSR1)
    job = shop.ended(name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    count = int(shop.model(job)["count.txt"])
    counted = [line for line in shop.lines(name) if line.startswith("line ")]
    assert counted == [f"line {number}" for number in range(1, count + 1)]


def test_a_gentle_restart_leaves_jobs_running_too(own_cloud: CloudProcess) -> None:
    shop = Workshop(own_cloud)
    name = shop.create(COUNTING.replace("{end}", "60"))
    shop.until_line(name, "line 3")
    own_cloud.restart()
    assert shop.ended(name)["TrainingJobStatus"] == "Completed"


def test_a_job_whose_processes_died_meanwhile_says_so(own_cloud: CloudProcess) -> None:
    shop = Workshop(own_cloud)
    name = shop.create(COUNTING.replace("{end}", "3000"))
    shop.until_line(name, "line 3")
    running = processes_of(shop)
    assert running
    own_cloud.kill()
    for process in running:
        process.kill()
    own_cloud.start()
    job = shop.ended(name)
    assert job["TrainingJobStatus"] == "Failed"
    assert "ended while the local cloud was not running" in job["FailureReason"]


def test_a_job_that_ended_while_the_server_was_away_tells_its_end(own_cloud: CloudProcess) -> None:
    shop = Workshop(own_cloud)
    name = shop.create("import time; print('under way', flush=True); time.sleep(1); raise ValueError('too late')")
    shop.until_line(name, "under way")
    running = processes_of(shop)
    own_cloud.kill()
    psutil.wait_procs(running, timeout=60)
    own_cloud.start()
    job = shop.ended(name)
    assert job["TrainingJobStatus"] == "Failed"
    assert "ValueError: too late" in job["FailureReason"]


def test_a_stop_survives_the_death_of_the_server(own_cloud: CloudProcess) -> None:
    shop = Workshop(own_cloud)
    script = "import signal\nsignal.signal(signal.SIGTERM, lambda *_: print('not yet', flush=True))\n"
    name = shop.create(script + COUNTING.replace("{end}", "100"))
    shop.until_line(name, "line 3")
    shop.sagemaker.stop_training_job(TrainingJobName=name)
    own_cloud.restart(kill=True)
    assert shop.describe(name)["TrainingJobStatus"] in ("Stopping", "Stopped")
    assert shop.ended(name)["TrainingJobStatus"] == "Stopped"


def test_a_program_that_our_sigterm_has_ended_is_stopped_also_after_the_death_of_the_server(
    own_cloud: CloudProcess,
) -> None:
    shop = Workshop(own_cloud)
    names = [shop.create("print('under way', flush=True)\nimport time\ntime.sleep(600)\n") for _ in range(3)]
    for name in names:
        shop.until_line(name, "under way")
    for name in names:
        shop.sagemaker.stop_training_job(TrainingJobName=name)
    own_cloud.restart(kill=True)
    assert [shop.ended(name)["TrainingJobStatus"] for name in names] == ["Stopped"] * 3


def test_a_job_that_ignores_sigterm_is_killed_when_the_grace_is_over(fast_cloud: CloudProcess) -> None:
    shop = Workshop(fast_cloud)
    script = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('ignored', flush=True))\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal, time;"
        " signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)'])\n"
        "open('/opt/ml/model/kept.txt', 'w').write('kept')\n"
        "print('under way', flush=True)\n"
        "while True: time.sleep(.1)\n"
    )
    name = shop.create(script)
    shop.until_line(name, "under way")
    running = processes_of(shop)
    assert len(running) >= 3
    shop.sagemaker.stop_training_job(TrainingJobName=name)
    job = shop.ended(name)
    assert job["TrainingJobStatus"] == "Stopped"
    assert shop.model(job) == {"kept.txt": b"kept"}
    assert "ignored" in shop.lines(name)
    assert not [process for process in running if is_alive(process)]


def test_jobs_acknowledged_under_kill_9_are_run(own_cloud: CloudProcess) -> None:
    """Twenty deaths of the server while jobs are created: each answered one ends, none is there twice or unasked."""
    shop = Workshop(own_cloud)
    request = shop.request("open('/opt/ml/model/x', 'w').write('x')")
    acknowledged: list[str] = []
    sent: list[str] = []
    for round_number in range(20):
        stopper = threading.Timer(0.02 + 0.012 * round_number, own_cloud.kill)
        in_the_middle = round_number % 2 == 1
        if not in_the_middle:
            stopper.start()  # on a busy machine before the first answer
        try:
            for number in range(1000):
                name = f"round-{round_number}-{number}"
                sent.append(name)
                shop.sagemaker.create_training_job(**{**request, "TrainingJobName": name})
                acknowledged.append(name)
                if in_the_middle and number == 0:
                    stopper.start()
        except (ConnectionError, HTTPClientError, ClientError):
            stopper.join()
        own_cloud.start()
    assert acknowledged
    for name in acknowledged:
        job = shop.ended(name)
        assert job["TrainingJobStatus"] == "Completed", (name, job.get("FailureReason"))
        assert shop.model(job) == {"x": b"x"}
    pages = shop.sagemaker.get_paginator("list_training_jobs").paginate()
    listed = [summary["TrainingJobName"] for page in pages for summary in page["TrainingJobSummaries"]]
    assert len(listed) == len(set(listed))
    assert set(acknowledged) <= set(listed) <= set(sent)


def test_an_upload_goes_on_after_the_death_of_the_server(own_cloud: CloudProcess) -> None:
    shop = Workshop(own_cloud)
    name = shop.create("import os; open('/opt/ml/model/w.bin', 'wb').write(os.urandom(1 << 20) * 200)")
    shop.until(name, lambda job: job["SecondaryStatus"] == "Uploading")
    own_cloud.restart(kill=True)
    job = shop.ended(name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert [step["Status"] for step in job["SecondaryStatusTransitions"]].count("Uploading") == 1
    assert len(shop.model(job)["w.bin"]) == 200 << 20


@pytest.fixture
def small_account() -> Iterator[CloudProcess]:
    images = {"registry.example/own:1": sys.executable}
    quotas = {"ml.m5.large for training job usage": 2, "ml.p4d.24xlarge for training job usage": 0}
    with tempfile.TemporaryDirectory(prefix="sagehound-test-") as folder:
        cloud = CloudProcess(Path(folder), "--quotas", json.dumps(quotas), "--images", json.dumps(images))
        try:
            yield cloud.start()
        finally:
            cloud.stop()


def test_a_quota_counts_what_runs(small_account: CloudProcess) -> None:
    shop = Workshop(small_account)

    def refusal(**resources: Any) -> str:
        request = shop.request("pass")
        request["ResourceConfig"] |= resources
        with pytest.raises(shop.sagemaker.exceptions.ResourceLimitExceeded) as refused:
            shop.sagemaker.create_training_job(**request)
        return str(refused.value.response["Error"]["Message"])

    assert refusal(InstanceType="ml.p4d.24xlarge").startswith(
        "The account-level service limit 'ml.p4d.24xlarge for training job usage' is 0 Instances, with current "
        "utilization of 0 Instances and a request delta of 1 Instances. Please use AWS Service Quotas"
    )
    name = shop.create("import time; time.sleep(600)", count=2)
    assert "is 2 Instances, with current utilization of 2 Instances" in refusal()
    shop.sagemaker.stop_training_job(TrainingJobName=name)
    shop.ended(name)
    assert shop.run("pass", count=2)["TrainingJobStatus"] == "Completed"


def test_an_image_that_the_settings_map_is_run(small_account: CloudProcess) -> None:
    shop = Workshop(small_account)
    job = shop.run("import sys; print(sys.version)", algorithm={"TrainingImage": "registry.example/own:1"})
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
