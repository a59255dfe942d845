"""Concurrency: reserved, provisioned and the account's, counted exactly; the pools and how they are asked for."""

from __future__ import annotations

import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.lambda_.concurrency import ACCOUNT, RESERVED, Concurrency
from tests.cloud.lambda_callers import (
    AT_THE_GATE,
    PATIENT,
    Gate,
    at_once,
    call,
    many,
    metric,
    refusal,
    refused,
    wait_for,
)
from tests.cloud.lambda_functions import ECHO, Bench, unique
from tests.cloud_process import CloudProcess

INVALID = ("InvalidParameterValueException", 400)
CONFLICT = ("ResourceConflictException", 409)


@pytest.fixture(scope="module")
def bench(cloud: CloudProcess) -> Bench:
    return Bench(cloud)


def publish(bench: Bench, name: str) -> str:
    version = str(bench.client.publish_version(FunctionName=name)["Version"])
    bench.active(name, Qualifier=version)
    return version


def ready(bench: Bench, name: str, qualifier: str) -> dict[str, Any]:
    """The config once it is no longer in progress."""

    def done() -> Any:
        config = bench.client.get_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier)
        return config if config["Status"] != "IN_PROGRESS" else None

    return dict(wait_for(done, "the pool"))


def provision(bench: Bench, name: str, qualifier: str, count: int) -> dict[str, Any]:
    bench.client.put_provisioned_concurrency_config(
        FunctionName=name, Qualifier=qualifier, ProvisionedConcurrentExecutions=count
    )
    return ready(bench, name, qualifier)


def through(client: Any, name: str, gate: Gate, **request: Any) -> Callable[[int], str]:
    """A call that waits at the gate; its answer, or the reason of its refusal."""

    def invoke(number: int) -> str:
        try:
            return str(call(client, name, gate.address(str(number)), **request))
        except ClientError as error:
            return str(error.response.get("Reason", error))

    return invoke


def test_nothing_runs_of_a_function_that_has_nothing_reserved(bench: Bench) -> None:
    name = bench.create(ECHO)
    bench.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    answer = refusal(many(bench.cloud, 1).invoke, FunctionName=name)
    assert (answer["Code"], answer["status"]) == ("TooManyRequestsException", 429)
    assert (answer["Reason"], answer["Type"], answer["Message"]) == (RESERVED, "User", "Rate Exceeded.")
    assert int(answer["headers"]["retry-after"]) >= 1
    wait_for(lambda: metric(bench.cloud, "Throttles", FunctionName=name) == 1, "the throttle's metric")
    assert metric(bench.cloud, "Invocations", FunctionName=name) == 0
    bench.client.delete_function_concurrency(FunctionName=name)
    assert call(bench.client, name, 1) == 1


def test_two_hundred_calls_at_once_are_counted_exactly(bench: Bench) -> None:
    """Twenty places: twenty of the calls get one, each of the others is told why not, and then all places are free."""
    name = bench.create(AT_THE_GATE, Timeout=PATIENT)
    bench.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=20)
    client = many(bench.cloud, 200)
    refusals: list[str] = []
    with Gate() as gate, ThreadPoolExecutor(200) as pool:
        calls = [pool.submit(through(client, name, gate), number) for number in range(200)]
        for each in calls:
            each.add_done_callback(lambda done: refusals.append(done.result()))
        wait_for(lambda: len(gate.arrived) == 20 and len(refusals) == 180, "20 at the gate and 180 refused")
        assert set(refusals) == {RESERVED}
        gate.open()
        answers = [each.result() for each in calls]
    assert sorted(answers) == [RESERVED] * 180 + ["on-demand"] * 20
    with Gate() as gate:
        gate.open()
        assert at_once(20, through(client, name, gate)) == ["on-demand"] * 20
    wait_for(lambda: metric(bench.cloud, "Invocations", FunctionName=name) == 40, "forty invocations")
    assert metric(bench.cloud, "Throttles", FunctionName=name) == 180
    assert metric(bench.cloud, "ConcurrentExecutions", "Maximum", FunctionName=name) == 20


def test_what_a_deleted_function_had_reserved_is_free_again(bench: Bench) -> None:
    name = bench.create(ECHO)

    def unreserved() -> int:
        return int(bench.client.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"])

    before = unreserved()
    bench.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=50)
    assert unreserved() == before - 50
    bench.client.delete_function(FunctionName=name)
    assert unreserved() == before


