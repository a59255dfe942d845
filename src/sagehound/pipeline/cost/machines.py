"""EC2 instances of a project, as usage: each run between a start and a stop, their volumes and public addresses"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from sagehound.pipeline.aws_errors import answer_unless
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.cost.arithmetic import ec2_seconds, exact_seconds, volume, whole
from sagehound.pipeline.cost.history import History
from sagehound.pipeline.cost.outcomes import Outcome, forgotten_usages, read_outcomes
from sagehound.pipeline.cost.timeline import Period, after, runs
from sagehound.pipeline.cost.usage import InstanceTraining, Running, Usage, Usages, carries
from sagehound.pipeline.instance_plan import INSTANCE_TAG
from sagehound.pipeline.names import PROJECT_TAG, Names
from sagehound.pipeline.pricing.prices import Use

_SAID = re.compile(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) GMT\)")
_UP = ("running", "stopping", "shutting-down")
_SAME = timedelta(seconds=60)
_LEAST = timedelta(seconds=1)
"""S3 tells whole seconds: what ended in the second of its launch would have ended before it."""
_NO_CONSOLE = ("InvalidInstanceID.NotFound", "UnauthorizedOperation", "AccessDenied")
_NO_OUTCOMES = ("AccessDenied", "403", "NoSuchBucket")


def machine_usages(clients: Clients, names: Names, history: History, since: datetime | None, now: datetime) -> Usages:
    """The project's EC2 instances; of a training whose instance EC2 has forgotten, an hour after its end, what its own
    outcome tells."""
    found = Usages()
    pages = clients.ec2.get_paginator("describe_instances").paginate(
        Filters=[{"Name": f"tag:{PROJECT_TAG}", "Values": [names.project]}]
    )
    instances = [one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"]]
    outcomes = answer_unless(partial(read_outcomes, clients, names), *_NO_OUTCOMES)
    if outcomes is None:
        found.not_counted.append("trainings on instances that EC2 has forgotten: their outcomes may not be read")
    # What is forgotten is older than what is known: the last training of all comes last.
    known = {name for one in instances if (name := _training_name(one))}
    for outcome in outcomes or []:
        if outcome.name in known:
            continue
        if names.run:
            found.not_counted.append(
                f"the training {outcome.name} on an instance that EC2 has forgotten, and its run too"
            )
        else:
            found.add(forgotten_usages(outcome, since))
    for instance in sorted(instances, key=lambda one: one["LaunchTime"]):
        if not carries(instance["Tags"], names):
            continue  # another run's
        left = outcome_of(instance, instances, outcomes or [])
        up = instance["State"]["Name"] in _UP
        ended = None if up else ended_at(clients.ec2, instance, left)
        used = instance_usages(clients.ec2, instance, history, ended, since, now)
        found.add(used)
        if left is not None and left.status == 0 and not up:
            found.trainings += _training(left, instance, used)
    return found


def outcome_of(
    instance: Mapping[str, Any], instances: Sequence[Mapping[str, Any]], outcomes: Sequence[Outcome]
) -> Outcome | None:
    """What an instance left of its training: the outcome that was written after its launch and before the next one's
    of the same training, which removes it first."""
    name, launched = _training_name(instance), instance["LaunchTime"]
    later = [one["LaunchTime"] for one in instances if _training_name(one) == name and one["LaunchTime"] > launched]
    for outcome in outcomes:
        if outcome.name == name and launched <= outcome.written < min(later, default=datetime.max.replace(tzinfo=UTC)):
            return outcome
    return None


def instance_usages(
    ec2: Any, instance: dict[str, Any], history: History, ended: datetime | None, since: datetime | None, now: datetime
) -> Usages:
    """What one instance has used, and its volumes; ``ended`` is when it ended, where it has."""
    found = Usages()
    name, instance_type = instance["InstanceId"], instance["InstanceType"]
    if instance["State"]["Name"] == "pending":
        return found  # not billed before it runs
    up = instance["State"]["Name"] in _UP
    spans = _ran(instance, history, ended, found.not_counted, up=up)
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


def ended_at(ec2: Any, instance: dict[str, Any], outcome: Outcome | None) -> datetime | None:
    """When an instance ended, as far as anybody tells: EC2 in words where somebody stopped it; of one that shut itself
    down the outcome, the last object that its training wrote, or else the console that EC2 took over."""
    if said := _SAID.search(instance.get("StateTransitionReason", "")):
        return datetime.strptime(said[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    if outcome is not None:
        return outcome.written
    output = partial(ec2.get_console_output, InstanceId=instance["InstanceId"])
    told = (answer_unless(output, *_NO_CONSOLE) or {}).get("Timestamp")
    return told if told is not None and told > instance["LaunchTime"] else None


def _training_name(instance: Mapping[str, Any]) -> str:
    return next((tag["Value"] for tag in instance.get("Tags", []) if tag["Key"] == INSTANCE_TAG), "")


def _training(outcome: Outcome, instance: Mapping[str, Any], used: Usages) -> Iterator[InstanceTraining]:
    """A completed training with what its instance has used, where that is known."""
    for entry in used.entries:
        if entry.use is Use.EC2 and entry.seconds is not None:
            name, kind = instance["InstanceId"], instance["InstanceType"]
            yield InstanceTraining(outcome.name, name, kind, entry.seconds, entry.quantity, outcome.phase)


def _ran(
    instance: dict[str, Any], history: History, ended: datetime | None, told: list[str], *, up: bool
) -> list[Period] | None:
    """When it ran, as far as anybody says (``told``: what nobody does); None where nobody says when it ended."""
    name, launched = instance["InstanceId"], instance["LaunchTime"]
    # LaunchTime is that of the last start; the root volume is attached at the first one, and stays.
    attached = [one["Ebs"]["AttachTime"] for one in instance.get("BlockDeviceMappings", []) if "Ebs" in one]
    first = min([launched, *attached])
    stops = [call.moment for call in history.of(name, "StopInstances", "TerminateInstances") if call.moment > first]
    starts = [launched]
    if launched - first >= _SAME:
        if any(stop < launched for stop in stops):
            starts.append(first)
            starts += [call.moment for call in history.of(name, "StartInstances") if call.moment < launched - _SAME]
        else:
            told.append(
                f"instance {name} before its last start at {launched:%Y-%m-%d %H:%M}: nobody says when it stopped"
            )
    # What somebody asked for is surer than the console, and that is surer than nothing.
    if ended is not None and not any(stop >= launched for stop in stops):
        stops.append(max(ended, launched + _LEAST))
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
        found.not_counted.append(
            f"instance {name}: its volumes, and a public address if it had one, which went with it"
        )
        return found
    for one in ec2.describe_volumes(VolumeIds=attached)["Volumes"] if attached else []:
        size, kind, made = int(one["Size"]), one.get("VolumeType", "gp2"), one["CreateTime"]
        kept = exact_seconds(now - max(made, since or made))
        what = f"{name}, {kind} volume of {size} GB"
        found.entries.append(Usage("instance", what, Use.EBS, kind, volume(size, kept), kept, 1, name))
        found.running.append(Running(f"instance {what}", Use.EBS, kind, Decimal(size), made, resource=name))
    return found
