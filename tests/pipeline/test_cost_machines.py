"""What instances and notebooks cost: real instances of a real cloud, and what AWS tells of those that have stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sagehound.pipeline.clients import Clients, connect_endpoint
from sagehound.pipeline.cost.collect import collect
from sagehound.pipeline.cost.history import History
from sagehound.pipeline.cost.machines import ended_at, instance_usages, outcome_of
from sagehound.pipeline.cost.notebooks import notebook_usages
from sagehound.pipeline.cost.outcomes import Outcome
from sagehound.pipeline.cost.usage import Usages
from sagehound.pipeline.instance_plan import INSTANCE_TAG
from sagehound.pipeline.names import Names
from sagehound.pipeline.notebook import notebook_name
from sagehound.pipeline.pricing.prices import Use
from tests.cloud.ec2_instances import Machines
from tests.cloud_process import CloudProcess
from tests.pipeline.ec2_outcomes import leave_outcome
from tests.pipeline.function_shop import Reply, endpoint, json_reply

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def machines(cloud: CloudProcess) -> Iterator[Machines]:
    made = Machines(cloud)
    yield made
    made.remove()


def quantity(found: Usages, use: Use) -> list[tuple[str, Decimal]]:
    return [(one.item, one.quantity) for one in found.entries if one.use is use]


def tagged(names: Names, **more: str) -> list[dict[str, Any]]:
    return [{"ResourceType": "instance", "Tags": [*names.tags, *({"Key": k, "Value": v} for k, v in more.items())]}]


def test_an_instance_costs_from_its_launch_to_its_end_and_a_minute_at_least(
    machines: Machines, clients: Clients, names: Names
) -> None:
    made = machines.run(InstanceType="t2.small", TagSpecifications=tagged(names))
    name = made["InstanceId"]
    launched = machines.wait(name, "running")["LaunchTime"]
    now = launched + timedelta(hours=2)
    found = collect(clients, names, now=now)
    assert quantity(found, Use.EC2) == [("t2.small", Decimal(7200))]
    assert [one.resource for one in found.running if one.use is Use.EC2] == [name]
    ((kind, stored),) = quantity(found, Use.EBS)
    assert kind in ("gp2", "gp3")
    assert stored > 7000  # so many GB for two hours, and each a GB at least
    machines.ec2.terminate_instances(InstanceIds=[name])
    machines.wait(name, "terminated")
    assert len(History(clients).of(name, "TerminateInstances")) == 1
    gone = collect(clients, names)
    assert quantity(gone, Use.EC2) == [("t2.small", Decimal(60))]
    assert [one for one in gone.running if one.use is Use.EC2] == []


def test_an_instance_that_shuts_itself_down_ended_with_the_last_that_it_wrote(
    machines: Machines, clients: Clients, names: Names, tmp_path: Path
) -> None:
    clients.s3.create_bucket(Bucket=names.bucket)
    made = machines.run(
        "#!/bin/sh\nshutdown -h now\n",
        InstanceInitiatedShutdownBehavior="terminate",
        TagSpecifications=tagged(names, **{INSTANCE_TAG: "a-run"}),
    )
    machines.wait(made["InstanceId"], "terminated")
    leave_outcome(clients, names, "a-run", tmp_path, "t2.small", 10, 100)
    found = collect(clients, names, now=datetime.now(UTC) + timedelta(days=30))
    ((kind, seconds),) = quantity(found, Use.EC2)
    assert 60 <= seconds < 3600
    (training,) = found.trainings
    assert (training.instance_id, training.instance_type) == (made["InstanceId"], kind)
    assert (training.phase, training.billable) == (100, seconds)


def test_what_an_instance_did_that_ec2_has_forgotten_is_in_its_outcome(
    clients: Clients, names: Names, tmp_path: Path
) -> None:
    clients.s3.create_bucket(Bucket=names.bucket)
    leave_outcome(clients, names, "short", tmp_path, "t2.small", 5, 20)
    leave_outcome(clients, names, "long", tmp_path, "m5.large", 60, 1000)
    leave_outcome(clients, names, "older", tmp_path, "", 5, 20)
    now = datetime.now(UTC)
    found = collect(clients, names, now=now)
    # 25 s are a minute on EC2
    assert sorted(quantity(found, Use.EC2)) == [("m5.large", Decimal(1060)), ("t2.small", Decimal(60))]
    assert {(one.name, one.seconds, one.phase) for one in found.trainings} == {("short", 25, 20), ("long", 1060, 1000)}
    assert any("the training older" in one and "its type went with it" in one for one in found.not_counted)
    # Only what lies after a moment is counted: of the long one the end.
    after = dict(quantity(collect(clients, names, now - timedelta(seconds=500), now), Use.EC2))
    assert after["t2.small"] == 60
    assert 100 < after["m5.large"] <= 500
    # Which run it was nobody knows: it is told.
    of_run = collect(clients, replace(names, run="one"), now=now)
    assert quantity(of_run, Use.EC2) == []
    assert any("the training long" in one for one in of_run.not_counted)


def test_an_outcome_is_that_of_the_last_instance_before_it() -> None:
    def told(name: str, minutes: int) -> dict[str, Any]:
        return {"LaunchTime": NOON + timedelta(minutes=minutes), "Tags": [{"Key": INSTANCE_TAG, "Value": name}]}

    first, again, other = told("a", 0), told("a", 30), told("b", 0)
    outcome = Outcome("a", NOON + timedelta(minutes=31), 0, "t2.small", Decimal(20), Decimal(25))
    assert outcome_of(again, [first, again, other], [outcome]) == outcome
    assert outcome_of(first, [first, again, other], [outcome]) is None
    assert outcome_of(other, [first, again, other], [outcome]) is None
    assert outcome_of(first, [first, other], [outcome]) == outcome


def instance(**more: Any) -> str:
    """DescribeInstances' answer about one instance, as AWS writes it."""
    told = {"launched": "2026-11-23T12:00:00.000Z", "attached": "2026-11-23T12:00:01.000Z", "state": "stopped", **more}
    reason = f"<reason>{told['reason']}</reason>" if "reason" in told else "<reason/>"
    return (
        '<?xml version="1.0"?><DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
        "<requestId>r</requestId><reservationSet><item><instancesSet><item><instanceId>i-1</instanceId>"
        f"<instanceType>m5.xlarge</instanceType><launchTime>{told['launched']}</launchTime>"
        f"<instanceState><code>80</code><name>{told['state']}</name></instanceState>{reason}"
        "<blockDeviceMapping><item><deviceName>/dev/xvda</deviceName><ebs><volumeId>vol-1</volumeId>"
        f"<attachTime>{told['attached']}</attachTime></ebs></item></blockDeviceMapping>"
        "</item></instancesSet></item></reservationSet></DescribeInstancesResponse>"
    )