def test_functions_without_a_reservation_share_what_is_left() -> None:
    reserved = {"own": 30}
    counter = Concurrency(100, lambda _: reserved)
    counter.allot("here", "warm", "1", 20)
    assert counter.unreserved_limit("here") == 50
    slots = [counter.enter("here", f"function-{number % 7}", "1", 0) for number in range(50)]
    with pytest.raises(AwsError) as caught:
        counter.enter("here", "another", "1", 0)
    assert (caught.value.status, caught.value.members["Reason"]) == (429, ACCOUNT)
    # What is reserved, what is provisioned and another region are none of their business.
    own = [counter.enter("here", "own", "1", 0) for _ in range(30)]
    warm = [counter.enter("here", "warm", "1", 20) for _ in range(20)]
    assert all(slot.provisioned for slot in warm)
    counter.leave(counter.enter("there", "another", "1", 0))
    with pytest.raises(AwsError):
        counter.enter("here", "warm", "1", 20)
    for slot in (*slots, *own, *warm):
        counter.leave(slot)
    assert counter.enter("here", "another", "1", 0).region_running == 1


def test_provisioned_concurrency_of_a_reserved_function_is_part_of_it() -> None:
    counter = Concurrency(1000, lambda _: {"own": 5})
    counter.allot("here", "own", "1", 3)
    assert counter.unreserved_limit("here") == 995
    slots = [counter.enter("here", "own", "1", 3) for _ in range(5)]
    assert [slot.provisioned for slot in slots] == [True, True, True, False, False]
    counter.leave(slots[0])
    with pytest.raises(AwsError) as caught:
        counter.enter("here", "own", "2", 0)
    assert caught.value.members["Reason"] == RESERVED
    assert counter.enter("here", "own", "1", 3).provisioned


def test_provisioned_environments_come_first_and_the_rest_spills_over(bench: Bench) -> None:
    name = bench.create(AT_THE_GATE, Timeout=PATIENT)
    version = publish(bench, name)
    asked = bench.client.put_provisioned_concurrency_config(
        FunctionName=name, Qualifier=version, ProvisionedConcurrentExecutions=2
    )
    assert asked["Status"] == "IN_PROGRESS"
    assert asked["RequestedProvisionedConcurrentExecutions"] == 2
    config = ready(bench, name, version)
    assert config["Status"] == "READY"
    assert config["AllocatedProvisionedConcurrentExecutions"] == 2
    assert config["AvailableProvisionedConcurrentExecutions"] == 2
    client = many(bench.cloud, 3)
    with Gate() as gate, ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(through(client, name, gate, Qualifier=version), number) for number in range(3)]
        wait_for(lambda: len(gate.arrived) == 3, "three at the gate")
        gate.open()
        answers = sorted(each.result() for each in calls)
    assert answers == ["on-demand", "provisioned-concurrency", "provisioned-concurrency"]
    with Gate() as gate:
        gate.open()
        assert through(client, name, gate, Qualifier=version)(0) == "provisioned-concurrency"
    where = {"FunctionName": name, "Resource": f"{name}:{version}"}
    wait_for(lambda: metric(bench.cloud, "ProvisionedConcurrencyInvocations", **where) == 3, "the metrics")
    assert metric(bench.cloud, "ProvisionedConcurrencySpilloverInvocations", **where) == 1
    assert metric(bench.cloud, "ProvisionedConcurrencyUtilization", "Maximum", **where) == 1.0
    assert metric(bench.cloud, "ProvisionedConcurrentExecutions", "Maximum", **where) == 2


def test_no_call_on_provisioned_concurrency_waits_for_an_initialisation(bench: Bench) -> None:
    name = bench.create("import time\nmade = time.time()\ndef handler(event, context):\n    return made\n")
    version = publish(bench, name)
    provision(bench, name, version, 3)
    first = bench.client.invoke(FunctionName=name, Qualifier=version, LogType="Tail")
    assert b"Init Duration" not in _tail(first)
    cold = bench.client.invoke(FunctionName=name, LogType="Tail")
    assert b"Init Duration" in _tail(cold)


def _tail(answer: dict[str, Any]) -> bytes:
    return base64.b64decode(answer["LogResult"])


def test_the_pool_of_an_alias_follows_the_alias(bench: Bench) -> None:
    name = bench.create("import os\ndef handler(event, context):\n    return [context.function_version, os.getpid()]\n")
    first = publish(bench, name)
    bench.client.update_function_configuration(FunctionName=name, Description="second")
    bench.active(name)
    second = publish(bench, name)
    alias = {"FunctionName": name, "Name": "live"}
    bench.client.create_alias(**alias, FunctionVersion=first)
    assert provision(bench, name, "live", 1)["Status"] == "READY"
    assert call(bench.client, name, Qualifier="live")[0] == first
    bench.client.update_alias(**alias, FunctionVersion=second)
    assert ready(bench, name, "live")["AvailableProvisionedConcurrentExecutions"] == 1
    assert call(bench.client, name, Qualifier="live")[0] == second
    where = {"FunctionName": name, "Resource": f"{name}:live"}
    wait_for(lambda: metric(bench.cloud, "ProvisionedConcurrencyInvocations", **where) == 2, "both on the pool")
    bench.client.delete_alias(**alias)
    gone = {"FunctionName": name, "Qualifier": "live"}
    assert refused(bench.client.get_provisioned_concurrency_config, **gone) == ("ResourceNotFoundException", 404)
    listed = bench.client.list_provisioned_concurrency_configs(FunctionName=name)
    assert listed["ProvisionedConcurrencyConfigs"] == []


