"""Alarms and what goes wrong: kill -9 in the middle of evaluations, a store that cannot be written."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sagehound.localcloud.services.cloudwatch.alarm_actions import AlarmEvent
from sagehound.localcloud.services.cloudwatch.alarm_table import KIND
from sagehound.localcloud.services.cloudwatch.service import CloudWatch
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store
from tests.cloud.alarms import breaching, evaluating
from tests.cloud_process import START_LIMIT, CloudProcess

REGION = "us-east-1"
POLICY = "arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:dogs"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "cloud.sqlite")
    yield store
    store.close()


def states(cloudwatch: Any) -> dict[str, str]:
    pages = cloudwatch.get_paginator("describe_alarms").paginate()
    return {alarm["AlarmName"]: alarm["StateValue"] for page in pages for alarm in page["MetricAlarms"]}


def kept_and_told(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The states in the files that a killed server has left: as records, and as their history tells them."""
    store = Store(folder / "cloud.sqlite")
    kept = {record["MetricAlarm"]["AlarmName"]: record["MetricAlarm"]["StateValue"] for record in store.list(KIND)}
    told: dict[str, str] = {}
    for row in store.execute("SELECT * FROM alarm_history ORDER BY id"):
        data = json.loads(row["data"])
        if row["type"] == "StateUpdate":
            told[row["name"]] = data["newState"]["stateValue"]
        elif data.get("type") == "Create":
            told[row["name"]] = "INSUFFICIENT_DATA"
    store.close()
    return kept, told


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_LIMIT
    while not condition():
        assert time.monotonic() < deadline, "it did not become true"
        time.sleep(0.02)


def test_kill_9_loses_no_alarm_and_no_state_without_its_history(fast_cloud: CloudProcess) -> None:
    cloudwatch = fast_cloud.client("cloudwatch")
    names = [f"alarm-{number:03}" for number in range(100)]
    for name in names:
        cloudwatch.put_metric_alarm(**breaching(name, Tags=[{"Key": "made", "Value": "before"}]))
    until(lambda: "ALARM" in states(cloudwatch).values())
    for round_number in range(3):
        cloudwatch.set_alarm_state(AlarmName=names[0], StateValue="OK", StateReason=f"round {round_number}")
        for name in names[1::2]:
            treat = "notBreaching" if round_number % 2 == 0 else "breaching"
            cloudwatch.put_metric_alarm(**breaching(name, TreatMissingData=treat))
        fast_cloud.kill()
        kept, told = kept_and_told(fast_cloud.data_dir)
        assert list(kept) == names
        assert told == kept
        fast_cloud.start()
        assert list(states(cloudwatch)) == names
    arn = cloudwatch.describe_alarms(AlarmNames=[names[1]])["MetricAlarms"][0]["AlarmArn"]
    assert cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "made", "Value": "before"}]


def test_evaluation_goes_on_after_a_restart(fast_cloud: CloudProcess) -> None:
    cloudwatch = fast_cloud.client("cloudwatch")
    cloudwatch.put_metric_alarm(**breaching("high"))
    until(lambda: states(cloudwatch) == {"high": "ALARM"})
    for kill, before, treat, after in ((True, "ALARM", "notBreaching", "OK"), (False, "OK", "breaching", "ALARM")):
        fast_cloud.restart(kill=kill)
        assert states(cloudwatch) == {"high": before}
        cloudwatch.put_metric_alarm(**breaching("high", TreatMissingData=treat))
        until(lambda wanted=after: states(cloudwatch) == {"high": wanted})  # type: ignore[misc]


async def test_a_store_that_cannot_be_written_delays_a_state_and_ends_nothing(store: Store) -> None:
    clock = Clock(600)
    cloudwatch = CloudWatch(store, clock, "123456789012")
    called: asyncio.Queue[AlarmEvent] = asyncio.Queue()
    cloudwatch.alarms.add_action("arn:aws:autoscaling:", called.put_nowait)
    cloudwatch.alarms.put(REGION, breaching("high", AlarmActions=[POLICY], TreatMissingData="notBreaching"))
    cloudwatch.alarms.put(REGION, breaching("witness", AlarmActions=[], OKActions=[POLICY]))
    cloudwatch.alarms.put(REGION, breaching("reader", OKActions=[POLICY], TreatMissingData="notBreaching"))
    async with evaluating(cloudwatch):
        async with asyncio.timeout(START_LIMIT):
            assert (await called.get()).name == "reader"
            cloudwatch.alarms.put(REGION, breaching("high", AlarmActions=[POLICY]))
            store.execute("PRAGMA query_only = ON")
            while not called.empty():
                called.get_nowait()
            seen = [(await called.get()).name for _ in range(3)]
            assert set(seen) == {"reader"}, "what needs no write goes on, and nothing acts on a state that is not kept"
            described = cloudwatch.alarms.describe(REGION, "high")
            assert described is not None
            assert described["StateValue"] == "OK"
            store.execute("PRAGMA query_only = OFF")
            while (event := await called.get()).name != "high":
                pass
            assert (event.previous, event.state) == ("OK", "ALARM")


async def test_a_policy_that_changes_its_own_alarms_while_it_is_called(store: Store) -> None:
    """Application Auto Scaling deletes and makes alarms on the event loop that evaluates them."""
    clock = Clock(600)
    cloudwatch = CloudWatch(store, clock, "123456789012")
    done = asyncio.Event()

    def called(event: AlarmEvent) -> None:
        cloudwatch.alarms.delete(REGION, [event.name])
        if event.name == "again":
            done.set()
        else:
            cloudwatch.alarms.put(REGION, breaching("again", AlarmActions=[POLICY]))

    cloudwatch.alarms.add_action("arn:aws:autoscaling:", called)
    cloudwatch.alarms.put(REGION, breaching("first", AlarmActions=[POLICY]))
    cloudwatch.alarms.put(REGION, breaching("second", AlarmActions=[POLICY]))
    async with evaluating(cloudwatch):
        async with asyncio.timeout(START_LIMIT):
            await done.wait()
    assert cloudwatch.alarms.with_action(REGION, POLICY) == []
