"""The controller on a plain scalable resource: what it asks for, in which order, and what it tells of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sagehound.localcloud.errors import AwsError
from tests.cloud.scaling_world import REGION, TARGET, Event, World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Registered from 1 to 4."""
    world = World(tmp_path / "cloud.sqlite")
    await world.service.start()
    world("RegisterScalableTarget", **TARGET, MinCapacity=1, MaxCapacity=4)
    yield world
    await world.stop()


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


async def test_bounds_that_change_while_they_wait_are_not_asked_for(world: World) -> None:
    world.fleet.busy = True
    world("RegisterScalableTarget", **TARGET, MinCapacity=3)
    world("RegisterScalableTarget", **TARGET, MinCapacity=1, MaxCapacity=2)
    (activity,) = world.activities()
    assert activity["StatusCode"] == "Overridden"
    assert activity["StatusMessage"].endswith("The scalable target does not ask for it any more.")
    await world.fleet.get_there(1)
    assert world.fleet.asked == []


async def test_bounds_that_wait_are_those_of_the_end_of_the_wait(world: World) -> None:
    world.fleet.busy = True
    world("RegisterScalableTarget", **TARGET, MinCapacity=3)
    world("RegisterScalableTarget", **TARGET, MinCapacity=3, MaxCapacity=3)
    assert [one["StatusCode"] for one in world.activities()] == ["Pending"]
    world("RegisterScalableTarget", **TARGET, MinCapacity=2)
    assert [one["StatusCode"] for one in world.activities()] == ["Pending", "Overridden"]
    await world.fleet.get_there(1)
    assert world.fleet.asked == [2]


async def test_bounds_of_a_target_that_is_deregistered_are_not_asked_for(world: World) -> None:
    world.fleet.busy = True
    world("RegisterScalableTarget", **TARGET, MinCapacity=3)
    world("DeregisterScalableTarget", **TARGET)
    await world.fleet.get_there(1)
    assert world.fleet.asked == []
    assert world.activities()[0]["StatusCode"] == "Overridden"


async def test_step_scaling_in_waits_for_no_target_tracking(world: World) -> None:
    world.fleet.current = world.fleet.desired = 3
    world.track("Wait")
    world.step("fewer", "Queue", -1, 10.0)
    world.alarms.metrics = {"Wait": [9.5] * 20, "Queue": [5.0]}
    world.alarms.call("fewer", "Queue")
    assert world.fleet.asked == [2]
    assert world.activities()[0]["Cause"] == "monitor alarm fewer-alarm in state ALARM triggered policy fewer"


async def test_two_policies_that_take_turns_tell_each_reason_once(world: World) -> None:
    world.track("Wait")
    world.track("Queue")
    world.fleet.current = world.fleet.desired = 4
    world.alarms.metrics = {"Wait": [99.0] * 3, "Queue": [99.0] * 3}
    for _ in range(3):
        for metric in ("Wait", "Queue"):
            world.alarms.call("High", metric)
    told = world.activities(everything=True)
    assert ["queue" in one["Cause"] for one in told] == [True, False]
    world("RegisterScalableTarget", **TARGET, MaxCapacity=3)
    await world.fleet.get_there(3)
    world.alarms.call("High", "Wait")
    assert len(world.activities(everything=True)) == 4, "after a change it is told anew"


async def test_the_policy_that_is_called_tells_why_it_does_not_scale(world: World) -> None:
    world.track("Alpha")
    world.track("Zulu")
    world.fleet.current = world.fleet.desired = 4
    world.alarms.metrics = {"Alpha": [8.0] * 20, "Zulu": [99.0] * 3}
    world.alarms.call("High", "Zulu")
    (told,) = world.activities(everything=True)
    assert told["NotScaledReasons"] == [{"Code": "AlreadyAtMaxCapacity", "CurrentCapacity": 4, "MaxCapacity": 4}]


async def test_points_from_before_a_scale_out_that_was_overridden_count_for_the_capacity_before(world: World) -> None:
    world("RegisterScalableTarget", **TARGET, MaxCapacity=50)
    world.track("Wait", 20.0)
    for value, desired in ((60.0, 3), (100.0, 5)):
        world.alarms.metrics["Wait"] = [value] * 3
        world.alarms.call("High", "Wait")
        assert world.fleet.asked[-1] == desired
    await world.fleet.get_there(5)
    world.alarms.call("High", "Wait")
    assert world.fleet.asked == [3, 5]


async def test_a_scale_out_that_was_fulfilled_in_part_cools_down(world: World) -> None:
    world("RegisterScalableTarget", **TARGET, MaxCapacity=50)
    world.track("Wait", 20.0, ScaleOutCooldown=300)
    world.alarms.metrics["Wait"] = [60.0] * 3
    world.alarms.call("High", "Wait")
    await world.fleet.get_there(2, "there is no more memory")
    assert world.activities()[0]["StatusCode"] == "Unfulfilled"
    world.alarms.call("High", "Wait")
    assert world.fleet.asked == [3]


async def test_a_resource_that_is_deleted_takes_its_target_along(world: World) -> None:
    world.track("Wait")
    action = {"ScheduledActionName": "later", "Schedule": "at(2099-01-01T00:00:00)"}
    world("PutScheduledAction", **TARGET, **action, ScalableTargetAction={"MinCapacity": 2})
    world("RegisterScalableTarget", **TARGET, MinCapacity=2)
    world.fleet.gone = True
    await world.fleet.get_there(1)
    for operation, member in (
        ("DescribeScalableTargets", "ScalableTargets"),
        ("DescribeScalingPolicies", "ScalingPolicies"),
        ("DescribeScheduledActions", "ScheduledActions"),
    ):
        assert world(operation, ServiceNamespace="sagemaker")[member] == []
    assert world.alarms.made == {}
    assert world.activities()[0]["StatusCode"] == "Failed"


async def test_a_resource_that_does_not_let_itself_be_scaled_is_told(world: World) -> None:
    world.track("Wait")
    world.fleet.gone = True
    world.alarms.call("High", "Wait")
    (told,) = world.activities(everything=True)
    assert told["NotScaledReasons"] == [{"Code": "TargetServicePutResourceAsUnscalable"}]
    assert told["Details"] == "Could not find endpoint."


async def test_a_target_that_is_registered_anew_has_no_cooldowns(world: World) -> None:
    world.track("Wait", ScaleOutCooldown=3000)
    world.alarms.metrics["Wait"] = [25.0] * 3
    world.alarms.call("High", "Wait")
    await world.fleet.get_there(3)
    world("DeregisterScalableTarget", **TARGET)
    world.fleet.current = world.fleet.desired = 2
    world("RegisterScalableTarget", **TARGET, MinCapacity=1, MaxCapacity=4)
    world.track("Wait", ScaleOutCooldown=3000)
    world.alarms.metrics["Wait"] = [15.0] * 3
    world.alarms.call("High", "Wait")
    assert world.fleet.asked == [3, 3]
