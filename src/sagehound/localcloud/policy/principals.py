"""Who asks, and whether the Principal or NotPrincipal of a resource policy's statement means it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

Kind = Literal["user", "session", "root", "service", "federated", "anonymous"]


class Grade(IntEnum):
    """How closely a statement means a principal: what it grants depends on it."""

    NONE = 0
    ACCOUNT = 1
    """By its account, which only hands the decision to the account's own policies."""
    ROLE = 2
    """By the role of the session: boundaries and session policies still limit what is granted."""
    EVERYONE = 3
    NAMED = 4


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: an IAM user, a role's session, root, a service, somebody of an identity provider, or nobody known."""

    arn: str
    """A service's name (`lambda.amazonaws.com`) and a provider's stand here too; empty for anonymous."""
    account_id: str
    kind: Kind
    role_arn: str = ""
    """Of a session; when it is not known, the role is found by the name that is in the session's ARN."""
    unique_id: str = ""
    """AIDA... of a user, AROA...:SESSION of a session."""
    canonical_id: str = ""
    _named: frozenset[str] = field(init=False, repr=False, compare=False)
    _account: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_named", frozenset({self.arn, self.unique_id} - {""}))
        account = {self.account_id, f"arn:aws:iam::{self.account_id}:root"} if self.account_id else set()
        object.__setattr__(self, "_account", frozenset(account))

    def graded(self, named: Named) -> Grade:
        """How closely a list of principals means this one."""
        if self.kind == "anonymous":
            return Grade.EVERYONE if named.everyone else Grade.NONE
        if self.kind in ("service", "federated"):
            listed = named.services if self.kind == "service" else named.federated
            return Grade.NAMED if self.arn in listed else Grade.EVERYONE if named.everyone else Grade.NONE
        if not self._named.isdisjoint(named.aws) or self.canonical_id in named.canonical_users:
            return Grade.NAMED
        if named.everyone:
            return Grade.EVERYONE
        if self.kind == "session" and self._by_role(named.aws):
            return Grade.ROLE
        return Grade.NONE if self._account.isdisjoint(named.aws) else Grade.ACCOUNT

    def _by_role(self, aws: frozenset[str]) -> bool:
        if self.unique_id and self.unique_id.partition(":")[0] in aws:
            return True
        if self.role_arn:
            return self.role_arn in aws
        prefix, name = f"arn:aws:iam::{self.account_id}:role/", self.arn.split("/")[1]
        return any(value.startswith(prefix) and value.rpartition("/")[2] == name for value in aws)


ANONYMOUS = Principal("", "", "anonymous")


def service_principal(name: str) -> Principal:
    """An AWS service that acts for itself."""
    return Principal(name, "", "service")


def from_arn(arn: str, *, role_arn: str = "", unique_id: str = "") -> Principal:
    """The principal that GetCallerIdentity names by this ARN."""
    fields = arn.split(":", 5)
    if len(fields) != 6:
        raise ValueError(f"not the ARN of a principal: {arn!r}")
    account, resource = fields[4], fields[5]
    kind: Kind = "user"
    if resource == "root":
        kind = "root"
    elif resource.startswith("assumed-role/"):
        kind = "session"
    return Principal(arn, account, kind, role_arn=role_arn, unique_id=unique_id)


@dataclass(frozen=True, slots=True)
class Named:
    """The principals that a statement lists, by kind."""

    everyone: bool
    aws: frozenset[str]
    services: frozenset[str]
    federated: frozenset[str]
    canonical_users: frozenset[str]


def compile_principals(element: Any) -> Named:
    """A Principal or NotPrincipal element; ValueError for what is none."""
    if element == "*":
        return Named(True, frozenset(), frozenset(), frozenset(), frozenset())
    if not isinstance(element, Mapping) or not element:
        raise ValueError("Principal is neither '*' nor a map")
    lists: dict[str, frozenset[str]] = {}
    for kind, values in element.items():
        listed = [values] if isinstance(values, str) else values
        if kind not in ("AWS", "Service", "Federated", "CanonicalUser") or not isinstance(listed, list):
            raise ValueError(f"Principal has an unknown kind: {kind!r}")
        if not all(isinstance(value, str) for value in listed):
            raise ValueError(f"Principal {kind!r} holds what is no text")
        lists[kind] = frozenset(listed) - {""}
    none: frozenset[str] = frozenset()
    aws = lists.get("AWS", none)
    return Named(
        everyone="*" in aws,
        aws=aws - {"*"},
        services=lists.get("Service", none),
        federated=lists.get("Federated", none),
        canonical_users=lists.get("CanonicalUser", none),
    )