def test_pools_grow_shrink_and_end(bench: Bench) -> None:
    name = bench.create(ECHO)
    version = publish(bench, name)
    for count in (1, 3, 2):
        config = provision(bench, name, version, count)
        assert config["RequestedProvisionedConcurrentExecutions"] == count
        assert config["AvailableProvisionedConcurrentExecutions"] == count
    listed = bench.client.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"]
    assert [(each["FunctionArn"], each["Status"]) for each in listed] == [(bench.arn(name, version), "READY")]
    which = {"FunctionName": name, "Qualifier": version}
    bench.client.delete_provisioned_concurrency_config(**which)
    missing = ("ProvisionedConcurrencyConfigNotFoundException", 404)
    assert refused(bench.client.get_provisioned_concurrency_config, **which) == missing
    assert call(bench.client, name, "still", Qualifier=version) == "still"


def test_an_initialisation_that_fails_is_the_status_of_the_pool(bench: Bench) -> None:
    name = bench.create("raise RuntimeError('no weights')\n")
    version = publish(bench, name)
    config = provision(bench, name, version, 2)
    assert (config["Status"], config["StatusReason"]) == ("FAILED", "FUNCTION_ERROR_INIT_FAILURE")
    assert config["AvailableProvisionedConcurrentExecutions"] == 0


def test_provisioned_concurrency_is_for_published_versions_and_plain_aliases(bench: Bench) -> None:
    name = bench.create(ECHO)
    version = publish(bench, name)
    bench.client.update_function_configuration(FunctionName=name, Description="second")
    bench.active(name)
    other = publish(bench, name)
    put = bench.client.put_provisioned_concurrency_config
    one = {"FunctionName": name, "ProvisionedConcurrentExecutions": 1}
    assert refused(put, **one, Qualifier="$LATEST") == INVALID
    bench.client.create_alias(FunctionName=name, Name="latest", FunctionVersion="$LATEST")
    assert refused(put, **one, Qualifier="latest") == INVALID
    routing = {"AdditionalVersionWeights": {other: 0.1}}
    bench.client.create_alias(FunctionName=name, Name="split", FunctionVersion=version, RoutingConfig=routing)
    answer = refusal(put, **one, Qualifier="split")
    assert answer["Message"] == "Alias with weights can not be used with Provisioned Concurrency"
    assert refused(put, **one, Qualifier="missing") == ("ResourceNotFoundException", 404)
    assert refused(put, **{**one, "FunctionName": unique()}, Qualifier="1") == ("ResourceNotFoundException", 404)
    bench.client.create_alias(FunctionName=name, Name="live", FunctionVersion=version)
    provision(bench, name, version, 1)
    assert refused(put, **one, Qualifier="live") == CONFLICT
    bench.client.delete_provisioned_concurrency_config(FunctionName=name, Qualifier=version)
    provision(bench, name, "live", 1)
    assert refused(put, **one, Qualifier=version) == CONFLICT


def test_more_than_is_reserved_or_left_cannot_be_provisioned(bench: Bench) -> None:
    name = bench.create(ECHO)
    which = {"FunctionName": name, "Qualifier": publish(bench, name)}
    put = bench.client.put_provisioned_concurrency_config
    settings = bench.client.get_account_settings()["AccountLimit"]
    free = settings["UnreservedConcurrentExecutions"]
    assert refused(put, **which, ProvisionedConcurrentExecutions=free + 1) == INVALID
    answer = refusal(put, **which, ProvisionedConcurrentExecutions=free - 99)
    assert answer["Message"].endswith("below its minimum value of [100].")
    bench.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=2)
    answer = refusal(put, **which, ProvisionedConcurrentExecutions=3)
    assert "should not be greater than the reservedConcurrentExecution" in answer["Message"]
    bench.client.put_provisioned_concurrency_config(**which, ProvisionedConcurrentExecutions=2)
    assert ready(bench, name, which["Qualifier"])["Status"] == "READY"
    reserve = {"FunctionName": name, "ReservedConcurrentExecutions": 1}
    assert refused(bench.client.put_function_concurrency, **reserve) == INVALID
