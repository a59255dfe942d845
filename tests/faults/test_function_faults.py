"""Functions when processes die: the server during invocations, environments at work, and what is there afterwards."""

from __future__ import annotations

import json
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
from botocore.exceptions import BotoCoreError, ClientError

from tests.cloud.lambda_callers import AT_THE_GATE, PATIENT, Gate, at_once, call, many, metric, wait_for
from tests.cloud.lambda_functions import Bench
from tests.cloud_process import CloudProcess
from tests.waiting import is_alive

NOTES = """
import json
import urllib.request
def handler(event, context):
    body = json.dumps(event["number"]).encode()
    urllib.request.urlopen(urllib.request.Request(event["gate"], body)).read()
"""
PROCESS = "import os\ndef handler(event, context):\n    return os.environ['AWS_LAMBDA_INITIALIZATION_TYPE']\n"


def publish(bench: Bench, name: str, count: int) -> str:
    """Publish a version with `count` provisioned environments."""
    version = str(bench.client.publish_version(FunctionName=name)["Version"])
    bench.active(name, Qualifier=version)
    bench.client.put_provisioned_concurrency_config(
        FunctionName=name, Qualifier=version, ProvisionedConcurrentExecutions=count
    )
    wait_for(lambda: available(bench, name, version) == count, "the pool")
    return version


def available(bench: Bench, name: str, version: str) -> int:
    config = bench.client.get_provisioned_concurrency_config(FunctionName=name, Qualifier=version)
    return int(config["AvailableProvisionedConcurrentExecutions"])


