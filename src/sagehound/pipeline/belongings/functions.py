"""Lambda functions with versions, aliases and logs: found, whatever their names, and removed"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from sagehound.pipeline.belongings.gone import unless_gone
from sagehound.pipeline.belongings.places import of_role
from sagehound.pipeline.belongings.thing import Kind, Scope, Thing
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.log_tail import function_group


def find_functions(clients: Clients, scope: Scope) -> Iterator[Thing]:
    """The functions that carry a tag of the scope; each needs the role that it runs as."""
    for page in clients.lambda_.get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            told = unless_gone(partial(clients.lambda_.list_tags, Resource=function["FunctionArn"]))
            owner = scope.owner(told.get("Tags", {})) if told else None
            if owner is not None:
                needs = frozenset(of_role(function["Role"]))
                yield Thing(
                    Kind.FUNCTION, function["FunctionName"], *owner, detail="versions, aliases, log", needs=needs
                )


def delete_function(clients: Clients, thing: Thing) -> None:
    """With all that hangs on it; then its log."""
    unless_gone(partial(clients.lambda_.delete_function, FunctionName=thing.name))
    unless_gone(partial(clients.logs.delete_log_group, logGroupName=function_group(thing.name)))
