"""Clean-up of EC2 trainings: instances, and the profiles, roles and security groups that an interruption left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from sagehound.pipeline.aws_errors import answer_unless, aws_step
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.instance_machine import Machine, project_machines, terminate
from sagehound.pipeline.instance_plan import INSTANCE_TAG, has_tag, instance_prefix
from sagehound.pipeline.instance_role import remove_group, remove_profile
from sagehound.pipeline.names import PROJECT_TAG, Names

Tags = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class InstanceBelongings:
    """What a project has of EC2 trainings."""

    machines: tuple[Machine, ...] = ()
    """Those that are not terminated."""
    surroundings: tuple[str, ...] = ()
    """Names of trainings that have a profile, a role or a security group."""

    def lines(self) -> list[str]:
        """One line per thing that would be deleted."""
        return [
            *(f"instance {one.instance_id} ({one.state}, {one.instance_type})" for one in self.machines),
            *(f"role, instance profile and security group {run}" for run in self.surroundings),
        ]

    def only(self, instance_ids: Sequence[str]) -> InstanceBelongings:
        """These instances, and what surrounds no other one."""
        chosen = tuple(one for one in self.machines if one.instance_id in instance_ids)
        kept = {one.run for one in self.machines if one not in chosen}
        runs = {one.run for one in chosen} - kept
        return InstanceBelongings(chosen, tuple(run for run in self.surroundings if run in runs))


def find_instances(clients: Clients, names: Names) -> InstanceBelongings:
    """What clean-up would delete: what carries the project's tag."""
    with aws_step("delete"):
        machines = project_machines(clients, names)
        prefix = instance_prefix(names)
        lists = (tagged_roles(clients, prefix), tagged_profiles(clients, prefix), tagged_groups(clients, prefix))
        runs = {name for each in lists for name, tags in each if _ours(names, tags)}
    return InstanceBelongings(tuple(machines), tuple(sorted(runs)))


def delete_instances(clients: Clients, found: InstanceBelongings) -> None:
    """Terminate the instances, wait for their end, and remove what surrounded them; safe to repeat."""
    with aws_step("delete"):
        for machine in found.machines:
            # All are asked before any is waited for.
            ask = partial(clients.ec2.terminate_instances, InstanceIds=[machine.instance_id])
            answer_unless(ask, "InvalidInstanceID.NotFound")
        for machine in found.machines:
            terminate(clients, machine.instance_id)
        for run in found.surroundings:
            remove_profile(clients, run)
            remove_group(clients, run)


def tagged_roles(clients: Clients, prefix: str) -> Iterator[tuple[str, Tags]]:
    """Roles whose names begin so, with their tags: IAM's lists show none."""
    for page in clients.iam.get_paginator("list_roles").paginate():
        for name in (one["RoleName"] for one in page["Roles"] if one["RoleName"].startswith(prefix)):
            found = answer_unless(partial(clients.iam.get_role, RoleName=name), "NoSuchEntity")
            if found is not None:
                yield name, found["Role"].get("Tags", [])


def tagged_profiles(clients: Clients, prefix: str) -> Iterator[tuple[str, Tags]]:
    """Instance profiles whose names begin so, with their tags."""
    iam = clients.iam
    for page in iam.get_paginator("list_instance_profiles").paginate():
        for name in (one["InstanceProfileName"] for one in page["InstanceProfiles"]):
            if name.startswith(prefix):
                found = answer_unless(partial(iam.get_instance_profile, InstanceProfileName=name), "NoSuchEntity")
                if found is not None:
                    yield name, found["InstanceProfile"].get("Tags", [])


def tagged_groups(clients: Clients, prefix: str) -> Iterator[tuple[str, Tags]]:
    """Security groups of projects whose names begin so, with their tags."""
    filters = [{"Name": "tag-key", "Values": [PROJECT_TAG]}]
    for page in clients.ec2.get_paginator("describe_security_groups").paginate(Filters=filters):
        for group in page["SecurityGroups"]:
            if group["GroupName"].startswith(prefix):
                yield group["GroupName"], group.get("Tags", [])


def _ours(names: Names, tags: Tags) -> bool:
    return has_tag(tags, PROJECT_TAG, names.project) and has_tag(tags, INSTANCE_TAG)