def runtimes(cloud: CloudProcess) -> list[psutil.Process]:
    """The processes of functions that this cloud has started."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = " ".join(process.info["cmdline"] or [])
        if "awslambdaric" in command and cloud.process is not None and _is_below(process, cloud.process.pid):
            found.append(process)
    return found


def _is_below(process: psutil.Process, ancestor: int) -> bool:
    try:
        return any(parent.pid == ancestor for parent in process.parents())
    except psutil.NoSuchProcess:
        return False


def test_no_acknowledged_event_is_lost_when_the_server_is_killed(own_cloud: CloudProcess) -> None:
    """Events are handed over by four callers; in the middle of it the server dies. What was answered with 202 runs."""
    bench = Bench(own_cloud)
    name = bench.create(NOTES, Timeout=PATIENT)
    client = many(own_cloud, 4)
    acknowledged: list[int] = []
    lock = threading.Lock()
    with Gate() as gate:

        def hand_over(caller: int) -> None:
            for number in range(caller * 1000, caller * 1000 + 1000):
                event = json.dumps({"gate": gate.address(), "number": number})
                try:
                    client.invoke(FunctionName=name, InvocationType="Event", Payload=event)
                except (BotoCoreError, ClientError):
                    return
                with lock:
                    acknowledged.append(number)

        callers = [threading.Thread(target=hand_over, args=(caller,)) for caller in range(4)]
        for caller in callers:
            caller.start()
        # Some run, and wait at the gate, while others are waiting and more are coming in.
        wait_for(lambda: len(acknowledged) > 100 and len(gate.posted) > 4, "events on their way")
        own_cloud.kill()
        for caller in callers:
            caller.join()
        gate.open()
        own_cloud.start()
        wait_for(lambda: set(acknowledged) <= set(gate.posted), "every event that was acknowledged")
    # One that was being stored when the server died may have been kept without its answer having been sent.
    assert len(set(gate.posted) - set(acknowledged)) <= 4


def test_provisioned_pools_come_back_after_kill(own_cloud: CloudProcess) -> None:
    bench = Bench(own_cloud)
    name = bench.create(PROCESS)
    version = publish(bench, name, 2)
    own_cloud.restart(kill=True)
    wait_for(lambda: available(bench, name, version) == 2, "the pool")
    assert call(bench.client, name, Qualifier=version) == "provisioned-concurrency"
    own_cloud.restart()
    wait_for(lambda: available(bench, name, version) == 2, "the pool")
    config = bench.client.get_provisioned_concurrency_config(FunctionName=name, Qualifier=version)
    assert config["Status"] == "READY"


def test_invocations_under_way_end_with_the_server_and_leave_no_process(own_cloud: CloudProcess) -> None:
    """Their callers see the connection end; the places are free again, and no handler runs on unseen."""
    bench = Bench(own_cloud)
    name = bench.create(AT_THE_GATE, Timeout=PATIENT)
    bench.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=3)
    client = many(own_cloud, 3)

    def invoke(gate: Gate) -> str:
        try:
            return str(call(client, name, gate.address()))
        except BotoCoreError as error:
            return type(error).__name__

    with Gate() as gate, ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(invoke, gate) for _ in range(3)]
        wait_for(lambda: len(gate.arrived) == 3, "three at work")
        before = runtimes(own_cloud)
        assert len(before) >= 3
        own_cloud.kill()
        assert {each.result() for each in calls} == {"ConnectionClosedError"}
        wait_for(lambda: not any(is_alive(process) for process in before), "the end of their processes")
    own_cloud.start()
    with Gate() as gate:
        gate.open()
        assert at_once(3, lambda _: invoke(gate)) == ["on-demand"] * 3


def test_a_killed_provisioned_environment_is_replaced(own_cloud: CloudProcess) -> None:
    bench = Bench(own_cloud)
    name = bench.create(PROCESS)
    version = publish(bench, name, 2)
    before = {process.pid for process in runtimes(own_cloud)}
    for pid in before:
        os.kill(pid, signal.SIGKILL)

    def replaced() -> bool:
        now = {process.pid for process in runtimes(own_cloud)}
        return available(bench, name, version) == 2 and len(now) >= 2 and not now & before

    wait_for(replaced, "two other environments")
    assert call(bench.client, name, Qualifier=version) == "provisioned-concurrency"


def test_a_handler_that_is_killed_fails_its_own_invocation_and_frees_its_place(own_cloud: CloudProcess) -> None:
    bench = Bench(own_cloud)
    name = bench.create(AT_THE_GATE, Timeout=PATIENT)
    bench.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=2)
    client = many(own_cloud, 2)

    def invoke(gate: Gate) -> Any:
        answer = client.invoke(FunctionName=name, Payload=json.dumps(gate.address()))
        return json.loads(answer["Payload"].read())

    with Gate() as gate, ThreadPoolExecutor(2) as pool:
        first = pool.submit(invoke, gate)
        wait_for(lambda: len(gate.arrived) == 1, "the first at work")
        victims = runtimes(own_cloud)
        second = pool.submit(invoke, gate)
        wait_for(lambda: len(gate.arrived) == 2, "the second at work")
        for victim in victims:
            victim.kill()
        assert first.result()["errorType"] == "Runtime.ExitError"
        assert not second.done()
        gate.open()
        assert second.result() == "on-demand"
    with Gate() as gate:
        gate.open()
        assert at_once(2, lambda _: invoke(gate)) == ["on-demand"] * 2
    wait_for(lambda: metric(own_cloud, "Errors", FunctionName=name) == 1, "one error")


def test_an_event_whose_first_try_was_cut_off_by_the_servers_end_is_tried_again(own_cloud: CloudProcess) -> None:
    bench = Bench(own_cloud)
    name = bench.create(NOTES, Timeout=PATIENT)
    with Gate() as gate:
        event = json.dumps({"gate": gate.address(), "number": 7})
        bench.client.invoke(FunctionName=name, InvocationType="Event", Payload=event)
        wait_for(lambda: len(gate.posted) == 1, "the first try")
        own_cloud.restart()
        gate.open()
        wait_for(lambda: len(gate.posted) == 2, "the second")
    wait_for(lambda: metric(own_cloud, "Invocations", FunctionName=name) >= 1, "its end")
    assert metric(own_cloud, "Errors", FunctionName=name) == 0
