"""The decision: may this principal do this to that resource, and which statement says so.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from sagehound.localcloud.policy.document import Policy, Statement
from sagehound.localcloud.policy.patterns import Facts, FactsWithTags
from sagehound.localcloud.policy.principals import Grade, Principal

Verdict = Literal["allowed", "explicitDeny", "implicitDeny"]
By = Literal["identity-based policy", "resource-based policy", "permissions boundary", "session policy", "root user"]


@dataclass(slots=True)
class Query:
    """One question. Context keys may be written in any case; several values of a key are a list.

    Not frozen, which would double the time that making one takes; nobody changes it.
    """

    action: str
    resource: str
    context: Mapping[str, str | list[str]]
    principal: Principal
    tags: Callable[[], Mapping[str, str]] | None = None
    """The tags of the resource as context, keys in lower case: asked for once a policy speaks of them."""
    facts: Facts = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # A key without values is none; one whose value is empty text is there.
        known = {
            key.lower(): value if isinstance(value, str) else tuple(value)
            for key, value in self.context.items()
            if value or isinstance(value, str)
        }
        self.facts = known if self.tags is None else FactsWithTags(known, self.tags)


@dataclass(frozen=True, slots=True)
class Policies:
    """What a principal carries. `session` is None without session policies; an empty tuple allows nothing."""

    identity: tuple[Policy, ...] = ()
    boundary: Policy | None = None
    session: tuple[Policy, ...] | None = None


class Decision(NamedTuple):
    """The answer, and what decided it; an implicit deny names the kind of policy that should have allowed."""

    allowed: bool
    verdict: Verdict
    by: By
    policy: str = ""
    statement: str = ""


class Found(NamedTuple):
    """The statement of a policy that applies."""

    policy: Policy
    statement: Statement
    grade: Grade = Grade.NONE


def decide(
    query: Query, policies: Policies, resource_policy: Policy | None = None, *, same_account: bool = True
) -> Decision:
    """Explicit denies first, then who allows.

    `same_account` says whether resource and principal are of one account. A role's trust policy is the resource policy
    of `sts:` actions: unlike others it must name the account before the account's own policies count.
    """
    identity_allow, deny = _search(policies.identity, query)
    if deny is not None:
        return _explicit("identity-based policy", deny)
    boundary_allow, deny = (None, None) if policies.boundary is None else _search((policies.boundary,), query)
    if deny is not None:
        return _explicit("permissions boundary", deny)
    session_allow, deny = (None, None) if policies.session is None else _search(policies.session, query)
    if deny is not None:
        return _explicit("session policy", deny)
    granted: Found | None = None
    if resource_policy is not None:
        deny = denied_by_resource(query, resource_policy, bounded=policies.boundary is not None)
        if deny is not None:
            return _explicit("resource-based policy", deny)
        granted = granted_by_resource(query, resource_policy)
    grade = Grade.NONE if granted is None else granted.grade
    direct = _allowed("resource-based policy", granted) if granted is not None else None

    kind = query.principal.kind
    if kind in ("anonymous", "service", "federated"):
        return direct if direct is not None and grade >= Grade.EVERYONE else _implicit("resource-based policy")
    if kind == "root":
        if same_account:
            return Decision(True, "allowed", "root user")
        return direct if direct is not None else _implicit("resource-based policy")
    if same_account:
        if direct is not None and grade >= Grade.EVERYONE:
            return direct  # granted to the user or session itself, beyond boundary and session policies
        needs_account = resource_policy is not None and query.action[:4].lower() == "sts:"
        by_identity = identity_allow is not None and (grade >= Grade.ACCOUNT or not needs_account)
        if not by_identity and grade < Grade.ROLE:
            blocked: By = "resource-based policy" if identity_allow is not None else "identity-based policy"
            return _implicit(blocked)
        allowed = direct if identity_allow is None or not by_identity else None
    else:
        if identity_allow is None:
            return _implicit("identity-based policy")
        if grade < Grade.ACCOUNT:
            return _implicit("resource-based policy")
        allowed = None
    if policies.boundary is not None and boundary_allow is None:
        return _implicit("permissions boundary")
    if policies.session is not None and session_allow is None:
        return _implicit("session policy")
    if allowed is not None:
        return allowed
    assert identity_allow is not None
    return _allowed("identity-based policy", identity_allow)


def _search(policies: Iterable[Policy], query: Query) -> tuple[Found | None, Found | None]:
    """(allowing, denying): the first statements of these policies that apply; a deny ends the search."""
    resource, facts = query.resource, query.facts
    allowing: Found | None = None
    for policy in policies:
        denies, allows = policy.about(query.action)
        for statement in denies:
            if statement.applies(resource, facts):
                return None, Found(policy, statement)
        if allowing is None:
            for statement in allows:
                if statement.applies(resource, facts):
                    allowing = Found(policy, statement)
                    break
    return allowing, None


def denied_by_resource(query: Query, policy: Policy, *, bounded: bool = False) -> Found | None:
    """The statement of a resource policy that denies, if one does.

    A Deny with NotPrincipal denies every principal that has a permissions boundary, whomever it lists:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
    """
    for statement in policy.about(query.action)[0]:
        means = (bounded and statement.inverted) or statement.grade(query.principal)
        if means and statement.applies(query.resource, query.facts):
            return Found(policy, statement, Grade.EVERYONE)
    return None


def granted_by_resource(query: Query, policy: Policy) -> Found | None:
    """The statement of a resource policy that allows and means the principal most closely, if one does."""
    best: Found | None = None
    for statement in policy.about(query.action)[1]:
        grade = statement.grade(query.principal)
        if grade > (best.grade if best is not None else Grade.NONE) and statement.applies(query.resource, query.facts):
            best = Found(policy, statement, grade)
    return best


def matching(query: Query, policies: Sequence[Policy], *, resource_policy: bool = False) -> list[Found]:
    """Every statement that applies, denying and allowing ones, in the order of the documents."""
    found = []
    for policy in policies:
        for statement in policy.statements:
            grade = statement.grade(query.principal) if resource_policy else Grade.NONE
            if resource_policy and not grade:
                continue
            if statement.action(query.action) and statement.applies(query.resource, query.facts):
                found.append(Found(policy, statement, grade))
    return found


def _explicit(by: By, found: Found) -> Decision:
    return Decision(False, "explicitDeny", by, found.policy.name, found.statement.label)


def _allowed(by: By, found: Found) -> Decision:
    return Decision(True, "allowed", by, found.policy.name, found.statement.label)


def _implicit(by: By) -> Decision:
    return Decision(False, "implicitDeny", by)
