"""The loop of alarms inside one process: what it calls and when, many alarms at once, and its place in time."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from sagehound.localcloud.call import Operation
from sagehound.localcloud.cloud import Cloud
from sagehound.localcloud.services.cloudwatch.alarm_actions import AlarmEvent
from sagehound.localcloud.services.cloudwatch.alarm_loop import SETTLE, step_of
from sagehound.localcloud.services.cloudwatch.alarm_table import Alarm, AlarmTable
from sagehound.localcloud.services.cloudwatch.service import CloudWatch
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store
from sagehound.settings import LocalCloudSettings
from tests.cloud.alarms import breaching, evaluating

REGION = "us-east-1"
POLICY = "arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:dogs"
SPEED = 600.0
"""A minute in a tenth of a second."""
LIMIT = 60.0
"""Real seconds after which what was waited for will not come any more."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "cloud.sqlite")
    yield store
    store.close()


def calling(name: str, **members: Any) -> dict[str, Any]:
    """An alarm that calls a policy at once."""
    return breaching(name, **{"AlarmActions": [POLICY], **members})


class Policies:
    """Whom alarms call, with what they were told."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[AlarmEvent] = asyncio.Queue()

    def __call__(self, event: AlarmEvent) -> None:
        self.events.put_nowait(event)

    async def next(self) -> AlarmEvent:
        async with asyncio.timeout(LIMIT):
            return await self.events.get()


def minutes_between(begun: float, ended: float) -> int:
    """How many minutes have ended from then till then, as the loop sees them."""
    return int(ended // 60) - int((begun - SETTLE * SPEED) // 60)


def history(store: Store, name: str) -> list[tuple[str, str]]:
    rows = store.execute("SELECT summary, data FROM alarm_history WHERE name = ? ORDER BY id", (name,))
    return [(row["summary"], row["data"]) for row in rows]


async def test_scaling_policies_are_called_at_the_change_and_each_minute_after(store: Store) -> None:
    clock = Clock(SPEED)
    cloudwatch, policies = CloudWatch(store, clock, "123456789012"), Policies()
    cloudwatch.alarms.add_action("arn:aws:autoscaling:", policies)
    async with evaluating(cloudwatch):
        begun = clock.time()
        arn = cloudwatch.alarms.put(REGION, calling("high"))
        first, second, third = [await policies.next() for _ in range(3)]
    assert 3 + policies.events.qsize() <= minutes_between(begun, clock.time()), "once for each minute"
    assert (first.previous, second.previous, third.previous) == ("INSUFFICIENT_DATA", "ALARM", "ALARM")
    assert (first.region, first.name, first.arn, first.action_arn) == (REGION, "high", arn, POLICY)
    assert (first.state, first.metric_value) == ("ALARM", None)
    assert "no datapoints were received" in first.reason
    assert [summary for summary, _ in history(store, "high")] == [
        'Alarm "high" created',
        "Alarm updated from INSUFFICIENT_DATA to ALARM",
        f"Successfully executed action {POLICY}",
    ]


async def test_nothing_is_called_without_enabled_actions_or_in_another_state(store: Store) -> None:
    cloudwatch, policies = CloudWatch(store, Clock(SPEED), "123456789012"), Policies()
    cloudwatch.alarms.add_action("arn:aws:autoscaling:", policies)
    async with evaluating(cloudwatch):
        cloudwatch.alarms.put(REGION, calling("disabled", ActionsEnabled=False))
        cloudwatch.alarms.put(REGION, calling("fine", TreatMissingData="notBreaching"))
        cloudwatch.alarms.put(REGION, calling("high"))
        names = {(await policies.next()).name for _ in range(3)}
    assert names == {"high"}
    states = {alarm.name: alarm.state for alarm in AlarmTable(store).all()}
    assert states == {"disabled": "ALARM", "fine": "OK", "high": "ALARM"}


async def test_an_action_that_fails_is_told_and_stops_nobody(store: Store) -> None:
    cloudwatch, policies = CloudWatch(store, Clock(SPEED), "123456789012"), Policies()

    def broken(event: AlarmEvent) -> None:
        raise ValueError(f"no policy for {event.name}")

    cloudwatch.alarms.add_action("arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:broken", broken)
    cloudwatch.alarms.add_action(POLICY, policies)
    async with evaluating(cloudwatch):
        cloudwatch.alarms.put(REGION, calling("a", AlarmActions=[POLICY.replace("dogs", "broken"), POLICY]))
        for _ in range(2):
            await policies.next()
    summary, data = history(store, "a")[2]
    assert summary.startswith("Failed to execute action")
    assert json.loads(data)["error"] == "ValueError: no policy for a"


async def test_an_alarm_that_cannot_be_evaluated_stops_nobody(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    cloudwatch, policies = CloudWatch(store, Clock(SPEED), "123456789012"), Policies()
    cloudwatch.alarms.add_action("arn:aws:autoscaling:", policies)
    async with evaluating(cloudwatch):
        cloudwatch.alarms.put(REGION, calling("a"))
        metric = cloudwatch.alarms.describe(REGION, "a") or {}
        del metric["Threshold"]
        AlarmTable(store).put(Alarm(REGION, metric))
        cloudwatch.alarms.put(REGION, calling("b"))
        names = {(await policies.next()).name for _ in range(2)}
    assert names == {"b"}
    assert "alarm a is not evaluated" in caplog.text


async def test_the_value_that_a_policy_is_told_and_values_that_come_late(store: Store) -> None:
    """The points of the evaluation range are read anew each time, so a value that was late still counts."""
    clock = Clock(SPEED)
    cloudwatch, policies = CloudWatch(store, clock, "123456789012"), Policies()
    cloudwatch.alarms.add_action("arn:aws:autoscaling:", policies)
    async with evaluating(cloudwatch):
        cloudwatch.alarms.put(REGION, calling("late", TreatMissingData="missing", Period=3600, DatapointsToAlarm=1))
        earlier = clock.now() - timedelta(minutes=30)
        cloudwatch.put(REGION, "N", "m", 7.5, {}, earlier)
        event = await policies.next()
    assert event.metric_value == 7.5


async def test_a_thousand_alarms_are_each_evaluated_every_minute(store: Store) -> None:
    """On the clock of a demonstration; each of them once at the end of a minute, none before its time."""
    clock = Clock(60)
    cloudwatch = CloudWatch(store, clock, "123456789012")
    seen: dict[str, int] = defaultdict(int)
    enough = asyncio.Event()

    def called(event: AlarmEvent) -> None:
        seen[event.name] += 1
        if len(seen) == 1000 and min(seen.values()) >= 3:
            enough.set()

    cloudwatch.alarms.add_action("arn:aws:autoscaling:", called)
    with store.transaction():
        for number in range(1000):
            cloudwatch.alarms.put(REGION, calling(f"alarm-{number:04}", MetricName=f"m{number}"))
    begun = clock.time()
    async with evaluating(cloudwatch):
        async with asyncio.timeout(LIMIT):
            await enough.wait()
    assert max(seen.values()) <= minutes_between(begun, clock.time()), "two evaluations of one minute"


class Slow:
    """A service that takes three periods of an alarm to start and to stop."""

    name = "slow"
    operations: ClassVar[dict[str, Operation]] = {}

    def __init__(self, clock: Clock, told: list[str]) -> None:
        self._clock = clock
        self._told = told

    async def start(self) -> None:
        await self._clock.sleep(180)
        self._told.append("started")

    async def stop(self) -> None:
        self._told.append("stops")
        await self._clock.sleep(180)


async def test_alarms_act_only_while_all_services_are_up(tmp_path: Path) -> None:
    cloud = Cloud(LocalCloudSettings(speed=SPEED), tmp_path, lambda: "http://127.0.0.1:1")
    told: list[str] = []
    acted = asyncio.Event()
    cloudwatch = cloud.services["cloudwatch"]
    assert isinstance(cloudwatch, CloudWatch)

    def called(event: AlarmEvent) -> None:
        told.append(event.name)
        acted.set()

    cloudwatch.alarms.add_action("arn:aws:sns:", called)
    cloudwatch.alarms.put(REGION, calling("high", AlarmActions=["arn:aws:sns:us-east-1:123456789012:dogs"]))
    cloud.services["slow"] = Slow(cloud.clock, told)
    await cloud.start()
    try:
        async with asyncio.timeout(LIMIT):
            await acted.wait()
    finally:
        await cloud.stop()
    assert told[0] == "started"
    assert told[-1] == "stops"
    assert set(told[1:-1]) == {"high"}


async def test_an_alarm_that_is_deleted_or_made_meanwhile(store: Store) -> None:
    cloudwatch, policies = CloudWatch(store, Clock(SPEED), "123456789012"), Policies()
    cloudwatch.alarms.add_action("arn:aws:autoscaling:", policies)
    async with evaluating(cloudwatch):
        cloudwatch.alarms.put(REGION, calling("first"))
        assert (await policies.next()).name == "first"
        cloudwatch.alarms.delete(REGION, ["first", "nobody"])
        cloudwatch.alarms.put(REGION, calling("second", Period=10))
        while not policies.events.empty():
            policies.events.get_nowait()
        assert {(await policies.next()).name for _ in range(3)} == {"second"}
    assert cloudwatch.alarms.describe(REGION, "first") is None


def test_a_transaction_that_is_rolled_back_leaves_no_alarm_and_loses_none(store: Store) -> None:
    cloudwatch = CloudWatch(store, Clock(), "123456789012")
    cloudwatch.alarms.put(REGION, calling("there"))
    with pytest.raises(ValueError, match="not after all"), store.transaction():
        cloudwatch.alarms.put(REGION, calling("new"))
        cloudwatch.alarms.put(REGION, calling("there", Threshold=7.0, ActionsEnabled=False))
        cloudwatch.alarms.delete(REGION, ["there"])
        raise ValueError("not after all")
    assert cloudwatch.alarms.describe(REGION, "new") is None
    (kept,) = cloudwatch.alarms.with_action(REGION, POLICY)
    assert (kept["AlarmName"], kept["Threshold"], kept["ActionsEnabled"]) == ("there", 5.0, True)
    assert len(history(store, "there")) == 1


def test_what_application_auto_scaling_looks_up(store: Store) -> None:
    cloudwatch = CloudWatch(store, Clock(), "123456789012")
    for name, actions in (("b", [POLICY]), ("a", [POLICY + "-more"]), ("c", [])):
        cloudwatch.alarms.put(REGION, calling(name, AlarmActions=actions))
    assert [alarm["AlarmName"] for alarm in cloudwatch.alarms.with_action(REGION, POLICY)] == ["a", "b"]
    assert cloudwatch.alarms.with_action("eu-west-1", POLICY) == []
    described = cloudwatch.alarms.describe(REGION, "b")
    assert described is not None
    assert described["StateValue"] == "INSUFFICIENT_DATA"


@pytest.mark.parametrize(
    ("period", "periods", "step"),
    [(10, 3, 10), (30, 1, 30), (60, 15, 60), (300, 3, 60), (3600, 24, 60), (3600, 48, 3600)],
)
def test_how_often_an_alarm_is_evaluated(period: int, periods: int, step: int) -> None:
    assert step_of(Alarm(REGION, {"Period": period, "EvaluationPeriods": periods})) == step
