"""Tuning jobs while the server dies: no training job is lost or doubled, and what was decided stays so."""

from __future__ import annotations

import itertools
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from tests.cloud.tuning import PARABOLA, READ, TuningWorkshop, categorical
from tests.cloud_process import CloudProcess
from tests.waiting import command_line

ENDLESS = "import time\nprint('loss=2', flush=True)\ntime.sleep(600)\n"
OBEDIENT = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit())\n" + ENDLESS
GATE = READ + (
    "print('loss=1', flush=True)\n"
    "while not os.path.exists(os.path.join(given['folder'], 'go')): time.sleep(.01)\n"
    "print(f'loss={x}', flush=True)\n"
)


def until_running(shop: TuningWorkshop, name: str, count: int = 1) -> list[str]:
    """Wait until `count` training jobs of a tuning job have printed a value; their names."""
    shop.tuning_until(name, lambda job: job["TrainingJobStatusCounters"]["InProgress"] >= count)
    names = [child["TrainingJobName"] for child in shop.children(name, StatusEquals="InProgress")]
    for child in names:
        shop.until(child, lambda job: job.get("FinalMetricDataList"))
    return names


def test_no_training_job_is_lost_or_doubled_under_kill_9(own_cloud: CloudProcess) -> None:
    """Five deaths while a tuning job goes on: it makes the same trials as one that is left alone."""
    shop = TuningWorkshop(own_cloud)
    undisturbed = shop.children(shop.tuned(PARABOLA, jobs=9)["HyperParameterTuningJobName"])
    name = shop.tune(PARABOLA, jobs=9)
    for number in range(5):
        stopper = threading.Timer(0.03 + 0.061 * number, own_cloud.kill)
        stopper.start()
        stopper.join()
        own_cloud.start()
    ended = shop.tuning_ended(name)
    assert ended["HyperParameterTuningJobStatus"] == "Completed", ended.get("FailureReason")
    children = shop.children(name)
    assert [child["TrainingJobName"][:-9] for child in children] == [f"{name}-{n:03}" for n in range(1, 10)]
    for child, expected in zip(children, undisturbed, strict=True):
        assert child["TunedHyperParameters"] == expected["TunedHyperParameters"]
        assert child["TrainingJobStatus"] == "Completed", child
        metric = "FinalHyperParameterTuningJobObjectiveMetric"
        assert child[metric] == expected[metric]
    listed = [
        summary["TrainingJobName"]
        for page in shop.sagemaker.get_paginator("list_training_jobs").paginate(NameContains=name)
        for summary in page["TrainingJobSummaries"]
    ]
    assert sorted(listed) == [child["TrainingJobName"] for child in children]


def _kill_after(cloud: CloudProcess, acknowledged: list[str], count: int) -> None:
    """Kill the server in the middle of whatever it does when `count` requests have been answered."""
    while len(acknowledged) < count:
        time.sleep(0.001)
    cloud.kill()


def test_an_acknowledged_tuning_job_is_run(own_cloud: CloudProcess) -> None:
    shop = TuningWorkshop(own_cloud)
    request = shop.tuning_request(PARABOLA, jobs=1)
    acknowledged: list[str] = []
    for round_number in range(3):
        stopper = threading.Thread(target=_kill_after, args=(own_cloud, acknowledged, 1 + 2 * round_number))
        stopper.start()
        try:
            for number in range(1000):
                name = f"round-{round_number}-{number}"
                shop.sagemaker.create_hyper_parameter_tuning_job(**{**request, "HyperParameterTuningJobName": name})
                acknowledged.append(name)
        except (ConnectionError, HTTPClientError, ClientError):
            stopper.join()
        own_cloud.start()
    assert len(acknowledged) >= 5
    for name in acknowledged:
        assert shop.tuning_ended(name)["TrainingJobStatusCounters"]["Completed"] == 1
        assert len(shop.children(name)) == 1


def test_running_training_jobs_go_on_and_their_values_are_read(own_cloud: CloudProcess, tmp_path: Path) -> None:
    shop = TuningWorkshop(own_cloud)
    static = {"static": {"folder": str(tmp_path)}}
    name = shop.tune(GATE, categorical("5", "6", "7"), strategy="Grid", jobs=None, parallel=2, definition=static)
    running = until_running(shop, name, 2)
    own_cloud.restart(kill=True)
    (tmp_path / "go").touch()
    ended = shop.tuning_ended(name)
    assert ended["TrainingJobStatusCounters"]["Completed"] == 3
    assert sorted(value or 0 for value in shop.values(name)) == [5, 6, 7]
    assert set(running) < {child["TrainingJobName"] for child in shop.children(name)}


def test_a_gentle_restart_loses_nothing_either(own_cloud: CloudProcess) -> None:
    shop = TuningWorkshop(own_cloud)
    name = shop.tune(PARABOLA, jobs=6, parallel=2)
    until = shop.tuning_until(name, lambda job: job["TrainingJobStatusCounters"]["Completed"] >= 1)
    assert until["HyperParameterTuningJobStatus"] in ("InProgress", "Completed")
    own_cloud.restart()
    assert shop.tuning_ended(name)["TrainingJobStatusCounters"]["Completed"] == 6
    assert len(shop.children(name)) == 6