VOLUME = (
    '<?xml version="1.0"?><DescribeVolumesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r'
    "</requestId><volumeSet><item><volumeId>vol-1</volumeId><size>30</size><volumeType>gp3</volumeType>"
    "<createTime>2026-11-23T12:00:00.000Z</createTime></item></volumeSet></DescribeVolumesResponse>"
)
CONSOLE = (
    '<?xml version="1.0"?><GetConsoleOutputResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r'
    "</requestId><instanceId>i-1</instanceId></GetConsoleOutputResponse>"
)


class Aws:
    """EC2, SageMaker and CloudTrail as AWS answers them, over HTTP."""

    def __init__(self, instances: str = "", notebook: dict[str, Any] | None = None, *events: dict[str, Any]) -> None:
        self.instances, self.notebook, self.events = instances, notebook, events
        self.logged = 0
        """When a notebook's log was last written, in milliseconds."""

    def __call__(self, headers: dict[str, str], body: bytes) -> Reply:
        target = headers.get("x-amz-target", "").rpartition(".")[2]
        if target == "LookupEvents":
            (asked,) = json.loads(body)["LookupAttributes"]
            return json_reply({"Events": [one for one in self.events if one["EventName"] == asked["AttributeValue"]]})
        if target == "ListNotebookInstances":
            listed = {"NotebookInstanceName": "n", "NotebookInstanceArn": "arn:aws:sagemaker:us-east-1:1:notebook/n"}
            return json_reply({"NotebookInstances": [listed] if self.notebook else []})
        if target == "DescribeLogStreams":
            return json_reply({"logStreams": [{"logStreamName": "n/jupyter.log", "lastEventTimestamp": self.logged}]})
        if target == "ListTags":
            return json_reply({"Tags": self.notebook["Tags"] if self.notebook else []})
        if target == "DescribeNotebookInstance":
            return json_reply({key: value for key, value in (self.notebook or {}).items() if key != "Tags"})
        answer = {b"DescribeVolumes": VOLUME, b"GetConsoleOutput": CONSOLE}.get(
            body.partition(b"Action=")[2].partition(b"&")[0], self.instances
        )
        return 200, {"Content-Type": "text/xml"}, answer.encode()


