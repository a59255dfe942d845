"""Endpoints when processes die: model servers under load, and the server itself while they serve."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import psutil
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.cloud.hosting import HOLD, Hosting, Traffic, answering, begun
from tests.cloud_process import CloudProcess
from tests.waiting import wait_for


def test_a_killed_model_server_fails_only_what_its_handler_had(own_cloud: CloudProcess, tmp_path: Path) -> None:
    """One handler holds its request, five more wait behind it; after kill -9 those five are answered."""
    hosting = Hosting(own_cloud)
    hosting.runtime = own_cloud.client("sagemaker-runtime", config=_no_retries())
    endpoint = hosting.endpoint("e", HOLD)
    outcomes: list[str] = []

    def call(number: int) -> None:
        try:
            outcomes.append(hosting.invoke(endpoint, f"{tmp_path}/go"))
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])

    callers = [threading.Thread(target=call, args=(number,)) for number in range(6)]
    callers[0].start()
    wait_for(lambda: begun(tmp_path) == 1)
    for caller in callers[1:]:
        caller.start()
    wait_for(lambda: _connections(hosting.processes(endpoint)[0]) >= 6, "all six requests have been sent")
    os.kill(hosting.processes(endpoint)[0], signal.SIGKILL)
    wait_for(lambda: outcomes == ["ModelError"], "the one that the handler had is lost")
    (tmp_path / "go").touch()
    for caller in callers:
        caller.join(60)
    assert sorted(outcomes) == ["ModelError", *["done"] * 5]
    assert begun(tmp_path) == 6


def test_with_two_instances_a_killed_one_is_not_noticed(own_cloud: CloudProcess) -> None:
    hosting = Hosting(own_cloud)
    endpoint = hosting.endpoint("e", answering("x"), InitialInstanceCount=2)
    first = hosting.processes(endpoint)
    with Traffic(hosting, endpoint) as traffic:
        for _ in range(3):
            seen = traffic.answers["x"]
            pid = hosting.processes(endpoint)[0]
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda pid=pid: len(hosting.processes(endpoint)) == 2 and pid not in hosting.processes(endpoint))
            wait_for(lambda seen=seen: traffic.answers["x"] > seen + 20)
    assert set(hosting.processes(endpoint)) != set(first)
    # What a handler had begun when it was killed is lost, and nothing else: at most one a kill.
    lost = {answer: count for answer, count in traffic.answers.items() if answer != "x"}
    assert sum(lost.values()) <= 3
    assert all("The model server ended while it was working on this request" in answer for answer in lost)


def test_endpoints_outlive_twenty_deaths_of_the_server(own_cloud: CloudProcess) -> None:
    """Whatever is answered is right, whatever was acknowledged is there, and the model server never notices."""
    hosting = Hosting(own_cloud)
    endpoint = hosting.endpoint("e", answering("x"))
    processes = hosting.processes(endpoint)
    variant = hosting.variant(hosting.name("e"))
    acknowledged = [hosting.name("e")]
    with Traffic(hosting, endpoint, threads=2) as traffic:
        for number in range(20):
            seen = traffic.answers["x"]
            acknowledged.append(hosting.config(f"c{number}", variant))
            own_cloud.restart(kill=True)
            wait_for(lambda seen=seen: traffic.answers["x"] > seen)
    assert hosting.processes(endpoint) == processes
    assert {answer for answer in traffic.answers if not answer.startswith("no connection")} == {"x"}
    pages = hosting.sagemaker.get_paginator("list_endpoint_configs").paginate(NameContains=hosting.prefix)
    found = {config["EndpointConfigName"] for page in pages for config in page["EndpointConfigs"]}
    assert found == set(acknowledged)


def test_a_model_server_that_died_with_the_server_is_started_again(own_cloud: CloudProcess) -> None:
    hosting = Hosting(own_cloud)
    endpoint = hosting.endpoint("e", answering("x"))
    (process,) = hosting.processes(endpoint)
    own_cloud.kill()
    os.kill(process, signal.SIGKILL)
    own_cloud.start()
    wait_for(lambda: _answers(hosting, endpoint))
    assert hosting.settled(endpoint)["EndpointStatus"] == "InService"
    hosting.delete(endpoint)
    assert hosting.processes(endpoint) == []


@pytest.mark.parametrize("kill", [True, False])
def test_creation_and_update_go_on_after_a_restart(own_cloud: CloudProcess, tmp_path: Path, kill: bool) -> None:
    hosting = Hosting(own_cloud)
    gate = tmp_path / "gate"
    code = f"""
import os, time
def model_fn(model_dir):
    while not os.path.exists({str(gate)!r}): time.sleep(0.01)
def transform_fn(m, d, c, a): return "loaded"
"""
    endpoint = hosting.create("e", hosting.config("e", hosting.variant(hosting.model("e", code))))
    wait_for(lambda: hosting.processes(endpoint))
    own_cloud.restart(kill=kill)
    gate.touch()
    assert hosting.settled(endpoint)["EndpointStatus"] == "InService"
    assert hosting.invoke(endpoint) == "loaded"

    gate.unlink()
    config = hosting.config("new", hosting.variant(hosting.model("new", code.replace("loaded", "new"))))
    hosting.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    wait_for(lambda: len(hosting.processes(endpoint)) == 2)
    own_cloud.restart(kill=kill)
    if kill:  # the old model server lives on; a server that is stopped ends it, and starts it again behind the gate
        wait_for(lambda: _answers(hosting, endpoint))
    gate.touch()
    assert hosting.settled(endpoint)["EndpointConfigName"] == config
    assert hosting.invoke(endpoint) == "new"
    wait_for(lambda: len(hosting.processes(endpoint)) == 1)


def test_a_deletion_goes_on_after_a_restart(own_cloud: CloudProcess, tmp_path: Path) -> None:
    hosting = Hosting(own_cloud)
    endpoint = hosting.endpoint("e", HOLD)
    caller = threading.Thread(target=_try_invoke, args=(hosting, endpoint, f"{tmp_path}/go"))
    caller.start()
    wait_for(lambda: begun(tmp_path) == 1)
    hosting.sagemaker.delete_endpoint(EndpointName=endpoint)
    own_cloud.restart(kill=True)
    (tmp_path / "go").touch()
    caller.join(60)
    hosting.gone(endpoint)
    assert hosting.processes(endpoint) == []


def _no_retries() -> Config:
    return Config(retries={"total_max_attempts": 1, "mode": "standard"}, max_pool_connections=20)


def _answers(hosting: Hosting, endpoint: str) -> bool:
    return _try_invoke(hosting, endpoint, "") is not None


def _try_invoke(hosting: Hosting, endpoint: str, body: str) -> str | None:
    try:
        return hosting.invoke(endpoint, body)
    except Exception:  # noqa: BLE001 - the server is being killed: any failure of the connection is expected
        return None


def _connections(pid: int) -> int:
    """Established connections of a model server."""
    return sum(connection.status == "ESTABLISHED" for connection in psutil.Process(pid).net_connections("tcp"))
