"""What a simulation is asked: the policies that have a say, who calls, and what is known of the request."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sagehound.localcloud.call import Request
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.policy import patterns
from sagehound.localcloud.policy.decision import Policies as PolicySet
from sagehound.localcloud.policy.document import Policy, compile_once, compile_policy
from sagehound.localcloud.policy.principals import Principal, from_arn
from sagehound.localcloud.policy.text import StatementText, statements
from sagehound.localcloud.services.iam import aws_policies, grammar, records
from sagehound.localcloud.services.iam.policies import Policies
from sagehound.localcloud.state import arns
from sagehound.localcloud.state.store import Record, Store

_ACTION = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9]+")
_KINDS = {"user": records.USER, "role": records.ROLE}


@dataclass(frozen=True)
class Source:
    """A policy of a simulation, and where it comes from. What a request brings is not kept beyond it."""

    id: str
    kind: str
    """user, role, aws-managed, user-managed, resource or none: AWS's PolicySourceType."""
    text: str
    arn: str = ""

    @functools.cached_property
    def policy(self) -> Policy:
        """The document, compiled."""
        brought = self.kind in ("resource", "none")
        return compile_once(self.text, self.id) if brought else compile_policy(self.text, self.id)

    @functools.cached_property
    def written(self) -> tuple[StatementText, ...]:
        """Its statements as text."""
        return statements(self.text)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that decides, but for the action and the resource."""

    identity: tuple[Source, ...]
    boundary: Source | None
    attached: Source | None
    """The policy that every resource of the simulation has."""
    principal: Principal
    context: dict[str, str | list[str]]
    owner: str
    """The account of resources whose ARN does not say it."""

    @property
    def policies(self) -> PolicySet:
        """What the caller carries."""
        boundary = None if self.boundary is None else self.boundary.policy
        return PolicySet(tuple(source.policy for source in self.identity), boundary)

    @property
    def sources(self) -> list[Source]:
        """Every policy."""
        return [*self.identity, *(source for source in (self.boundary, self.attached) if source is not None)]


class Held:
    """The policies of users and roles, with where each comes from."""

    def __init__(self, store: Store, policies: Policies) -> None:
        self._store = store
        self._policies = policies

    def entity(self, arn: str) -> tuple[str, Record]:
        """("user" or "role", record) of an ARN; NoSuchEntity, or InvalidInput for the ARN of something else."""
        kind, _, path = arn.rpartition(":")[2].partition("/")
        if kind not in _KINDS or not arn.startswith("arn:aws:iam::"):
            raise invalid(f"Invalid Entity Arn: {arn} does not clearly define entity type and name.")
        record = records.by_arn(self._store, _KINDS[kind], arn)
        if record is None:
            raise AwsError("NoSuchEntity", f"The {kind} with name {path.rpartition('/')[2]} cannot be found.", 404)
        return kind, record

    def policies_of(self, arn: str) -> list[Source]:
        """The inline and the managed policies of a user or role."""
        kind, record = self.entity(arn)
        inline = [Source(name, kind, text) for name, text in record["InlinePolicies"].items()]
        return inline + [self.managed(policy) for policy in record["AttachedPolicies"]]

    def boundary_of(self, arn: str) -> Source | None:
        """The permissions boundary of a user or role."""
        held = self.entity(arn)[1].get("PermissionsBoundary")
        return None if held is None else self.managed(held["PermissionsBoundaryArn"])

    def managed(self, arn: str) -> Source:
        """A managed policy, in the text that GetPolicyVersion shows."""
        kind = "aws-managed" if aws_policies.is_aws(arn) else "user-managed"
        return Source(arn.rpartition("/")[2], kind, self._policies.document(arn), arn)


def given(request: Request, member: str) -> Iterator[Source]:
    """The policies that a request brings, checked."""
    for number, text in enumerate(request.get(member, []), 1):
        try:
            grammar.check_identity_policy(text)
        except AwsError as reason:
            raise invalid(f"{member}.{number}: {reason.message}") from reason
        yield Source(f"{member}.{number}", "none", text)


def boundary(request: Request) -> Source | None:
    """The boundary that a request brings: one at most."""
    found = list(given(request, "PermissionsBoundaryPolicyInputList"))
    if len(found) > 1:
        raise invalid("You can input only one permissions boundary policy.")
    return found[0] if found else None


def attached(request: Request) -> Source | None:
    """The resource policy that a request brings."""
    if "ResourcePolicy" not in request:
        return None
    source = Source("ResourcePolicy", "resource", request["ResourcePolicy"])
    if source.policy.error:
        raise invalid(f"ResourcePolicy: {source.policy.error}")
    if any(statement.named is None for statement in source.policy.statements):
        raise invalid("ResourcePolicy: Missing required field Principal")
    return source


def caller(arn: str | None, account_id: str) -> Principal:
    """Who is simulated to call; without an ARN anybody of the account, as only resource policies ask."""
    if arn is None:
        return Principal("", account_id, "user")
    kind, _, path = arn.rpartition(":")[2].partition("/")
    if not arn.startswith("arn:aws:iam::") or kind not in _KINDS:
        raise invalid(f"Invalid CallerArn: {arn} is not the ARN of an IAM user or role.")
    if kind == "user":
        return from_arn(arn)
    account = arns.parse(arn).account_id
    session = arns.make("sts", "", account, f"assumed-role/{path.rpartition('/')[2]}/simulation")
    return Principal(session, account, "session", role_arn=arn)


def owner(request: Request, principal: Principal) -> str:
    """ResourceOwner is an account's number or its ARN; the caller's account without it."""
    return str(request.get("ResourceOwner", principal.account_id)).removeprefix("arn:aws:iam::").removesuffix(":root")


def context(request: Request, principal: Principal) -> dict[str, str | list[str]]:
    """The context keys of a request, over those that the caller's ARN tells."""
    found: dict[str, str | list[str]] = {"aws:principalaccount": principal.account_id}
    if principal.arn:
        found["aws:principalarn"] = principal.role_arn or principal.arn
        found["aws:principaltype"] = "User" if principal.kind == "user" else "AssumedRole"
        if principal.kind == "user":
            found["aws:username"] = principal.arn.rpartition("/")[2]
    for entry in request.get("ContextEntries", []):
        if "ContextKeyName" not in entry:
            raise invalid("A context entry has no ContextKeyName.")
        values = entry.get("ContextKeyValues", [])
        several = entry.get("ContextKeyType", "string").endswith("List") or len(values) != 1
        found[entry["ContextKeyName"].lower()] = values if several else values[0]
    return found


