"""Five hosts that are one training, while hosts and the server die: what died is named, what was kept goes on."""

from __future__ import annotations

import signal
import sqlite3
import time
from pathlib import Path

import psutil
import pytest

from tests.cloud.classifier_jobs import ClassifierJobs, extracted, program_of
from tests.cloud.training import Workshop
from tests.cloud_process import CloudProcess

HOSTS = 5
NAMES = [f"algo-{number}" for number in range(1, HOSTS + 1)]
SETTINGS = {"learning_rate": "0.003", "batch_size": "20", "seed": "3"}
WITHOUT_END = 1_000_000
"""Epochs that no test waits for."""


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return extracted(tmp_path_factory.mktemp("hosts"))


@pytest.fixture(scope="module")
def jobs(cloud: CloudProcess, features: Path) -> ClassifierJobs:
    return ClassifierJobs(Workshop(cloud), features)


@pytest.mark.timeout(600)
def test_five_hosts_are_one_training(jobs: ClassifierJobs) -> None:
    shop = jobs.shop
    alone, five = jobs.create(1, epochs=3, **SETTINGS), jobs.create(HOSTS, epochs=3, **SETTINGS)
    one, other = (jobs.metrics(shop.ended(name)) for name in (alone, five))
    assert (one["hosts"], other["hosts"]) == (1, HOSTS)
    assert one["test"]["confusion"] == other["test"]["confusion"]
    for theirs, ours in zip(one["history"], other["history"], strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)
    # Host algo-1 alone tells metrics and writes; all five have joined, so there is no talk of five times the bill.
    assert [name for name in NAMES if any("validation:loss=" in line for line in shop.lines(five, name))] == ["algo-1"]
    assert [name for name in NAMES if any("the artefact is in" in line for line in shop.lines(five, name))] == [
        "algo-1"
    ]
    assert not any("x the bill" in line for line in shop.lines(five))
    found = {metric["MetricName"]: metric["Value"] for metric in shop.describe(five)["FinalMetricDataList"]}
    assert found["test:accuracy"] == pytest.approx(other["test"]["accuracy"], abs=1e-6)


@pytest.mark.timeout(600)
def test_a_killed_host_fails_the_job_with_its_name(jobs: ClassifierJobs) -> None:
    shop = jobs.shop
    name = jobs.create(HOSTS, epochs=WITHOUT_END, **SETTINGS)
    shop.until_line(name, f"epoch 3/{WITHOUT_END}")
    programs = {host: program_of(shop, name, host) for host in NAMES}
    programs["algo-3"].send_signal(signal.SIGKILL)
    job = shop.ended(name)
    assert job["TrainingJobStatus"] == "Failed"
    reason = job["FailureReason"]
    assert reason.startswith("AlgorithmError: ExecuteUserScriptError:\nExitCode 137\n")
    assert reason.endswith(", exit code: 137, host: algo-3")
    assert "(killed by signal 9)" in reason
    assert "This host failed first (killed by signal 9): the job fails and the other hosts are ended." in shop.lines(
        name, "algo-3"
    )
    survivors = [host for host in NAMES if host != "algo-3"]
    # A killed host is cause enough, so the others are ended at once: those that had noticed by then say it.
    lost = [line for host in survivors for line in shop.lines(name, host) if line.startswith("error: host ")]
    assert all("lost the connection to" in line and "it has ended" in line for line in lost)
    assert not any("Traceback" in line for line in shop.lines(name))
    assert not [program for program in programs.values() if program.is_running()]


def test_the_cause_is_named_and_not_who_noticed_it_first(cloud: CloudProcess) -> None:
    """algo-2 has an error of its own and goes slowly; algo-1 and algo-3 only see a connection that closes, at once."""
    shop = Workshop(cloud)
    script = (
        "import os, socket, sys, time\n"
        "host, address = os.environ['SM_CURRENT_HOST'], ('algo-2', int(os.environ['MASTER_PORT']))\n"
        "if host == 'algo-2':\n"
        "    server = socket.create_server(address); peers = [server.accept()[0] for _ in range(2)]\n"
        "    for peer in peers: peer.close()\n"
        "    time.sleep(1)\n"
        "    raise ValueError('the labels of algo-2 are missing')\n"
        "while True:\n"
        "    try: peer = socket.create_connection(address); break\n"
        "    except ConnectionRefusedError: time.sleep(.02)\n"
        "if not peer.recv(1): raise RuntimeError('gloo/transport/tcp: Connection closed by peer')\n"
    )
    job = shop.run(script, count=3)
    assert job["TrainingJobStatus"] == "Failed"
    assert "ValueError: the labels of algo-2 are missing" in job["FailureReason"]
    assert job["FailureReason"].endswith(", exit code: 1, host: algo-2")


