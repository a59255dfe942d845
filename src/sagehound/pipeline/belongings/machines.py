"""EC2 instances, and the profiles, roles and security groups around them: found, ended, and removed"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from sagehound.pipeline.belongings.gone import unless_gone
from sagehound.pipeline.belongings.thing import Billed, Key, Kind, Scope, Thing
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.instance_cleanup import tagged_groups, tagged_profiles, tagged_roles
from sagehound.pipeline.instance_machine import LIVING, terminate
from sagehound.pipeline.instance_plan import INSTANCE_TAG, has_tag, instance_prefix
from sagehound.pipeline.instance_role import remove_group, remove_profile
from sagehound.pipeline.names import PROJECT_TAG
from sagehound.pipeline.pricing.prices import Use

_BILLED = ("running", "stopping", "shutting-down")


def find_instances(clients: Clients, scope: Scope) -> Iterator[Thing]:
    """Instances that are not terminated and carry a tag of the scope; each needs what it is surrounded by."""
    asked = [
        {"Name": "tag-key", "Values": [PROJECT_TAG]},
        {"Name": "instance-state-name", "Values": list(LIVING)},
    ]
    pages = clients.ec2.get_paginator("describe_instances").paginate(Filters=asked)
    for record in (one for page in pages for group in page["Reservations"] for one in group["Instances"]):
        owner = scope.owner(record.get("Tags", []))
        if owner is None:
            continue
        state, instance_type = record["State"]["Name"], record["InstanceType"]
        yield Thing(
            Kind.INSTANCE,
            record["InstanceId"],
            *owner,
            detail=f"{state}, {instance_type}",
            needs=frozenset({*_surroundings(record), (Kind.BUCKET, scope.names.bucket)}),
            billed=Billed(Use.EC2, instance_type, 1) if state in _BILLED else None,
        )


def find_surroundings(clients: Clients, scope: Scope) -> Iterator[Thing]:
    """The trainings of which a role, a profile or a security group is there, whether or not there is an instance."""
    prefix = "" if scope.everywhere else instance_prefix(scope.names)
    found: dict[str, tuple[str, str]] = {}
    for tagged in (tagged_roles, tagged_profiles, tagged_groups):
        for name, tags in tagged(clients, prefix):
            owner = scope.owner(tags) if has_tag(tags, INSTANCE_TAG) else None
            if owner is not None:
                found.setdefault(name, owner)
    for name, owner in sorted(found.items()):
        yield Thing(Kind.SURROUNDINGS, name, *owner)


def terminate_instance(clients: Clients, thing: Thing) -> None:
    """Ask for its end."""
    unless_gone(partial(clients.ec2.terminate_instances, InstanceIds=[thing.name]))


def wait_until_terminated(clients: Clients, thing: Thing) -> None:
    """Until it has ended; its volume goes with it."""
    terminate(clients, thing.name)


def remove_surroundings(clients: Clients, thing: Thing) -> None:
    """Remove profile, role and security group of a training."""
    remove_profile(clients, thing.name)
    remove_group(clients, thing.name)


def _surroundings(record: dict[str, Any]) -> Iterator[Key]:
    for tag in record.get("Tags", []):
        if tag["Key"] == INSTANCE_TAG:
            yield Kind.SURROUNDINGS, tag["Value"]