def event(name: str, hour: float, resource: str, request: dict[str, Any] | None = None) -> dict[str, Any]:
    moment = NOON + timedelta(hours=hour)
    document = {"eventName": name, "requestParameters": request, "responseElements": None}
    return {
        "EventId": name,
        "EventName": name,
        "EventTime": moment.timestamp(),
        "Resources": [{"ResourceType": "x", "ResourceName": resource}],
        "CloudTrailEvent": json.dumps(document),
    }


def of_machine(answers: Aws, now: datetime) -> Usages:
    """What the one instance that EC2 tells of has used."""
    with endpoint(answers) as server:
        clients = connect_endpoint(server.url, "AKIATEST", "secret", "us-east-1")
        ec2 = clients.client("ec2")
        (one,) = ec2.describe_instances()["Reservations"][0]["Instances"]
        ended = None if one["State"]["Name"] == "running" else ended_at(ec2, one, None)
        return instance_usages(ec2, one, History(clients), ended, None, now)


def test_a_stopped_instance_ran_until_somebody_stopped_it_and_its_volume_lies_on() -> None:
    stopped = instance(reason="User initiated (2026-11-23 13:30:00 GMT)")
    found = of_machine(Aws(stopped), NOON + timedelta(hours=10))
    assert quantity(found, Use.EC2) == [("m5.xlarge", Decimal(90 * 60))]
    # 30 GB for ten hours
    assert quantity(found, Use.EBS) == [("gp3", Decimal(30 * 36000))]
    assert [one.use for one in found.running] == [Use.EBS]


def test_each_start_of_an_instance_is_a_run_of_its_own() -> None:
    # attached at 12:00, stopped at 12:00:20, started again at 15:00 and running: 60 s, and an hour
    again = instance(state="running", launched="2026-11-23T15:00:00.000Z")
    events = [event("StopInstances", 20 / 3600, "i-1"), event("StartInstances", 3, "i-1")]
    found = of_machine(Aws(again, None, *events), NOON + timedelta(hours=4))
    assert quantity(found, Use.EC2) == [("m5.xlarge", Decimal(60 + 3600))]
    assert found.running[0].use is Use.EC2


def test_of_a_run_whose_end_nobody_tells_nothing_is_guessed() -> None:
    again = instance(state="running", launched="2026-11-23T15:00:00.000Z")
    found = of_machine(Aws(again), NOON + timedelta(hours=4))
    # attached at 12:00, started again at 15:00: only the hour since then is sure
    assert quantity(found, Use.EC2) == [("m5.xlarge", Decimal(3600))]
    assert found.not_counted == ["instance i-1 before its last start at 2026-11-23 15:00: nobody says when it stopped"]


def test_an_instance_of_which_nobody_says_when_it_ended_is_told_and_not_guessed() -> None:
    found = of_machine(Aws(instance(state="terminated")), NOON + timedelta(hours=4))
    assert quantity(found, Use.EC2) == []
    (told,) = found.not_counted
    assert "i-1" in told
    assert "does not say when it ended" in told


def notebook(names: Names, status: str, modified: float) -> dict[str, Any]:
    return {
        "NotebookInstanceName": "n",
        "NotebookInstanceStatus": status,
        "InstanceType": "ml.m5.xlarge",
        "VolumeSizeInGB": 20,
        "CreationTime": NOON.timestamp(),
        "LastModifiedTime": (NOON + timedelta(hours=modified)).timestamp(),
        "Tags": names.tags,
    }


def of_notebook(answers: Aws, names: Names, now: datetime, since: datetime | None = None) -> Usages:
    with endpoint(answers) as server:
        clients = connect_endpoint(server.url, "AKIATEST", "secret", "us-east-1")
        return notebook_usages(clients, names, History(clients), since, now)


