"""What a project has in Lambda, found by its tag, and deleted: functions with versions and aliases, logs, roles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from sagehound.pipeline.aws_errors import answer_unless
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.log_tail import function_group
from sagehound.pipeline.names import Names

_MISSING = ("ResourceNotFoundException", "NoSuchEntity")


@dataclass(frozen=True)
class FunctionBelongings:
    """Functions of the project, and the roles that were made for them."""

    functions: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """One line per thing that would be deleted."""
        return [f"function {name} (versions, aliases, log)" for name in self.functions] + [
            f"role {name}" for name in self.roles
        ]


def find_functions(clients: Clients, names: Names) -> FunctionBelongings:
    """The functions that carry the project's tag, whatever their names, and those of their roles that do."""
    tag = names.tags[0]
    functions, roles = [], {names.function_role: None}
    for function in _functions(clients):
        tags = _unless_missing(partial(clients.lambda_.list_tags, Resource=function["FunctionArn"]))
        if tags and tags.get("Tags", {}).get(tag["Key"]) == tag["Value"]:
            functions.append(function["FunctionName"])
            roles.setdefault(function["Role"].rpartition("/")[2])
    ours = []
    for name in roles:
        found = _unless_missing(partial(clients.iam.get_role, RoleName=name))
        if found and tag in found["Role"].get("Tags", []):
            ours.append(name)
    return FunctionBelongings(tuple(functions), tuple(ours))


def _functions(clients: Clients) -> list[dict[str, Any]]:
    """Every function of the account; none for who may not list them: they have made none, and delete the rest."""
    pages = clients.lambda_.get_paginator("list_functions").paginate()
    found = answer_unless(lambda: list(pages), "AccessDeniedException")
    return [function for page in found or [] for function in page["Functions"]]


def delete_functions(clients: Clients, found: FunctionBelongings) -> None:
    """Delete functions with all that hangs on them, then their logs, then the roles with whatever they hold."""
    for name in found.functions:
        _unless_missing(partial(clients.lambda_.delete_function, FunctionName=name))
        _unless_missing(partial(clients.logs.delete_log_group, logGroupName=function_group(name)))
    for name in found.roles:
        _unless_missing(partial(_delete_role, clients, name))


def _delete_role(clients: Clients, name: str) -> None:
    for page in clients.iam.get_paginator("list_attached_role_policies").paginate(RoleName=name):
        for policy in page["AttachedPolicies"]:
            clients.iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
    for page in clients.iam.get_paginator("list_role_policies").paginate(RoleName=name):
        for policy_name in page["PolicyNames"]:
            clients.iam.delete_role_policy(RoleName=name, PolicyName=policy_name)
    clients.iam.delete_role(RoleName=name)


def _unless_missing(ask: Callable[[], Any]) -> Any:
    """The answer, or None for what is not there (any more)."""
    return answer_unless(ask, *_MISSING)
