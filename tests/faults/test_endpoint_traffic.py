"""Live traffic while endpoints scale and are updated, while instances die, and while the server itself is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import threading
import time
from pathlib import Path

import psutil
import pytest

from tests.cloud.hosting import HOLD, Hosting, Traffic, begun
from tests.cloud_process import CloudProcess
from tests.waiting import wait_for

SLOW = """
import time
def model_fn(model_dir): return None
def transform_fn(model, data, content_type, accept):
    time.sleep(0.2)
    return {answer!r}, "text/plain"
"""
GATED = """
import os, time
def model_fn(model_dir):
    while not os.path.exists({gate!r}): time.sleep(0.01)
def transform_fn(model, data, content_type, accept): return "x", "text/plain"
"""
CHANGES = 4
"""The benchmark endpoint_changes does it twenty times."""


def test_no_request_is_lost_by_scaling_and_updates(own_cloud: CloudProcess) -> None:
    """A handler that takes its time, so that every instance that leaves has something to finish."""
    hosting = Hosting(own_cloud)
    endpoint = hosting.endpoint("e", SLOW.format(answer="x"))
    configs = [hosting.config(name, hosting.variant(hosting.name("e"))) for name in ("blue", "green")]
    with Traffic(hosting, endpoint, threads=6) as traffic:
        for number in range(CHANGES):
            for count in (3, 1):
                scale(hosting, endpoint, count)
                described = hosting.settled(endpoint)
                assert described["ProductionVariants"][0]["CurrentInstanceCount"] == count
                assert "FailureReason" not in described
            hosting.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=configs[number % 2])
            assert hosting.settled(endpoint)["EndpointConfigName"] == configs[number % 2]
    assert set(traffic.answers) == {"x"}
    assert len(hosting.processes(endpoint)) == 1


def test_a_leaving_instance_finishes_what_it_holds_and_gets_nothing_new(
    own_cloud: CloudProcess, tmp_path: Path
) -> None:
    hosting = Hosting(own_cloud)
    endpoint = hosting.endpoint("e", HOLD, InitialInstanceCount=2)
    answers: list[str] = []
    first, second = f"{tmp_path}/first", f"{tmp_path}/second"

    def call(body: str) -> None:
        answers.append(hosting.invoke(endpoint, body))

    callers = [threading.Thread(target=call, args=(first,)) for _ in range(2)]
    for caller in callers:
        caller.start()
    wait_for(lambda: begun(tmp_path) == 2, "each instance has one")
    scale(hosting, endpoint, 1)
    wait_for(lambda: counts(hosting, endpoint) == (1, 1))
    callers += [threading.Thread(target=call, args=(second,)) for _ in range(2)]
    for caller in callers[2:]:
        caller.start()
    stays = busiest(hosting, endpoint)
    wait_for(lambda: connections(stays) >= 3, "what is new goes to the instance that stays")
    assert hosting.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointStatus"] == "Updating"
    assert len(hosting.processes(endpoint)) == 2
    Path(first).touch()
    Path(second).touch()
    for caller in callers:
        caller.join(60)
    assert answers == ["done"] * 4
    hosting.settled(endpoint)
    assert hosting.processes(endpoint) == [stays]


def test_instances_that_are_killed_while_they_start_are_started_again(own_cloud: CloudProcess, tmp_path: Path) -> None:
    hosting = Hosting(own_cloud)
    gate = tmp_path / "gate"
    gate.touch()
    endpoint = hosting.endpoint("e", GATED.format(gate=str(gate)))
    (serving,) = hosting.processes(endpoint)
    gate.unlink()
    with Traffic(hosting, endpoint, threads=2) as traffic:
        scale(hosting, endpoint, 3)
        wait_for(lambda: len(hosting.processes(endpoint)) == 3)
        killed = [pid for pid in hosting.processes(endpoint) if pid != serving]
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: len(set(hosting.processes(endpoint)) - {serving, *killed}) == 2, "two others have come")
        gate.touch()
        described = hosting.settled(endpoint)
        seen = traffic.answers["x"]
        wait_for(lambda: traffic.answers["x"] > seen + 20)
    assert "FailureReason" not in described
    assert counts(hosting, endpoint) == (3, 3)
    assert set(traffic.answers) == {"x"}


def test_a_scale_out_that_fails_leaves_what_was_there(own_cloud: CloudProcess, tmp_path: Path) -> None:
    """The model loads on the first instance only: what had become healthy goes again, and nobody notices."""
    hosting = Hosting(own_cloud)
    code = f"""