def actions(request: Request) -> list[str]:
    """The actions, each with its service and without wildcards."""
    for action in request["ActionNames"]:
        if not _ACTION.fullmatch(action):
            raise invalid(f"Invalid action name: {action}. It is to be service:Operation, without wildcards.")
    return list(request["ActionNames"])


def without(sources: list[Source], request: Request, entity: str) -> list[Source]:
    """The policies that PolicyExclusionList leaves; `entity` is the name of the user or role that holds them."""
    left = sources
    for excluded in request.get("PolicyExclusionList", []):
        left = [source for source in left if not _is(source, excluded, entity)]
    return left


def _is(source: Source, excluded: dict[str, Any], entity: str) -> bool:
    if "PolicyType" in excluded:
        inline = source.kind in _KINDS
        return bool(excluded["PolicyType"] == ("inline" if inline else source.kind))
    if "PolicyArn" in excluded:
        return _like(source.arn, excluded["PolicyArn"])
    wanted = excluded.get("InlinePolicyIdentifier")
    return (
        wanted is not None
        and (source.kind, source.id) == (wanted["AttachmentType"], wanted["PolicyName"])
        and _like(entity, wanted["AttachmentName"])
    )


def _like(text: str, pattern: str) -> bool:
    return patterns.filled_text_match(patterns.parse(pattern, variables=False))(text) is not None


def invalid(message: str) -> AwsError:
    """IAM's error for an input of a simulation that cannot be."""
    return AwsError("InvalidInput", message)
