"""EC2 instances of a project, as usage: each run between a start and a stop, their volumes and public addresses"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from sagehound.pipeline.aws_errors import answer_unless
from sagehound.pipeline.bucket import list_objects
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.cost.arithmetic import ec2_seconds, exact_seconds, volume, whole
from sagehound.pipeline.cost.history import History
from sagehound.pipeline.cost.timeline import Period, after, runs
from sagehound.pipeline.cost.usage import Running, Usage, Usages
from sagehound.pipeline.instance_plan import INSTANCE_TAG, OUTCOME, result_prefix
from sagehound.pipeline.names import Names
from sagehound.pipeline.pricing.prices import Use

_SAID = re.compile(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) GMT\)")
_UP = ("running", "stopping", "shutting-down")
_SAME = timedelta(seconds=60)
_NO_CONSOLE = ("InvalidInstanceID.NotFound", "UnauthorizedOperation", "AccessDenied")


def machine_usages(clients: Clients, names: Names, history: History, since: datetime | None, now: datetime) -> Usages:
    """The project's EC2 instances; a terminated one is told for about an hour, and unknown afterwards."""
    found = Usages()
    ec2 = clients.client("ec2")
    pages = ec2.get_paginator("describe_instances").paginate(
        Filters=[{"Name": f"tag:{tag['Key']}", "Values": [tag["Value"]]} for tag in names.tags]
    )
    instances = [one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"]]
    for instance in instances:
        up = instance["State"]["Name"] in _UP
        ended = None if up else ended_at(clients, names, ec2, instance)
        found.add(instance_usages(ec2, instance, history, ended, since, now))
    known = {tag["Value"] for one in instances for tag in one.get("Tags", []) if tag["Key"] == INSTANCE_TAG}
    begin = result_prefix(names, "").rstrip("/") + "/"
    for key in list_objects(clients, names.bucket, begin):
        run, _, name = key.removeprefix(begin).partition("/")
        if name == OUTCOME and run not in known:
            found.not_counted.append(f"the training {run} on an instance that EC2 has forgotten: its type went with it")
    return found


def instance_usages(
    ec2: Any, instance: dict[str, Any], history: History, ended: datetime | None, since: datetime | None, now: datetime
) -> Usages:
    """What one instance has used, and its volumes; ``ended`` is when it ended, where it has."""
    found = Usages()
    name, instance_type = instance["InstanceId"], instance["InstanceType"]
    if instance["State"]["Name"] == "pending":
        return found  # not billed before it runs
    up = instance["State"]["Name"] in _UP
    spans = _ran(instance, history, ended, up=up)
    if spans is None:
        why = instance.get("StateReason", {}).get("Message") or instance["State"]["Name"]
        found.not_counted.append(f"instance {name} ({instance_type}): EC2 does not say when it ended ({why})")
        return found
    spans = after(spans, since)
    lasted = [span.seconds(now) for span in spans]
    if lasted:
        used = ec2_seconds(lasted)
        seconds = sum(lasted, Decimal(0))
        found.entries.append(
            Usage("instance", f"{name}, {instance_type}", Use.EC2, instance_type, used, seconds, 1, name)
        )
        if instance.get("PublicIpAddress"):
            what = f"{name}, public IPv4 address"
            found.entries.append(Usage("instance", what, Use.IPV4, "", whole(seconds), seconds, 1, name))
    if up:
        begin = instance["LaunchTime"]
        found.running.append(Running(f"instance {name}", Use.EC2, instance_type, Decimal(1), begin, resource=name))
        if instance.get("PublicIpAddress"):
            found.running.append(
                Running(f"instance {name}, public IPv4 address", Use.IPV4, "", Decimal(1), begin, resource=name)
            )
    found.add(_volumes(ec2, instance, since, now))
    return found


def ended_at(clients: Clients, names: Names, ec2: Any, instance: dict[str, Any]) -> datetime | None:
    """When an instance ended, as far as anybody tells: EC2 in words where somebody stopped it; of one that shut itself
    down the last object that its training wrote, or else the console that EC2 took over."""
    if said := _SAID.search(instance.get("StateTransitionReason", "")):
        return datetime.strptime(said[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    told = None
    for tag in instance.get("Tags", []):
        if tag["Key"] == INSTANCE_TAG:
            key = f"{result_prefix(names, tag['Value'])}{OUTCOME}"
            head = partial(clients.s3.head_object, Bucket=names.bucket, Key=key)
            told = (answer_unless(head, "404", "NoSuchKey", "NoSuchBucket", "403") or {}).get("LastModified")
    if told is None or told < instance["LaunchTime"]:
        output = partial(ec2.get_console_output, InstanceId=instance["InstanceId"])
        told = (answer_unless(output, *_NO_CONSOLE) or {}).get("Timestamp")
    return told if told is not None and told > instance["LaunchTime"] else None


def _ran(instance: dict[str, Any], history: History, ended: datetime | None, *, up: bool) -> list[Period] | None:
    """When it ran; None where nobody says when it ended."""
    name, launched = instance["InstanceId"], instance["LaunchTime"]
    # LaunchTime is that of the last start; the root volume is attached at the first one, and stays.
    attached = [one["Ebs"]["AttachTime"] for one in instance.get("BlockDeviceMappings", []) if "Ebs" in one]
    first = min([launched, *attached])
    starts = [launched] if launched - first < _SAME else [first, launched]
    starts += [call.moment for call in history.of(name, "StartInstances") if call.moment < launched - _SAME]
    stops = [call.moment for call in history.of(name, "StopInstances", "TerminateInstances") if call.moment > first]
    # What somebody asked for is surer than the console, and that is surer than nothing.
    if ended is not None and not any(stop >= launched for stop in stops):
        stops.append(ended)
    if not up and not any(stop >= launched for stop in stops):
        return None
    if up:
        stops = [stop for stop in stops if stop < launched]
    return runs(starts, stops)


def _volumes(ec2: Any, instance: dict[str, Any], since: datetime | None, now: datetime) -> Usages:
    """Volumes are billed while they exist, also of an instance that is stopped; terminated instances have none."""
    found = Usages()
    name = instance["InstanceId"]
    attached = [one["Ebs"]["VolumeId"] for one in instance.get("BlockDeviceMappings", []) if "Ebs" in one]
    if instance["State"]["Name"] == "terminated":
        found.not_counted.append(f"instance {name}: its volumes, which went with it")
        return found
    for one in ec2.describe_volumes(VolumeIds=attached)["Volumes"] if attached else []:
        size, kind, made = int(one["Size"]), one.get("VolumeType", "gp2"), one["CreateTime"]
        kept = exact_seconds(now - max(made, since or made))
        what = f"{name}, {kind} volume of {size} GB"
        found.entries.append(Usage("instance", what, Use.EBS, kind, volume(size, kept), kept, 1, name))
        found.running.append(Running(f"instance {what}", Use.EBS, kind, Decimal(size), made, resource=name))
    return found
