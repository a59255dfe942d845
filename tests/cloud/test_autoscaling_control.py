"""The controller on a plain scalable resource: what it asks for, in which order, and what it tells of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from sagehound.localcloud.call import Call, Caller, HttpRequest
from sagehound.localcloud.errors import AwsError, validation
from sagehound.localcloud.scaling.alarm import ALARM
from sagehound.localcloud.services.application_autoscaling.needs import Listener
from sagehound.localcloud.services.application_autoscaling.service import ApplicationAutoScaling
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store

REGION, ACCOUNT = "us-east-1", "123456789012"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
TARGET = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/dogs/variant/AllTraffic",
    "ScalableDimension": DIMENSION,
}


@dataclass
class Fleet:
    """A resource whose changes end when the test says so."""

    minimum: int = 0
    current: int = 1
    desired: int = 1
    refuses: str = ""
    busy: bool = False
    asked: list[int] = field(default_factory=list)
    listeners: list[Listener] = field(default_factory=list)

    def capacity(self, region: str, resource_id: str) -> tuple[int, int, bool]:
        return self.current, self.desired, self.busy or (self.current != self.desired and not self.refuses)

    def set_desired(self, region: str, resource_id: str, count: int) -> None:
        if self.busy:
            raise validation("Cannot update in-progress endpoint.")
        self.asked.append(count)
        self.desired = count

    def check(self, region: str, resource_id: str) -> None:
        pass

    def add_listener(self, listener: Listener) -> None:
        self.listeners.append(listener)

    async def get_there(self, current: int, failure: str = "") -> None:
        """So many serve; everybody is told."""
        self.current, self.refuses, self.busy = current, failure, False
        for listener in self.listeners:
            listener(REGION, TARGET["ResourceId"], failure)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


@dataclass
class Event:
    """An alarm that calls."""

    name: str
    action_arn: str
    at: datetime
    region: str = REGION
    state: str = ALARM


@dataclass
class Alarms:
    """Alarms whose values the test sets by the name of their metric."""

    clock: Clock
    made: dict[str, dict[str, Any]] = field(default_factory=dict)
    metrics: dict[str, list[float | None]] = field(default_factory=dict)
    callback: Any = None

    def put(self, region: str, alarm: dict[str, Any], *, managed_by: str) -> str:
        self.made[alarm["AlarmName"]] = alarm
        return f"arn:aws:cloudwatch:{region}:{ACCOUNT}:alarm:{alarm['AlarmName']}"

    def delete(self, region: str, names: list[str]) -> None:
        for name in names:
            self.made.pop(name, None)

    def describe(self, region: str, name: str) -> dict[str, Any] | None:
        return self.made.get(name)

    def with_action(self, region: str, prefix: str) -> list[dict[str, Any]]:
        return [alarm for alarm in self.made.values() if alarm["AlarmActions"][0].startswith(prefix)]

    def values(self, region: str, name: str, count: int, now: float) -> list[float | None] | None:
        alarm = self.made.get(name)
        return None if alarm is None else self.metrics.get(alarm["MetricName"], [])[-count:]

    def add_action(self, prefix: str, callback: Any) -> None:
        self.callback = callback

    def call(self, kind: str, metric: str) -> str:
        """Call the policy of the high or low alarm on a metric; the alarm's name."""
        name = next(name for name, alarm in self.made.items() if kind in name and alarm["MetricName"] == metric)
        self.callback(Event(name, self.made[name]["AlarmActions"][0], self.clock.now()))
        return name