import os
def model_fn(model_dir): os.close(os.open({str(tmp_path / "once")!r}, os.O_CREAT | os.O_EXCL))
def transform_fn(model, data, content_type, accept): return "x", "text/plain"
"""
    endpoint = hosting.endpoint("e", code)
    with Traffic(hosting, endpoint, threads=2) as traffic:
        scale(hosting, endpoint, 2)
        described = hosting.settled(endpoint)
        seen = traffic.answers["x"]
        wait_for(lambda: traffic.answers["x"] > seen + 20)
    assert "FileExistsError" in described["FailureReason"]
    assert counts(hosting, endpoint) == (1, 1)
    assert set(traffic.answers) == {"x"}


@pytest.mark.parametrize("work", ["scale", "update", "delete"])
def test_what_an_instance_that_cannot_leave_interrupts_goes_on(own_cloud: CloudProcess, work: str) -> None:
    """A fault of the machine: a folder that is not empty is where a file of the instance should be deleted."""
    hosting = Hosting(own_cloud)
    endpoint = hosting.endpoint("e", SLOW.format(answer="x"), InitialInstanceCount=3)
    config = hosting.config("one", hosting.variant(hosting.name("e")))
    homes = sorted((own_cloud.data_dir / "sagemaker" / "endpoints").glob(f"{endpoint}.*"))
    for home in homes:
        (home / "run" / "hosts").rename(home / "run" / "moved")
        (home / "run" / "hosts" / "in the way").mkdir(parents=True)
    processes = set(hosting.processes(endpoint))
    if work == "scale":
        scale(hosting, endpoint, 1)
    elif work == "update":
        hosting.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    else:
        hosting.sagemaker.delete_endpoint(EndpointName=endpoint)
    wait_for(lambda: own_cloud.log().count(f"endpoint {endpoint}: it goes on in ") >= 2)
    status = hosting.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointStatus"]
    assert status == ("Deleting" if work == "delete" else "Updating")
    for home in homes:
        (home / "run" / "hosts" / "in the way").rmdir()
        (home / "run" / "hosts").rmdir()
    if work == "delete":
        hosting.gone(endpoint)
        assert hosting.processes(endpoint) == []
        return
    assert "FailureReason" not in hosting.settled(endpoint)
    assert counts(hosting, endpoint) == (1, 1)
    (stays,) = hosting.processes(endpoint)
    assert (stays in processes) == (work == "scale")
    assert hosting.invoke(endpoint) == "x"


def test_a_scale_out_goes_on_after_the_server_was_killed(own_cloud: CloudProcess, tmp_path: Path) -> None:
    hosting = Hosting(own_cloud)
    gate = tmp_path / "gate"
    gate.touch()
    endpoint = hosting.endpoint("e", GATED.format(gate=str(gate)))
    (serving,) = hosting.processes(endpoint)
    gate.unlink()
    scale(hosting, endpoint, 3)
    wait_for(lambda: len(hosting.processes(endpoint)) == 3)
    processes = set(hosting.processes(endpoint))
    own_cloud.restart(kill=True)
    wait_for(lambda: answers(hosting, endpoint))
    assert hosting.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointStatus"] == "Updating"
    gate.touch()
    assert hosting.settled(endpoint)["ProductionVariants"][0]["DesiredInstanceCount"] == 3
    assert counts(hosting, endpoint) == (3, 3)
    assert set(hosting.processes(endpoint)) == processes
    assert serving in processes


def test_a_scale_in_goes_on_after_the_server_was_killed(own_cloud: CloudProcess, tmp_path: Path) -> None:
    """Of two instances one has died with the server: the one that lives stays."""
    hosting = Hosting(own_cloud)
    endpoint = hosting.endpoint("e", HOLD, InitialInstanceCount=2)
    callers = [threading.Thread(target=attempt, args=(hosting, endpoint, f"{tmp_path}/go")) for _ in range(2)]
    for caller in callers:
        caller.start()
    wait_for(lambda: begun(tmp_path) == 2)
    scale(hosting, endpoint, 1)
    wait_for(lambda: counts(hosting, endpoint) == (1, 1))
    stays, dies = hosting.processes(endpoint)
    own_cloud.kill()
    os.kill(dies, signal.SIGKILL)
    (tmp_path / "go").touch()
    for caller in callers:
        caller.join(60)
    own_cloud.start()
    assert hosting.settled(endpoint)["ProductionVariants"][0]["DesiredInstanceCount"] == 1
    wait_for(lambda: hosting.processes(endpoint) == [stays])
    assert hosting.invoke(endpoint, f"{tmp_path}/go") == "done"


@pytest.mark.parametrize("kept", ["json_remove(body, '$.Handle')", "json_set(body, '$.Handle.pid', 999999)"])
def test_a_process_whose_start_was_not_kept_is_found(own_cloud: CloudProcess, tmp_path: Path, kept: str) -> None:
    """As if kill -9 had come between the start of a model server (not only the first) and its note in the store."""
    hosting = Hosting(own_cloud)
    (tmp_path / "go").touch()
    endpoint = hosting.endpoint("e", HOLD)
    processes = hosting.processes(endpoint)
    own_cloud.kill()
    with contextlib.closing(sqlite3.connect(own_cloud.data_dir / "cloud.sqlite")) as store, store:
        changed = store.execute(f"UPDATE records SET body = {kept} WHERE kind = 'sagemaker:endpoint-instance'")
        assert changed.rowcount == 1
    own_cloud.start()
    assert hosting.invoke(endpoint, f"{tmp_path}/go") == "done"
    assert hosting.processes(endpoint) == processes
    hosting.delete(endpoint)
    assert hosting.processes(endpoint) == []


def scale(hosting: Hosting, endpoint: str, count: int) -> None:
    hosting.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint,
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": count}],
    )


def counts(hosting: Hosting, endpoint: str) -> tuple[int, int]:
    """Current and desired instances."""
    variant = hosting.sagemaker.describe_endpoint(EndpointName=endpoint)["ProductionVariants"][0]
    return variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]


def answers(hosting: Hosting, endpoint: str) -> bool:
    return attempt(hosting, endpoint, "") is not None


def attempt(hosting: Hosting, endpoint: str, body: str) -> str | None:
    try:
        return hosting.invoke(endpoint, body)
    except Exception:  # noqa: BLE001 - the server is being killed: any failure of the connection is expected
        return None


def connections(pid: int) -> int:
    """Established connections of a model server."""
    return sum(connection.status == "ESTABLISHED" for connection in psutil.Process(pid).net_connections("tcp"))


def busiest(hosting: Hosting, endpoint: str) -> int:
    """The model server with the most connections, once one has more than the other."""
    deadline = time.monotonic() + 60
    while True:
        found = {pid: connections(pid) for pid in hosting.processes(endpoint)}
        if len(set(found.values())) > 1:
            return max(found, key=lambda pid: found[pid])
        assert time.monotonic() < deadline, found
        time.sleep(0.01)
