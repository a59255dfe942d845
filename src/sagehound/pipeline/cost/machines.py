"""EC2 instances of a project, as usage: each run between a start and a stop, their volumes and public addresses"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sagehound.pipeline.aws_errors import answer_unless
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.cost.arithmetic import ec2_seconds, exact_seconds, volume, whole
from sagehound.pipeline.cost.history import History
from sagehound.pipeline.cost.timeline import Period, after, runs
from sagehound.pipeline.cost.usage import Running, Usage, Usages
from sagehound.pipeline.names import Names
from sagehound.pipeline.pricing.prices import Use

_SAID = re.compile(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) GMT\)")
_UP = ("running", "stopping", "shutting-down")
_SAME = timedelta(seconds=60)


def machine_usages(clients: Clients, names: Names, history: History, since: datetime | None, now: datetime) -> Usages:
    """The project's EC2 instances; a terminated one is told for about an hour, and unknown afterwards."""
    found = Usages()
    ec2 = clients.client("ec2")
    pages = ec2.get_paginator("describe_instances").paginate(
        Filters=[{"Name": f"tag:{tag['Key']}", "Values": [tag["Value"]]} for tag in names.tags]
    )
    instances = [one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"]]
    for instance in instances:
        found.add(_of_instance(ec2, instance, history, since, now))
    return found


def _of_instance(ec2: Any, instance: dict[str, Any], history: History, since: datetime | None, now: datetime) -> Usages:
    found = Usages()
    name, instance_type = instance["InstanceId"], instance["InstanceType"]
    if instance["State"]["Name"] == "pending":
        return found  # not billed before it runs
    up = instance["State"]["Name"] in _UP
    ended = None if up else _ended(ec2, instance)
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


def _ended(ec2: Any, instance: dict[str, Any]) -> datetime | None:
    """When an instance ended, as EC2 tells it: of one that somebody stopped in words, of one that shut itself down
    only by its console, which EC2 takes over at the end."""
    if said := _SAID.search(instance.get("StateTransitionReason", "")):
        return datetime.strptime(said[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    told = answer_unless(
        lambda: ec2.get_console_output(InstanceId=instance["InstanceId"]),
        *("InvalidInstanceID.NotFound", "UnauthorizedOperation", "AccessDenied"),
    )
    moment = (told or {}).get("Timestamp")
    return moment if moment is not None and moment > instance["LaunchTime"] else None


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
