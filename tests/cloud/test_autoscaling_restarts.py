"""What the controller takes up when the server is there again, and what it leaves alone before and after."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagehound.localcloud.services.application_autoscaling.activity_table import Activity, ActivityTable
from sagehound.localcloud.state.clock import Clock
from tests.cloud.scaling_world import DIMENSION, REGION, TARGET, Fleet, World


@pytest.mark.parametrize(("served", "status", "asked"), [(3, "Successful", []), (1, "InProgress", [])])
async def test_a_new_start_takes_an_activity_up(tmp_path: Path, served: int, status: str, asked: list[int]) -> None:
    before = World(tmp_path / "cloud.sqlite")
    await before.service.start()
    before("RegisterScalableTarget", **TARGET, MinCapacity=3, MaxCapacity=4)
    await before.stop()
    after = World(tmp_path / "cloud.sqlite", Fleet(current=served, desired=3))
    await after.service.start()
    assert after.activities()[0]["StatusCode"] == status
    assert after.fleet.asked == asked
    await after.fleet.get_there(3)
    assert after.activities()[0]["StatusCode"] == "Successful"
    await after.stop()


async def test_what_was_not_asked_for_before_the_end_is_asked_for_at_the_next_start(tmp_path: Path) -> None:
    before = World(tmp_path / "cloud.sqlite", Fleet(busy=True))
    await before.service.start()
    before("RegisterScalableTarget", **TARGET, MinCapacity=3, MaxCapacity=4)
    assert before.activities()[0]["StatusCode"] == "Pending"
    await before.stop()
    after = World(tmp_path / "cloud.sqlite")
    await after.service.start()
    assert after.fleet.asked == [3]
    await after.fleet.get_there(3)
    (activity,) = after.activities()
    assert activity["StatusCode"] == "Successful"
    await after.stop()


async def _registered(path: Path, minimum: int = 1) -> World:
    """A server that has run and is down again; nothing but the records of it is left."""
    world = World(path, Fleet(current=minimum, desired=minimum))
    await world.service.start()
    world("RegisterScalableTarget", **TARGET, MinCapacity=minimum, MaxCapacity=4)
    world.track("Wait", ScaleInCooldown=3000, ScaleOutCooldown=0)
    return world


def _pending(policy: str, after: int, began: float) -> Activity:
    """A change of capacity that was written down and not asked for, or was asked for and not written down so."""
    named = REGION, "sagemaker", TARGET["ResourceId"], DIMENSION
    return Activity(*named, f"Setting desired instance count to {after}.", "test", began, "Pending", 1, after, policy)


@pytest.mark.parametrize("policy", ["wait", ""])
async def test_a_change_that_was_asked_for_just_before_a_kill_is_followed(tmp_path: Path, policy: str) -> None:
    before = await _registered(tmp_path / "cloud.sqlite")
    ActivityTable(before.store).add(_pending(policy, 3, before.clock.time()))
    await before.stop()
    after = World(tmp_path / "cloud.sqlite", Fleet(current=1, desired=3, busy=True))
    await after.service.start()
    (activity,) = after.activities()
    assert activity["StatusCode"] == "InProgress"
    assert activity["StatusMessage"].startswith("Successfully set desired instance count to 3. Waiting")
    await after.fleet.get_there(3)
    assert after.activities()[0]["StatusCode"] == "Successful"
    assert after.fleet.asked == []
    await after.stop()


async def test_a_policy_s_change_that_is_refused_at_the_start_is_told(tmp_path: Path) -> None:
    before = await _registered(tmp_path / "cloud.sqlite")
    number = ActivityTable(before.store).add(_pending("wait", 3, before.clock.time()))
    await before.stop()
    after = World(tmp_path / "cloud.sqlite", Fleet(busy=True))
    await after.service.start()
    (activity,) = after.activities()
    assert (activity["StatusCode"], after.fleet.asked) == ("Failed", [])
    assert activity["StatusMessage"].endswith("Reason: Cannot update in-progress endpoint.")
    table = ActivityTable(after.store)
    table.remove(number)
    assert table.add(_pending("wait", 3, after.clock.time())) > number, "a number is given once"
    await after.stop()


async def test_bounds_that_were_set_just_before_a_kill_are_enforced(tmp_path: Path) -> None:
    before = await _registered(tmp_path / "cloud.sqlite", minimum=3)
    await before.stop()
    after = World(tmp_path / "cloud.sqlite", Fleet())
    await after.service.start()
    assert after.fleet.asked == [3]
    await after.fleet.get_there(3)
    await after.stop()
    again = World(tmp_path / "cloud.sqlite", after.fleet)
    await again.service.start()
    assert again.fleet.asked == [3]
    assert len(again.activities()) == 1
    await again.stop()


async def test_a_target_whose_resource_went_meanwhile_is_deregistered(tmp_path: Path) -> None:
    before = await _registered(tmp_path / "cloud.sqlite")
    await before.stop()
    after = World(tmp_path / "cloud.sqlite", Fleet(gone=True))
    await after.service.start()
    assert after("DescribeScalableTargets", ServiceNamespace="sagemaker")["ScalableTargets"] == []
    await after.stop()


async def test_alarms_and_changes_do_nothing_outside_of_start_and_stop(tmp_path: Path) -> None:
    before = await _registered(tmp_path / "cloud.sqlite")
    await before.stop()
    world = World(tmp_path / "cloud.sqlite", Fleet())
    world.track("Wait")
    world.alarms.metrics["Wait"] = [25.0] * 3
    world.alarms.call("High", "Wait")
    assert world.fleet.asked == []
    await world.service.start()
    world.fleet.busy = True
    world("RegisterScalableTarget", **TARGET, MinCapacity=2)
    await world.service.stop()
    await world.fleet.get_there(1)
    world.alarms.call("High", "Wait")
    assert world.fleet.asked == []
    assert world.activities(everything=True)[0]["StatusCode"] == "Pending"
    world.store.close()


class _Ahead(Clock):
    """A clock that is so many seconds ahead, as a fast one comes to be."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


async def test_a_scale_out_has_ended_a_cooldown_though_the_clock_was_set_back(tmp_path: Path) -> None:
    """Both ends are later than the start: only their order tells."""
    clock = _Ahead()
    clock.ahead = 36000.0
    before = World(tmp_path / "cloud.sqlite", Fleet(current=4, desired=4), clock)
    await before.service.start()
    before("RegisterScalableTarget", **TARGET, MinCapacity=1, MaxCapacity=4)
    before.track("Wait", ScaleInCooldown=3000)
    for kind, values, reached in (("Low", [0.0] * 20, 3), ("High", [99.0] * 3, 4)):
        before.alarms.metrics["Wait"] = list(values)
        before.alarms.call(kind, "Wait")
        await before.fleet.get_there(reached)
    await before.stop()
    clock = _Ahead()
    after = World(tmp_path / "cloud.sqlite", before.fleet, clock)
    after.alarms.made = before.alarms.made
    await after.service.start()
    clock.ahead = 200.0  # a whole period later, and inside the cooldown
    after.alarms.metrics["Wait"] = [0.0] * 20
    after.alarms.call("Low", "Wait")
    assert after.fleet.asked == [3, 4, 3]
    await after.stop()
