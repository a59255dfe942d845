"""Log groups whose endpoint or function is gone already, which an interrupted clean-up leaves: found and removed"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from sagehound.pipeline.belongings.gone import unless_gone
from sagehound.pipeline.belongings.thing import Kind, Scope, Thing
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.log_tail import endpoint_group, function_group


def find_log_groups(clients: Clients, scope: Scope, writers: Iterable[Thing]) -> Iterator[Thing]:
    """Groups that carry a tag of the scope; those of these endpoints and functions go with them, and are not told."""
    of = {Kind.ENDPOINT: endpoint_group, Kind.FUNCTION: function_group}
    told = {of[one.kind](one.name) for one in writers if one.kind in of}
    function = "" if scope.everywhere else scope.names.function
    for prefix in (endpoint_group(""), function_group(function)):
        for page in clients.logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix):
            for group in page["logGroups"]:
                if group["logGroupName"] in told:
                    continue
                arn = group["arn"].removesuffix(":*")
                tags = unless_gone(partial(clients.logs.list_tags_for_resource, resourceArn=arn))
                owner = scope.owner(tags.get("tags", {})) if tags else None
                if owner is not None:
                    yield Thing(Kind.LOG_GROUP, group["logGroupName"], *owner)


def delete_log_group(clients: Clients, thing: Thing) -> None:
    """Gone at once."""
    unless_gone(partial(clients.logs.delete_log_group, logGroupName=thing.name))