def test_a_notebook_costs_while_it_runs_and_its_volume_always(names: Names) -> None:
    events = [event("StopNotebookInstance", 2, "n"), event("StartNotebookInstance", 5, "n")]
    found = of_notebook(Aws("", notebook(names, "InService", 5), *events), names, NOON + timedelta(hours=6))
    # two hours, and one
    assert quantity(found, Use.NOTEBOOK) == [("ml.m5.xlarge", Decimal(3 * 3600))]
    assert quantity(found, Use.NOTEBOOK_STORAGE) == [("", Decimal(20 * 6 * 3600))]
    assert {one.use for one in found.running} == {Use.NOTEBOOK, Use.NOTEBOOK_STORAGE}


def test_a_notebook_into_whose_log_nothing_is_written_looks_idle(names: Names) -> None:
    answers = Aws("", notebook(names, "InService", 0))
    answers.logged = int((NOON + timedelta(hours=1)).timestamp() * 1000)
    (_, running) = of_notebook(answers, names, NOON + timedelta(hours=6)).running
    assert running.idle == "nothing in its log for 5 h"
    (_, running) = of_notebook(answers, names, NOON + timedelta(minutes=70)).running
    assert running.idle == ""


def test_a_notebook_that_stopped_without_an_event_stopped_at_its_last_change(names: Names) -> None:
    found = of_notebook(Aws("", notebook(names, "Stopped", 1.5)), names, NOON + timedelta(hours=6))
    assert quantity(found, Use.NOTEBOOK) == [("ml.m5.xlarge", Decimal(5400))]
    assert [one.use for one in found.running] == [Use.NOTEBOOK_STORAGE]


def test_a_deleted_notebook_costs_what_its_events_say(names: Names) -> None:
    tags = [{"key": tag["Key"], "value": tag["Value"]} for tag in names.tags]
    request = {"notebookInstanceName": "n", "instanceType": "ml.t3.medium", "volumeSizeInGB": 10, "tags": tags}
    events = [
        event("CreateNotebookInstance", 0, "n", request),
        event("CreateNotebookInstance", 0, "m", request | {"notebookInstanceName": "m", "tags": []}),
        event("StopNotebookInstance", 1, "n"),
        event("StartNotebookInstance", 2, "n"),
        event("DeleteNotebookInstance", 4, "n"),
        event("DeleteNotebookInstance", 4, "m"),
    ]
    found = of_notebook(Aws("", None, *events), names, NOON + timedelta(hours=9))
    # an hour, and two; the volume all four
    assert quantity(found, Use.NOTEBOOK) == [("ml.t3.medium", Decimal(3 * 3600))]
    assert quantity(found, Use.NOTEBOOK_STORAGE) == [("", Decimal(10 * 4 * 3600))]
    assert found.running == []
    since = of_notebook(Aws("", None, *events), names, NOON + timedelta(hours=9), NOON + timedelta(hours=3))
    assert quantity(since, Use.NOTEBOOK) == [("ml.t3.medium", Decimal(3600))]


def test_a_deleted_notebook_whose_events_have_no_parameters_is_told(names: Names) -> None:
    name = notebook_name(names)
    events = [event("CreateNotebookInstance", 0, name), event("DeleteNotebookInstance", 4, name)]
    found = of_notebook(Aws("", None, *events), names, NOON + timedelta(hours=9))
    assert found.entries == []
    (told,) = found.not_counted
    assert f"notebook {name}, deleted at 2026-11-23 16:00" in told
    assert of_notebook(Aws("", None, *events), names, NOON + timedelta(hours=9), NOON + timedelta(hours=5)) == Usages()


def test_starts_and_stops_before_the_moment_that_is_asked_for_are_known(names: Names) -> None:
    events = [event("StopNotebookInstance", 2, "n"), event("StartNotebookInstance", 5, "n")]
    running = Aws("", notebook(names, "InService", 5), *events)
    # asked from 3 o'clock on: it lay still until 5, and has run for an hour
    found = of_notebook(running, names, NOON + timedelta(hours=6), NOON + timedelta(hours=3))
    assert quantity(found, Use.NOTEBOOK) == [("ml.m5.xlarge", Decimal(3600))]


def test_the_notebook_of_another_project_is_none_of_ours(names: Names) -> None:
    others = notebook(names, "InService", 0) | {"Tags": []}
    assert of_notebook(Aws("", others), names, NOON).entries == []
