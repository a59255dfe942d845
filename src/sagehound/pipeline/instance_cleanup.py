"""Clean-up of EC2 trainings: instances, and the profiles, roles and security groups that an interruption left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sagehound.pipeline.aws_errors import answer_unless, aws_step
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.instance_machine import Machine, project_machines, terminate
from sagehound.pipeline.instance_plan import INSTANCE_TAG, has_tag, instance_prefix
from sagehound.pipeline.instance_role import remove_group, remove_profile
from sagehound.pipeline.names import PROJECT_TAG, Names


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
        runs = {*_roles(clients, names), *_profiles(clients, names), *_groups(clients, names)}
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


def _roles(clients: Clients, names: Names) -> list[str]:
    """IAM's lists show no tags: the name's beginning chooses, the tag decides."""
    pages = clients.iam.get_paginator("list_roles").paginate()
    begun = [one["RoleName"] for page in pages for one in page["Roles"] if _may_be(names, one["RoleName"])]
    return [name for name in begun if _ours(names, clients.iam.get_role(RoleName=name)["Role"].get("Tags", []))]


def _profiles(clients: Clients, names: Names) -> list[str]:
    iam = clients.iam
    pages = iam.get_paginator("list_instance_profiles").paginate()
    listed = (one["InstanceProfileName"] for page in pages for one in page["InstanceProfiles"])
    begun = [name for name in listed if _may_be(names, name)]
    return [
        name
        for name in begun
        if _ours(names, iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"].get("Tags", []))
    ]


def _groups(clients: Clients, names: Names) -> list[str]:
    filters = [{"Name": f"tag:{PROJECT_TAG}", "Values": [names.project]}]
    pages = clients.ec2.get_paginator("describe_security_groups").paginate(Filters=filters)
    groups = (one for page in pages for one in page["SecurityGroups"])
    return [one["GroupName"] for one in groups if _ours(names, one.get("Tags", []))]


def _may_be(names: Names, name: str) -> bool:
    return name.startswith(instance_prefix(names))


def _ours(names: Names, tags: Sequence[dict[str, str]]) -> bool:
    return has_tag(tags, PROJECT_TAG, names.project) and has_tag(tags, INSTANCE_TAG)
