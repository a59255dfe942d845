"""The control loop on a clock that runs sixty times as fast: real load, real alarms, real environments."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.cloud.autoscaling import Scaling
from tests.cloud.lambda_callers import many, wait_for
from tests.cloud_process import CloudProcess

WORK = "import time\ndef handler(event, context):\n    time.sleep(0.05)\n    return 1\n"
"""A handler whose work takes a moment, so that callers are at it at the same time."""


@contextmanager
def load(scaling: Scaling, callers: int) -> Iterator[list[str]]:
    """So many callers that call the version one time after the other; yields the errors they met."""
    client = many(scaling.cloud, callers)
    ended = threading.Event()
    errors: list[str] = []

    def go_on_calling() -> None:
        while not ended.is_set():
            answer = client.invoke(FunctionName=scaling.function, Qualifier=scaling.version, Payload=b"{}")
            if json.loads(answer["Payload"].read()) != 1:
                errors.append(answer.get("FunctionError", "another answer"))

    threads = [threading.Thread(target=go_on_calling) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield errors
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def test_load_takes_provisioned_concurrency_up_and_its_end_down_again(fast_cloud: CloudProcess) -> None:
    scaling = Scaling(fast_cloud, WORK)
    scaling.register(1, 3)
    scaling.reaches(1)
    scaling.track(0.5, ScaleOutCooldown=30, ScaleInCooldown=30)
    with load(scaling, 4) as errors:
        scaling.reaches(3)
        last = told(scaling, "AlreadyAtMaxCapacity")
        assert last["NotScaledReasons"] == [{"Code": "AlreadyAtMaxCapacity", "CurrentCapacity": 3, "MaxCapacity": 3}]
        assert last["Description"] == "Attempting to scale due to alarm triggered"
        assert last["StatusCode"] == "Failed"
    assert errors == []
    scaling.reaches(1)
    wait_for(lambda: all(one["StatusCode"] == "Successful" for one in scaling.activities()), "the last activity")
    wanted = [int(one["Description"].removesuffix(".").rpartition(" ")[2]) for one in reversed(scaling.activities())]
    assert wanted[0] == 1
    peak = wanted.index(3)
    assert wanted[: peak + 1] == sorted(set(wanted[: peak + 1]))
    assert wanted[peak:] == [3, 2, 1]
    for activity, which in ((scaling.activities()[-2], "High"), (scaling.activities()[0], "Low")):
        name = scaling.alarms()[which]["AlarmName"]
        assert activity["Cause"] == f"monitor alarm {name} in state ALARM triggered policy follow"
    assert not any("NotScaledReasons" in one for one in scaling.activities())


def told(scaling: Scaling, code: str) -> dict[str, Any]:
    """Wait for an activity that did not scale, for this reason."""

    def find() -> list[dict[str, Any]]:
        found = scaling.activities(IncludeNotScaledActivities=True)
        return [one for one in found if any(reason["Code"] == code for reason in one.get("NotScaledReasons", []))]

    return dict(wait_for(find, code)[0])


def test_a_metric_without_data_scales_nothing_and_the_alarms_say_so(fast_cloud: CloudProcess) -> None:
    scaling = Scaling(fast_cloud)
    scaling.register(0, 3)
    scaling.track(0.5)
    for alarm in scaling.alarms().values():
        assert alarm["StateValue"] == "INSUFFICIENT_DATA"
    scaling.set_alarm("High")
    wait_for(lambda: scaling.alarms()["High"]["StateValue"] == "INSUFFICIENT_DATA", "the next evaluation")
    assert scaling.alarms()["High"]["StateReason"].startswith("Insufficient Data: ")
    assert scaling.activities(IncludeNotScaledActivities=True) == []
    assert scaling.capacity() == (0, 0)


def test_suspended_scaling_waits_until_it_is_resumed(fast_cloud: CloudProcess) -> None:
    scaling = Scaling(fast_cloud, WORK)
    scaling.register(1, 2, SuspendedState={"DynamicScalingOutSuspended": True})
    scaling.reaches(1)
    scaling.track(0.5)
    with load(scaling, 3) as errors:
        wait_for(lambda: scaling.alarms()["High"]["StateValue"] == "ALARM", "the high alarm")
        since = scaling.alarms()["High"]["StateUpdatedTimestamp"]
        wait_for(lambda: fast_now(scaling) > since.timestamp() + 180, "three more evaluations")
        assert scaling.capacity() == (1, 1)
        scaling.client.register_scalable_target(**scaling.target, SuspendedState={"DynamicScalingOutSuspended": False})
        scaling.reaches(2)
    assert errors == []


def fast_now(scaling: Scaling) -> float:
    """The time of the cloud: when it last changed a state by hand."""
    name = scaling.alarms()["Low"]["AlarmName"]
    scaling.cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="to see the time")
    return float(scaling.alarms()["Low"]["StateUpdatedTimestamp"].timestamp())
