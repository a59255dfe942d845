"""The records of scalable targets, scaling policies and scheduled actions, each under the target that it belongs to."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from sagehound.localcloud.services.application_autoscaling.errors import no_target
from sagehound.localcloud.state import arns
from sagehound.localcloud.state.store import Record, Store

TARGET, POLICY, SCHEDULED = "scalable-target", "scaling-policy", "scheduled-action"
_NAMES = {POLICY: "PolicyName", SCHEDULED: "ScheduledActionName"}
_ARNS = {TARGET: "ScalableTargetARN", POLICY: "PolicyARN", SCHEDULED: "ScheduledActionARN"}
IDENTITY = ("ServiceNamespace", "ResourceId", "ScalableDimension")


class ScalingTable:
    """Reads and writes of the records. A record holds AWS's members and, with a small letter first, ours."""

    def __init__(self, store: Store, account_id: str) -> None:
        self.store = store
        self.account_id = account_id

    def target(self, region: str, request: Mapping[str, Any]) -> Record | None:
        """The scalable target that the three members of `request` name."""
        return self.store.get(TARGET, region, key(request))

    def registered(self, region: str, request: Mapping[str, Any]) -> Record:
        """The same; ObjectNotFoundException when it is not registered."""
        target = self.target(region, request)
        if target is None:
            raise no_target(request)
        return target

    def child(self, kind: str, region: str, request: Mapping[str, Any]) -> Record | None:
        """The policy or scheduled action that `request` names."""
        return self.store.get(kind, region, f"{key(request)}|{request[_NAMES[kind]]}")

    def children(self, kind: str, region: str, target: Mapping[str, Any]) -> list[Record]:
        """The policies or scheduled actions of one target, by name."""
        return [record for record in self.store.list(kind, region) if key(record) == key(target)]

    def put(self, kind: str, region: str, record: Record) -> None:
        """Keep a record."""
        self.store.put(kind, region, _name(kind, record), record)

    def delete(self, kind: str, region: str, record: Mapping[str, Any]) -> None:
        """Forget a record."""
        self.store.delete(kind, region, _name(kind, record))

    def matching(self, kind: str, region: str, request: Mapping[str, Any], names: str = "") -> list[Record]:
        """The records of a Describe request, ordered by what they are keyed by; `names` is its member with a list."""
        found = [one for one in self.store.list(kind, region) if _matches(one, request)]
        if names and request.get(names):
            member = "ResourceId" if kind == TARGET else _NAMES[kind]
            found = [one for one in found if one[member] in request[names]]
        return sorted(found, key=lambda record: sorting(kind, record))

    def everywhere(self, kind: str) -> list[tuple[str, Record]]:
        """(region, record) of every record of a kind."""
        return [(arns.parse(record[_ARNS[kind]]).region, record) for record in self.store.list(kind)]

    def arn(self, region: str, kind: str, record: Mapping[str, Any], uuid: str) -> str:
        """The ARN of a policy or a scheduled action: both are named as parts of the older autoscaling service."""
        what, member = {POLICY: ("scalingPolicy", "policyName"), SCHEDULED: ("scheduledAction", "scheduledActionName")}[
            kind
        ]
        resource = f"resource/{record['ServiceNamespace']}/{record['ResourceId']}"
        name = record[_NAMES[kind]]
        return arns.make("autoscaling", region, self.account_id, f"{what}:{uuid}:{resource}:{member}/{name}")

    def target_arn(self, region: str) -> str:
        """The ARN of a new scalable target: nothing in it says what is scaled."""
        return arns.make("application-autoscaling", region, self.account_id, f"scalable-target/{secrets.token_hex(18)}")


def key(record: Mapping[str, Any]) -> str:
    """What a target is stored under."""
    return f"{record['ScalableDimension']}|{record['ResourceId']}"


def sorting(kind: str, record: Mapping[str, Any]) -> str:
    """What records of a kind are ordered by."""
    return _name(kind, record)


def shown(record: Mapping[str, Any], leaving: Iterable[str] = ()) -> Record:
    """AWS's members of a record."""
    left = set(leaving)
    return {name: value for name, value in record.items() if name[0].isupper() and name not in left}


def _name(kind: str, record: Mapping[str, Any]) -> str:
    return key(record) if kind == TARGET else f"{key(record)}|{record[_NAMES[kind]]}"


def _matches(record: Mapping[str, Any], request: Mapping[str, Any]) -> bool:
    return all(record[member] == request[member] for member in IDENTITY if member in request)
