"""Scheduled actions: bounds that are set at their time, on the clock of the cloud."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.cloud.autoscaling import Scaling
from tests.cloud.lambda_callers import wait_for
from tests.cloud.lambda_functions import refusal
from tests.cloud_process import CloudProcess


def put(scaling: Scaling, name: str, schedule: str, bounds: dict[str, int], **members: Any) -> None:
    scaling.client.put_scheduled_action(
        **scaling.target,
        ScheduledActionName=name,
        Schedule=schedule,
        ScalableTargetAction=bounds,
        **members,
    )


def bounds(scaling: Scaling) -> tuple[int, int]:
    (target,) = scaling.client.describe_scalable_targets(ServiceNamespace="lambda", ResourceIds=[scaling.resource_id])[
        "ScalableTargets"
    ]
    return target["MinCapacity"], target["MaxCapacity"]


def test_a_rate_sets_the_bounds_and_the_capacity_follows(fast_cloud: CloudProcess) -> None:
    scaling = Scaling(fast_cloud)
    scaling.register(0, 3)
    put(scaling, "opening", "rate(2 minutes)", {"MinCapacity": 2, "MaxCapacity": 4})
    scaling.reaches(2)
    assert bounds(scaling) == (2, 4)
    wait_for(lambda: all(one["StatusCode"] == "Successful" for one in scaling.activities()), "the activities")
    capacity, ran = scaling.activities()[-2:]
    assert ran["Description"] == "Setting min capacity to 2 and max capacity to 4"
    assert ran["Cause"] == "scheduled action name opening was triggered"
    assert ran["StatusMessage"] == "Successfully set min capacity to 2 and max capacity to 4"
    assert "EndTime" not in ran
    assert capacity["Cause"] == "minimum capacity was set to 2"
    assert capacity["Description"] == "Setting desired concurrency to 2."
    scaling.client.register_scalable_target(**scaling.target, SuspendedState={"ScheduledScalingSuspended": True})
    put(scaling, "closing", "rate(1 minute)", {"MaxCapacity": 1})
    # The other schedule tells how time goes by: it is on another target.
    other = Scaling(fast_cloud)
    other.register(0, 3)
    put(other, "clock", "rate(3 minutes)", {"MinCapacity": 1})
    other.reaches(1)
    assert bounds(scaling) == (2, 4)
    scaling.client.register_scalable_target(**scaling.target, SuspendedState={"ScheduledScalingSuspended": False})
    scaling.client.delete_scheduled_action(**scaling.target, ScheduledActionName="opening")
    scaling.reaches(1)
    assert bounds(scaling) == (1, 1)


def test_at_runs_once_and_cron_in_its_time_zone(fast_cloud: CloudProcess) -> None:
    scaling = Scaling(fast_cloud)
    scaling.register(0, 3)
    put(scaling, "never", "rate(1 day)", {"MinCapacity": 1})
    (action,) = described(scaling)
    now = action["CreationTime"].astimezone(UTC)
    soon = (now + timedelta(minutes=4)).replace(microsecond=0)
    put(scaling, "once", f"at({soon.astimezone(ZoneInfo('Asia/Tokyo')):%Y-%m-%dT%H:%M:%S})", {"MaxCapacity": 2},
        Timezone="Asia/Tokyo")  # fmt: skip
    later = (now + timedelta(minutes=8)).astimezone(ZoneInfo("America/New_York"))
    put(scaling, "daily", f"cron({later.minute} {later.hour} * * ? *)", {"MinCapacity": 1},
        Timezone="America/New_York")  # fmt: skip
    scaling.reaches(1)
    ran = [one for one in reversed(scaling.activities()) if one["Cause"].startswith("scheduled")]
    assert [one["Cause"].split()[3] for one in ran] == ["once", "daily"]
    assert bounds(scaling) == (1, 2)
    assert timedelta(0) <= ran[0]["StartTime"] - soon
    assert ran[1]["StartTime"].astimezone(UTC) >= later.replace(second=0, microsecond=0)


@pytest.fixture(scope="module")
def scaling(cloud: CloudProcess) -> Scaling:
    """A registered function whose schedules are far away."""
    scaling = Scaling(cloud)
    scaling.register(0, 3)
    return scaling


def described(scaling: Scaling, **members: Any) -> list[dict[str, Any]]:
    found = scaling.client.describe_scheduled_actions(
        ServiceNamespace="lambda", ResourceId=scaling.resource_id, **members
    )
    return list(found["ScheduledActions"])


def test_describing_changing_and_deleting(scaling: Scaling) -> None:
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    put(scaling, "one", "cron(0 8 ? * MON-FRI *)", {"MinCapacity": 1}, Timezone="Europe/Berlin", StartTime=start)
    put(scaling, "two", "rate(3 hours)", {"MaxCapacity": 2})
    one, _ = described(scaling)
    assert one["ScheduledActionARN"].endswith(f":resource/lambda/{scaling.resource_id}:scheduledActionName/one")
    assert (one["Timezone"], one["StartTime"], one["ScalableTargetAction"]) == (
        "Europe/Berlin",
        start,
        {"MinCapacity": 1},
    )
    put(scaling, "one", "cron(0 9 ? * MON-FRI *)", {"MinCapacity": 2})
    (changed,) = described(scaling, ScheduledActionNames=["one"])
    assert "StartTime" not in changed
    assert (changed["Timezone"], changed["ScalableTargetAction"]) == ("Europe/Berlin", {"MinCapacity": 2})
    assert changed["ScheduledActionARN"] == one["ScheduledActionARN"]
    for name in ("one", "two"):
        scaling.client.delete_scheduled_action(**scaling.target, ScheduledActionName=name)
    assert described(scaling) == []


@pytest.mark.parametrize(
    "schedule",
    ["soon", "at(tomorrow)", "at(2026-13-01T00:00:00)", "rate(0 minutes)", "rate(5 weeks)", "cron(* * * * *)",
     "cron(0 8 * * MON *)", "cron(61 8 ? * MON *)", "cron(0 8 ? * DOG *)", "cron(0 8 32 * ? *)"],
)  # fmt: skip
def test_a_schedule_that_is_none(scaling: Scaling, schedule: str) -> None:
    code, message = refusal(put, scaling=scaling, name="no", schedule=schedule, bounds={"MinCapacity": 1})
    assert code == "ValidationException"
    assert schedule in message


def test_actions_that_are_refused(scaling: Scaling) -> None:
    def refused(bounds: dict[str, int], **members: Any) -> str:
        code, message = refusal(put, scaling=scaling, name="no", schedule="rate(1 day)", bounds=bounds, **members)
        assert code == "ValidationException"
        return message

    assert refused({}) == "At least one of minimum capacity and maximum capacity should be provided"
    assert refused({"MinCapacity": 3, "MaxCapacity": 2}) == "Maximum capacity cannot be less than minimum capacity"
    assert "Nowhere" in refused({"MinCapacity": 1}, Timezone="Europe/Nowhere")
    start = datetime.now(UTC)
    assert "End time" in refused({"MinCapacity": 1}, StartTime=start, EndTime=start - timedelta(hours=1))
    assert described(scaling) == []
