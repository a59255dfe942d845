"""Scaling when the server is killed: what was acknowledged stays, and what was under way comes to a true end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.cloud.autoscaling import Scaling
from tests.cloud.lambda_callers import PATIENT, Gate, wait_for
from tests.cloud_process import CloudProcess

SLOW = """
import os
import urllib.request
urllib.request.urlopen(os.environ["GATE"]).read()
def handler(event, context):
    return 1
"""
"""Its initialisation waits at a gate."""
BROKEN = "import os\nif os.environ['AWS_LAMBDA_INITIALIZATION_TYPE'] != 'on-demand':\n    os._exit(1)\n"


def test_an_activity_that_kill_interrupts_is_taken_up(own_cloud: CloudProcess) -> None:
    with Gate() as gate:
        scaling = Scaling(own_cloud, SLOW, Environment={"Variables": {"GATE": gate.address()}}, Timeout=PATIENT)
        scaling.register(2, 3)
        scaling.track(0.5)
        wait_for(lambda: gate.arrived, "an environment that is being initialised")
        (activity,) = scaling.activities()
        assert activity["StatusCode"] == "InProgress"
        assert activity["StatusMessage"] == (
            "Successfully set desired concurrency to 2. Waiting for change to be fulfilled by lambda."
        )
        own_cloud.kill()
        gate.arrived.clear()
        own_cloud.start()
        wait_for(lambda: gate.arrived, "the environments of the server that came back")
        (taken_up,) = scaling.activities()
        assert (taken_up["ActivityId"], taken_up["StatusCode"]) == (activity["ActivityId"], "InProgress")
        assert "EndTime" not in taken_up
        gate.open()
        wait_for(lambda: scaling.activities()[0]["StatusCode"] == "Successful", "the end of the activity")
    (done,) = scaling.activities()
    assert done["ActivityId"] == activity["ActivityId"]
    assert done["EndTime"] > done["StartTime"]
    scaling.reaches(2)


def test_targets_policies_alarms_and_schedules_survive_kill(own_cloud: CloudProcess) -> None:
    scaling = Scaling(own_cloud)
    arn = scaling.register(0, 3, Tags={"of": "dogs"})
    made = scaling.track(0.5)
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    scaling.client.put_scheduled_action(
        **scaling.target,
        ScheduledActionName="missed",
        Schedule=f"at({at:%Y-%m-%dT%H:%M:%S})",
        ScalableTargetAction={"MinCapacity": 1},
    )
    own_cloud.kill()
    # The action is due while nobody is there, or as soon as somebody is.
    own_cloud.start()
    (target,) = scaling.client.describe_scalable_targets(ServiceNamespace="lambda")["ScalableTargets"]
    assert target["ScalableTargetARN"] == arn
    assert scaling.client.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"of": "dogs"}
    (policy,) = scaling.client.describe_scaling_policies(ServiceNamespace="lambda")["ScalingPolicies"]
    assert (policy["PolicyARN"], policy["Alarms"]) == (made["PolicyARN"], made["Alarms"])
    assert sorted(scaling.alarms()) == ["High", "Low"]
    scaling.reaches(1)
    own_cloud.restart(kill=True)
    causes = [one["Cause"] for one in scaling.activities()]
    assert causes == ["minimum capacity was set to 1", "scheduled action name missed was triggered"]


def test_a_change_that_cannot_be_fulfilled_says_so(own_cloud: CloudProcess) -> None:
    scaling = Scaling(own_cloud, BROKEN + "def handler(event, context):\n    return 1\n")
    scaling.register(1, 2)
    wait_for(lambda: scaling.activities()[0]["StatusCode"] != "InProgress", "the end of the activity")
    (activity,) = scaling.activities()
    assert activity["StatusCode"] == "Unfulfilled"
    assert activity["StatusMessage"] == (
        "Successfully set desired concurrency to 1. Change could not be fulfilled by lambda: 0 of 1 serve. "
        "Reason: FUNCTION_ERROR_INIT_FAILURE"
    )


def test_a_function_that_is_deleted_meanwhile_ends_its_activity(own_cloud: CloudProcess) -> None:
    with Gate() as gate:
        scaling = Scaling(own_cloud, SLOW, Environment={"Variables": {"GATE": gate.address()}}, Timeout=PATIENT)
        scaling.register(1, 2)
        wait_for(lambda: gate.arrived, "an environment that is being initialised")
        scaling.bench.client.delete_function(FunctionName=scaling.function)
        own_cloud.restart(kill=True)
        wait_for(lambda: scaling.activities()[0]["StatusCode"] != "InProgress", "the end of the activity")
    (activity,) = scaling.activities()
    assert activity["StatusCode"] == "Failed"
    assert activity["StatusMessage"].startswith("Failed to set desired concurrency to 1. Reason: Function not found: ")
    scaling.client.deregister_scalable_target(**scaling.target)
    assert scaling.client.describe_scalable_targets(ServiceNamespace="lambda")["ScalableTargets"] == []
