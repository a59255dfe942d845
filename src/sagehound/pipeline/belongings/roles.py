"""Roles of jobs, endpoints, functions and notebooks: found by their tags and by the project's policies on them"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from sagehound.pipeline.belongings.gone import unless_gone
from sagehound.pipeline.belongings.thing import Kind, Scope, Thing
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.names import LEAST_SUFFIX, PROJECT_TAG, ROLE_TAG
from sagehound.pipeline.notebook import notebook_name

_OF_INSTANCES = "instance"
_OF_JOBS = "training"
_SERVICE_ROLES = "/aws-service-role/"
_TRAINING_SUFFIX = "-training"


def find_roles(clients: Clients, scope: Scope, others: Iterable[Thing] = ()) -> Iterator[Thing]:
    """The roles of the project (of every one), and of what ``others`` need; those of EC2 go with their instances.

    One role may serve several projects: it goes with the last of them, and before that only a project's policy does.
    """
    from botocore.exceptions import ClientError

    refused = None
    for name in _names(clients, scope, others):
        try:
            thing = _role(clients, scope, name)
        except ClientError as error:
            # Who may not look into one role may know of the others: they are found before it is told.
            refused = error
            continue
        if thing is not None:
            yield thing
    if refused is not None:
        raise refused


def delete_role(clients: Clients, thing: Thing) -> None:
    """With whatever it holds."""
    unless_gone(partial(_delete_role, clients, thing.name))


def delete_policies(clients: Clients, thing: Thing) -> None:
    """The project's inline policies; the role stays."""
    for policy in thing.parts:
        unless_gone(partial(clients.iam.delete_role_policy, RoleName=thing.name, PolicyName=policy))


def _names(clients: Clients, scope: Scope, others: Iterable[Thing]) -> list[str]:
    needed = [name for one in others for kind, name in sorted(one.needs) if kind is Kind.ROLE]
    names = scope.names
    own = [names.role, names.function_role, notebook_name(names)]
    if scope.everywhere:
        pages = clients.iam.get_paginator("list_roles").paginate()
        own += [one["RoleName"] for page in pages for one in page["Roles"] if one["Path"] != _SERVICE_ROLES]
    return list(dict.fromkeys([*own, *needed]))


def _role(clients: Clients, scope: Scope, name: str) -> Thing | None:
    found = unless_gone(partial(clients.iam.get_role, RoleName=name))
    if found is None:
        return None
    tags = {tag["Key"]: tag["Value"] for tag in found["Role"].get("Tags", [])}
    made_for = tags.get(ROLE_TAG)
    if made_for == _OF_JOBS:
        return _shared(clients, scope, name, tags)
    if made_for is None and name == scope.names.role:
        # Somebody's own role, which the project was told to use.
        ours = _of_project(scope, _inline(clients, name))
        return Thing(Kind.POLICY, name, scope.names.project, parts=tuple(ours)) if ours else None
    owner = scope.owner(tags)
    return Thing(Kind.ROLE, name, *owner) if owner and made_for not in (None, _OF_INSTANCES) else None


def _shared(clients: Clients, scope: Scope, name: str, tags: dict[str, str]) -> Thing | None:
    """A role for jobs and endpoints: whole where nobody else has anything on it."""
    inline = _inline(clients, name)
    ours = [one for one in inline if one.endswith((_TRAINING_SUFFIX, LEAST_SUFFIX))]
    ours = ours if scope.everywhere else _of_project(scope, inline)
    owner = scope.owner(tags)
    if not ours and (owner is None or inline):
        return None
    attached = clients.iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    project, run = owner or (tags.get(PROJECT_TAG, scope.names.project), "")
    if attached or set(inline) - set(ours):
        return Thing(Kind.POLICY, name, project, parts=tuple(ours)) if ours else None
    return Thing(Kind.ROLE, name, project, run)


def _of_project(scope: Scope, inline: Sequence[str]) -> list[str]:
    """The inline policies that the project has put there."""
    return [one for one in inline if one in (scope.names.policy, scope.names.least_policy)]


def _inline(clients: Clients, name: str) -> list[str]:
    pages: Any = clients.iam.get_paginator("list_role_policies").paginate(RoleName=name)
    return [one for page in pages for one in page["PolicyNames"]]


def _delete_role(clients: Clients, name: str) -> None:
    for page in clients.iam.get_paginator("list_attached_role_policies").paginate(RoleName=name):
        for policy in page["AttachedPolicies"]:
            clients.iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
    for policy_name in _inline(clients, name):
        clients.iam.delete_role_policy(RoleName=name, PolicyName=policy_name)
    clients.iam.delete_role(RoleName=name)