def test_a_stop_survives_the_death_of_the_server(own_cloud: CloudProcess) -> None:
    shop = TuningWorkshop(own_cloud)
    name = shop.tune(OBEDIENT, jobs=5, parallel=2)
    until_running(shop, name, 2)
    shop.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    own_cloud.restart(kill=True)
    ended = shop.tuning_ended(name)
    assert ended["HyperParameterTuningJobStatus"] == "Stopped"
    assert ended["TrainingJobStatusCounters"]["Stopped"] == 2, [
        (child["TrainingJobStatus"], child.get("FailureReason")) for child in shop.children(name)
    ]
    assert len(shop.children(name)) == 2


def test_a_failure_of_the_platform_is_retried_where_it_is_asked_for(own_cloud: CloudProcess, tmp_path: Path) -> None:
    shop = TuningWorkshop(own_cloud)
    values = categorical("5", "6")
    names = []
    for retry in ({}, {"RetryStrategy": {"MaximumRetryAttempts": 1}}):
        definition = {"static": {"folder": str(tmp_path)}, **retry}
        names.append(shop.tune(GATE, values, strategy="Grid", jobs=None, definition=definition))
    for name in names:
        until_running(shop, name)
    programs = [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(own_cloud.data_dir / "training") in part for part in process.info["cmdline"] or [])
    ]
    own_cloud.kill()
    for process in [*programs, *(child for parent in programs for child in parent.children(recursive=True))]:
        if process.is_running():
            process.kill()
    (tmp_path / "go").touch()
    own_cloud.start()
    for attempts, name in enumerate(names):
        ended = shop.tuning_ended(name)
        assert ended["HyperParameterTuningJobStatus"] == "Completed", ended.get("FailureReason")
        counters = ended["TrainingJobStatusCounters"]
        assert (counters["RetryableError"], counters["Completed"]) == (1, 1 + attempts)
        children = shop.children(name)
        assert children[0]["FailureReason"].startswith("InternalServerError")
        tried = [child["TunedHyperParameters"]["x"] for child in children]
        # Repeated with the same value, or not at all.
        assert len(set(tried)) == 2
        assert (tried[0] == tried[1]) is (attempts == 1)


@pytest.fixture
def two_instances() -> Iterator[TuningWorkshop]:
    quotas = json.dumps({"ml.m5.large for training job usage": 2})
    with tempfile.TemporaryDirectory(prefix="sagehound-test-") as folder:
        cloud = CloudProcess(Path(folder), "--quotas", quotas)
        try:
            yield TuningWorkshop(cloud.start())
        finally:
            cloud.stop()


def test_a_full_quota_is_waited_for(two_instances: TuningWorkshop) -> None:
    shop = two_instances
    other = shop.create(ENDLESS)
    name = shop.tune(PARABOLA, jobs=4, parallel=2)
    ended = shop.tuning_ended(name)
    assert ended["TrainingJobStatusCounters"]["Completed"] == 4, ended.get("FailureReason")
    spans = [(child["TrainingStartTime"], child["TrainingEndTime"]) for child in shop.children(name)]
    assert all(start >= over for (_, over), (start, _) in itertools.pairwise(spans))
    shop.sagemaker.stop_training_job(TrainingJobName=other)
    shop.ended(other)


def test_a_quota_that_has_no_room_at_all(two_instances: TuningWorkshop, tmp_path: Path) -> None:
    shop = two_instances
    request = shop.tuning_request(PARABOLA, jobs=2)
    request["TrainingJobDefinition"]["ResourceConfig"]["InstanceCount"] = 3
    with pytest.raises(shop.sagemaker.exceptions.ResourceLimitExceeded):
        shop.sagemaker.create_hyper_parameter_tuning_job(**request)
    name = shop.tune(GATE, jobs=2, definition={"static": {"folder": str(tmp_path)}})
    until_running(shop, name)
    # The account shrinks while a training job runs: the next one has nothing to wait for.
    shop.cloud.options = ("--quotas", json.dumps({"ml.m5.large for training job usage": 0}))
    shop.cloud.restart()
    (tmp_path / "go").touch()
    ended = shop.tuning_ended(name)
    assert ended["HyperParameterTuningJobStatus"] == "Failed"
    assert ended["FailureReason"].startswith(
        "The account-level service limit 'ml.m5.large for training job usage' is 0"
    )
    assert ended["TrainingJobStatusCounters"]["Completed"] == 1
    assert len(shop.children(name)) == 1


def test_the_process_of_a_search_ends_with_the_tuning_job(own_cloud: CloudProcess) -> None:
    shop = TuningWorkshop(own_cloud)

    def searching() -> list[psutil.Process]:
        assert own_cloud.process is not None
        children = psutil.Process(own_cloud.process.pid).children(recursive=True)
        return [child for child in children if any("search" in part for part in command_line(child))]

    name = shop.tune(ENDLESS, jobs=30, strategy="Bayesian")
    until_running(shop, name)
    assert searching()
    own_cloud.restart(kill=True)
    shop.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    shop.tuning_ended(name)
    psutil.wait_procs(searching(), timeout=60)
    assert not searching()