class World:
    """The service over a store, with one fleet."""

    def __init__(self, path: Path, fleet: Fleet | None = None) -> None:
        self.store = Store(path)
        self.clock = Clock()
        self.fleet = fleet or Fleet()
        self.alarms = Alarms(self.clock)
        self.service = ApplicationAutoScaling(
            self.store, self.clock, ACCOUNT, scalables={DIMENSION: self.fleet}, alarms=self.alarms
        )

    def __call__(self, operation: str, **request: Any) -> dict[str, Any]:
        """One operation."""

        async def nothing() -> AsyncIterator[bytes]:
            yield b""

        http = HttpRequest("POST", "/", "", {}, "http", "127.0.0.1", nothing)
        caller = Caller("arn:aws:iam::123456789012:root", ACCOUNT, ACCOUNT, "AKIA", is_root=True)
        call = Call("application-autoscaling", operation, REGION, ACCOUNT, caller, "id", http)
        answer: Any = self.service.operations[operation](call, request)
        return dict(answer)

    def track(self, metric: str, target: float = 10.0, **members: Any) -> None:
        """A policy on a metric of one's own, named after it."""
        specification = {"Namespace": "Dogs", "MetricName": metric, "Statistic": "Average"}
        self(
            "PutScalingPolicy",
            **TARGET,
            PolicyName=metric.lower(),
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": target,
                "CustomizedMetricSpecification": specification,
                "ScaleInCooldown": 0,
                "ScaleOutCooldown": 0,
                **members,
            },
        )

    def activities(self, *, everything: bool = False) -> list[dict[str, Any]]:
        """The newest first."""
        found = self("DescribeScalingActivities", ServiceNamespace="sagemaker", IncludeNotScaledActivities=everything)
        return list(found["ScalingActivities"])


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Registered from 1 to 4."""
    world = World(tmp_path / "cloud.sqlite")
    await world.service.start()
    world("RegisterScalableTarget", **TARGET, MinCapacity=1, MaxCapacity=4)
    yield world
    await world.service.stop()
    world.store.close()


async def test_an_activity_ends_when_the_resource_has_got_there(world: World) -> None:
    world.track("Wait")
    world.alarms.metrics["Wait"] = [25.0] * 3
    name = world.alarms.call("High", "Wait")
    assert world.fleet.asked == [3]
    (activity,) = world.activities()
    assert (activity["StatusCode"], activity["Description"]) == ("InProgress", "Setting desired instance count to 3.")
    assert activity["Cause"] == f"monitor alarm {name} in state ALARM triggered policy wait"
    await world.fleet.get_there(2)
    assert world.activities()[0]["StatusCode"] == "InProgress"
    await world.fleet.get_there(3)
    assert world.activities()[0]["StatusCode"] == "Successful"


async def test_a_newer_change_overrides_the_one_before(world: World) -> None:
    world("RegisterScalableTarget", **TARGET, MinCapacity=2)
    world("RegisterScalableTarget", **TARGET, MinCapacity=3)
    newer, older = world.activities()
    assert (older["StatusCode"], newer["StatusCode"]) == ("Overridden", "InProgress")
    assert older["StatusMessage"] == "Successfully set desired instance count to 2. Found it was later changed to 3."
    await world.fleet.get_there(3)
    assert [one["StatusCode"] for one in world.activities()] == ["Successful", "Overridden"]


async def test_what_cannot_be_fulfilled_is_told_with_its_reason(world: World) -> None:
    world("RegisterScalableTarget", **TARGET, MinCapacity=3)
    await world.fleet.get_there(2, "there is no more memory")
    (activity,) = world.activities()
    assert activity["StatusCode"] == "Unfulfilled"
    assert activity["StatusMessage"].endswith(": 2 of 3 serve. Reason: there is no more memory")


async def test_bounds_wait_for_a_change_that_is_under_way_and_policies_say_why_not(world: World) -> None:
    world.track("Wait")
    world.fleet.busy = True
    world.alarms.metrics["Wait"] = [25.0] * 3
    for _ in range(3):
        world.alarms.call("High", "Wait")
    (told,) = world.activities(everything=True)
    assert told["NotScaledReasons"] == [{"Code": "TargetServicePutResourceAsUnscalable", "CurrentCapacity": 1}]
    assert told["Details"] == "Cannot update in-progress endpoint."
    assert world.activities() == []
    world("RegisterScalableTarget", **TARGET, MinCapacity=2)
    assert world.activities()[0]["StatusCode"] == "Pending"
    assert world.fleet.asked == []
    await world.fleet.get_there(1)
    assert world.fleet.asked == [2]
    await world.fleet.get_there(2)
    assert world.activities()[0]["StatusCode"] == "Successful"


async def test_of_two_policies_the_larger_scales_out_and_only_both_scale_in(world: World) -> None:
    world.track("Wait")
    world.track("Queue")
    world.alarms.metrics = {"Wait": [15.0] * 3, "Queue": [38.0] * 3}
    world.alarms.call("High", "Wait")
    assert world.fleet.asked == [4]
    assert "triggered policy queue" in world.activities()[0]["Cause"]
    await world.fleet.get_there(4)
    world.alarms.metrics = {"Wait": [0.1] * 20, "Queue": [9.5] * 20}
    world.alarms.call("Low", "Wait")
    assert world.fleet.asked == [4]


async def test_suspended_scale_in_leaves_the_capacity(world: World) -> None:
    world.fleet.current = world.fleet.desired = 3
    world.track("Wait")
    world.alarms.metrics["Wait"] = [0.0] * 20
    world("RegisterScalableTarget", **TARGET, SuspendedState={"DynamicScalingInSuspended": True})
    world.alarms.call("Low", "Wait")
    assert world.fleet.asked == []
    world("RegisterScalableTarget", **TARGET, SuspendedState={"DynamicScalingInSuspended": False})
    world.alarms.call("Low", "Wait")
    assert world.fleet.asked == [2]


async def test_the_same_reason_again_is_told_once(world: World) -> None:
    world.track("Wait")
    world.alarms.metrics["Wait"] = [0.0] * 20
    for _ in range(3):
        world.alarms.call("Low", "Wait")
    (told,) = world.activities(everything=True)
    assert told["NotScaledReasons"] == [{"Code": "AlreadyAtMinCapacity", "CurrentCapacity": 1, "MinCapacity": 1}]


async def test_an_alarm_that_was_deleted_scales_nothing(world: World) -> None:
    world.track("Wait")
    world.alarms.metrics["Wait"] = [25.0] * 3
    high = next(name for name in world.alarms.made if "AlarmHigh" in name)
    event = Event(high, world.alarms.made[high]["AlarmActions"][0], world.clock.now())
    world.alarms.delete(REGION, [high])
    world.alarms.callback(event)
    assert world.activities(everything=True) == []


@pytest.mark.parametrize(("served", "status", "asked"), [(3, "Successful", []), (1, "InProgress", [])])
async def test_a_new_start_takes_an_activity_up(tmp_path: Path, served: int, status: str, asked: list[int]) -> None:
    before = World(tmp_path / "cloud.sqlite")
    await before.service.start()
    before("RegisterScalableTarget", **TARGET, MinCapacity=3, MaxCapacity=4)
    await before.service.stop()
    before.store.close()
    after = World(tmp_path / "cloud.sqlite", Fleet(current=served, desired=3))
    await after.service.start()
    assert after.activities()[0]["StatusCode"] == status
    assert after.fleet.asked == asked
    await after.fleet.get_there(3)
    assert after.activities()[0]["StatusCode"] == "Successful"
    await after.service.stop()
    after.store.close()


async def test_a_refusal_ends_an_activity_in_aws_s_words(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AwsError("ResourceLimitExceeded", "The account-level service limit is 2 Instances.")

    monkeypatch.setattr(world.fleet, "set_desired", refuse)
    world("RegisterScalableTarget", **TARGET, MinCapacity=3)
    (activity,) = world.activities()
    assert activity["StatusCode"] == "Failed"
    assert activity["StatusMessage"] == (
        "Failed to set desired instance count to 3. Reason: The account-level service limit is 2 Instances."
    )


async def test_what_was_not_asked_for_before_the_end_is_asked_for_at_the_next_start(tmp_path: Path) -> None:
    before = World(tmp_path / "cloud.sqlite", Fleet(busy=True))
    await before.service.start()
    before("RegisterScalableTarget", **TARGET, MinCapacity=3, MaxCapacity=4)
    assert before.activities()[0]["StatusCode"] == "Pending"
    await before.service.stop()
    before.store.close()
    after = World(tmp_path / "cloud.sqlite")
    await after.service.start()
    assert after.fleet.asked == [3]
    await after.fleet.get_there(3)
    (activity,) = after.activities()
    assert activity["StatusCode"] == "Successful"
    await after.service.stop()
    after.store.close()