@pytest.mark.timeout(600)
def test_a_killed_process_below_torchrun_is_the_cause_too(cloud: CloudProcess) -> None:
    """torchrun itself ends with an exit code on every host: only its report says which one had a process killed."""
    shop = Workshop(cloud)
    script = (
        "import os, signal, torch, torch.distributed as dist\n"
        "dist.init_process_group('gloo')\n"
        "while True:\n"
        "    dist.all_reduce(torch.ones(1))\n"
        "    if dist.get_rank() == 1: os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    job = shop.run(script, count=3, hyperparameters={"sagemaker_torch_distributed_enabled": "true"})
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].endswith(", exit code: 1, host: algo-2")
    assert "Signal 9 (SIGKILL) received by PID" in job["FailureReason"]


@pytest.mark.timeout(600)
def test_a_killed_server_adopts_a_job_of_five_hosts(own_cloud: CloudProcess, features: Path) -> None:
    jobs = ClassifierJobs(Workshop(own_cloud), features)
    shop, epochs = jobs.shop, 250
    name = jobs.create(HOSTS, epochs=epochs, **SETTINGS)
    own_cloud.restart(kill=True)  # while it starts
    shop.until_line(name, f"epoch 2/{epochs}")
    programs = [program_of(shop, name, host) for host in NAMES]
    own_cloud.restart(kill=True)  # while it trains
    assert all(program.is_running() for program in programs)
    metrics = jobs.metrics(shop.ended(name))
    assert (metrics["hosts"], len(metrics["history"])) == (HOSTS, epochs)
    told = [line for line in shop.lines(name, "algo-1") if "head epoch " in line]
    assert [int(line.split("epoch ")[1].split("/")[0]) for line in told] == list(range(1, epochs + 1))
    assert not any("x the bill" in line for line in shop.lines(name))


@pytest.mark.timeout(600)
def test_a_program_whose_handle_was_never_kept_is_ended_and_the_job_begins_anew(own_cloud: CloudProcess) -> None:
    """The server dies between the start of algo-2's program and the record of it."""
    shop = Workshop(own_cloud)
    script = (
        "import os, time\n"
        "print('under way', flush=True)\n"
        "while not os.path.exists('/opt/ml/input/data/go/now'): time.sleep(.05)\n"
    )
    shop.put("go/later", "x")
    name = shop.create(script, count=2, InputDataConfig=[shop.channel("go", "go/")])
    shop.until_line(name, "under way")
    unknown = program_of(shop, name, "algo-2")
    shop.put("go/now", "x")  # for those who begin after this: a channel is what S3 had at the start
    own_cloud.kill()
    with sqlite3.connect(own_cloud.data_dir / "cloud.sqlite") as database:
        rows = database.execute(
            "UPDATE records SET body = json_remove(body, '$.Hosts.\"algo-2\".Handle') "
            "WHERE kind = 'sagemaker:training-run' AND name = ?",
            (name,),
        ).rowcount
    assert rows == 1
    database.close()
    own_cloud.start()
    psutil.wait_procs([unknown], timeout=60)
    assert not unknown.is_running()
    job = shop.ended(name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")


@pytest.fixture(scope="module")
def uninterrupted(jobs: ClassifierJobs) -> dict[str, object]:
    return jobs.metrics(jobs.shop.ended(jobs.create(1, epochs=120, **SETTINGS)))


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("before", "after"), [(5, 2), (5, 1)])
def test_a_job_created_again_with_another_number_of_hosts_goes_on_from_its_checkpoint(
    jobs: ClassifierJobs, uninterrupted: dict[str, list[dict[str, float]]], before: int, after: int
) -> None:
    shop, place = jobs.shop, f"resumed-{before}-{after}-{time.time_ns()}"
    first = jobs.create(before, place, epochs=120, **SETTINGS)
    shop.until_line(first, "epoch 20/120")
    program_of(shop, first, "algo-3").kill()
    assert shop.ended(first)["TrainingJobStatus"] == "Failed"
    second = jobs.create(after, place, epochs=120, **SETTINGS)
    metrics = jobs.metrics(shop.ended(second))
    resumed = [line for line in shop.lines(second, "algo-1") if "resumed after epoch" in line]
    assert len(resumed) == 1
    assert int(resumed[0].split("after epoch ")[1].split(",")[0]) >= 19
    assert metrics["hosts"] == after
    assert len(metrics["history"]) == 120
    for ours, theirs in zip(metrics["history"], uninterrupted["history"], strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)
