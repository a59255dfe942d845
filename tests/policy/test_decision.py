"""Decisions: who must allow what, and which statement is named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sagehound.localcloud.policy.decision import Decision, Policies, Query, decide
from sagehound.localcloud.policy.document import Policy, compile_policy
from sagehound.localcloud.policy.principals import ANONYMOUS, Principal, from_arn, service_principal
from tests.policy.cases import ACCOUNT, CANONICAL, OTHER, ROLE, SESSION, USER

ALICE = from_arn(USER, unique_id="AIDAALICE")
JOB = from_arn(SESSION, role_arn=ROLE, unique_id="AROATRAINER:job")
ROOT = from_arn(f"arn:aws:iam::{ACCOUNT}:root")
EVE = from_arn(f"arn:aws:iam::{OTHER}:user/eve")
LAMBDA = service_principal("lambda.amazonaws.com")
GOOGLE = Principal("accounts.google.com", "", "federated")


def policy(*statements: dict[str, Any], name: str = "p") -> Policy:
    """A policy whose statements allow everything, but for what they say."""
    filled = [{"Effect": "Allow", "Action": "*", "Resource": "*", **statement} for statement in statements]
    made = compile_policy(json.dumps({"Version": "2012-10-17", "Statement": filled}), name)
    assert not made.error
    return made


ALLOW, DENY, NOTHING = policy({}), policy({"Effect": "Deny", "Sid": "No"}, name="d"), policy({"Action": "x:y"})


def ask(
    policies: Policies, resource_policy: Policy | None = None, *, who: Principal = ALICE, action: str = "s3:GetObject"
) -> Decision:
    """The decision about an object, or a role, of our account."""
    question = Query(action, "arn:aws:s3:::dogs/a", {}, who)
    return decide(question, policies, resource_policy, same_account=who.account_id == ACCOUNT)


def to(*people: str, **kinds: Any) -> Policy:
    """A resource policy that allows everything to these."""
    return policy({"Principal": kinds or {"AWS": list(people)}}, name="bucket")


@pytest.mark.parametrize(
    ("policies", "attached", "verdict", "by"),
    [
        (Policies((ALLOW,)), None, "allowed", "identity-based policy"),
        (Policies(()), None, "implicitDeny", "identity-based policy"),
        (Policies((ALLOW, DENY)), None, "explicitDeny", "identity-based policy"),
        (Policies((ALLOW,), boundary=ALLOW), None, "allowed", "identity-based policy"),
        (Policies((ALLOW,), boundary=NOTHING), None, "implicitDeny", "permissions boundary"),
        (Policies((), boundary=ALLOW), None, "implicitDeny", "identity-based policy"),
        (Policies((ALLOW,), boundary=DENY), None, "explicitDeny", "permissions boundary"),
        (Policies((ALLOW,), session=(NOTHING, ALLOW)), None, "allowed", "identity-based policy"),
        (Policies((ALLOW,), session=(NOTHING,)), None, "implicitDeny", "session policy"),
        (Policies((ALLOW,), session=()), None, "implicitDeny", "session policy"),
        (Policies((ALLOW,), session=(ALLOW, DENY)), None, "explicitDeny", "session policy"),
        (Policies((ALLOW,)), policy({"Effect": "Deny", "Principal": "*"}), "explicitDeny", "resource-based policy"),
        (Policies(()), to(USER), "allowed", "resource-based policy"),
        (Policies((), boundary=NOTHING), to(USER), "allowed", "resource-based policy"),
        (Policies((), boundary=DENY), to(USER), "explicitDeny", "permissions boundary"),
        (Policies(()), to(ACCOUNT), "implicitDeny", "identity-based policy"),
        (Policies(()), to("*"), "allowed", "resource-based policy"),
        (Policies(()), to(OTHER, ROLE), "implicitDeny", "identity-based policy"),
    ],
)
def test_one_account(policies: Policies, attached: Policy | None, verdict: str, by: str) -> None:
    decision = ask(policies, attached)
    assert (decision.verdict, decision.by, decision.allowed) == (verdict, by, verdict == "allowed")


@pytest.mark.parametrize(
    ("policies", "attached", "verdict", "by"),
    [
        (Policies(()), to(ROLE), "allowed", "resource-based policy"),
        (Policies((), boundary=NOTHING), to(ROLE), "implicitDeny", "permissions boundary"),
        (Policies((), session=(NOTHING,)), to(ROLE), "implicitDeny", "session policy"),
        (Policies((), boundary=NOTHING, session=(NOTHING,)), to(SESSION), "allowed", "resource-based policy"),
        (Policies((), boundary=NOTHING, session=(NOTHING,)), to("*"), "allowed", "resource-based policy"),
        (Policies((), boundary=NOTHING, session=(DENY,)), to(SESSION), "explicitDeny", "session policy"),
    ],
)
def test_a_grant_to_the_role_is_limited_and_one_to_the_session_is_not(
    policies: Policies, attached: Policy, verdict: str, by: str
) -> None:
    decision = ask(policies, attached, who=JOB)
    assert (decision.verdict, decision.by) == (verdict, by)


@pytest.mark.parametrize(
    ("policies", "attached", "verdict", "by"),
    [
        (Policies((ALLOW,)), None, "implicitDeny", "resource-based policy"),
        (Policies(()), to(OTHER), "implicitDeny", "identity-based policy"),
        (Policies((ALLOW,)), to(OTHER), "allowed", "identity-based policy"),
        (Policies((ALLOW,)), to(EVE.arn), "allowed", "identity-based policy"),
        (Policies((ALLOW,), boundary=NOTHING), to(EVE.arn), "implicitDeny", "permissions boundary"),
        (Policies((ALLOW,)), to(ACCOUNT), "implicitDeny", "resource-based policy"),
    ],
)
def test_two_accounts_must_both_allow(policies: Policies, attached: Policy | None, verdict: str, by: str) -> None:
    decision = ask(policies, attached, who=EVE)
    assert (decision.verdict, decision.by) == (verdict, by)


@pytest.mark.parametrize(
    ("who", "principal", "allowed"),
    [
        (ALICE, {"AWS": USER}, True),
        (ALICE, {"AWS": "AIDAALICE"}, True),
        (ALICE, {"AWS": USER.replace("/team", "")}, False),
        (JOB, {"AWS": ROLE}, True),
        (JOB, {"AWS": "AROATRAINER"}, True),
        (JOB, {"AWS": ROLE.replace("/service", "")}, False),
        (JOB, {"AWS": SESSION}, True),
        (JOB, {"AWS": SESSION.replace("job", "other")}, False),
        (LAMBDA, {"Service": ["s3.amazonaws.com", "lambda.amazonaws.com"]}, True),
        (LAMBDA, {"Service": "s3.amazonaws.com"}, False),
        (LAMBDA, {"AWS": "lambda.amazonaws.com"}, False),
        (LAMBDA, {"AWS": ACCOUNT}, False),
        (LAMBDA, "*", True),
        (GOOGLE, {"Federated": "accounts.google.com"}, True),
        (GOOGLE, {"Service": "accounts.google.com"}, False),
        (ANONYMOUS, "*", True),
        (ANONYMOUS, {"AWS": "*"}, True),
        (ANONYMOUS, {"AWS": ["", USER]}, False),
        (ANONYMOUS, {"Service": "lambda.amazonaws.com"}, False),
        (Principal(USER, ACCOUNT, "user", canonical_id=CANONICAL), {"CanonicalUser": CANONICAL}, True),
        (ALICE, {"CanonicalUser": CANONICAL}, False),
        (ALICE, {"CanonicalUser": ""}, False),
    ],
)
def test_principals(who: Principal, principal: Any, allowed: bool) -> None:
    found = policy({"Principal": principal})
    question = Query("s3:GetObject", "arn:aws:s3:::dogs/a", {}, who)
    assert decide(question, Policies(()), found).allowed is allowed
    denied = decide(question, Policies((ALLOW,)), policy({"Effect": "Deny", "Principal": principal}))
    assert (denied.verdict == "explicitDeny") is allowed


def test_not_principal_means_all_others() -> None:
    guarded = policy({"Effect": "Deny", "NotPrincipal": {"AWS": [USER, ROLE]}})
    carried = Policies((ALLOW,))
    assert ask(carried, guarded).allowed
    assert ask(carried, guarded, who=JOB).allowed
    assert ask(carried, guarded, who=from_arn(f"arn:aws:iam::{ACCOUNT}:user/bob")).verdict == "explicitDeny"
    assert ask(Policies(()), guarded, who=ANONYMOUS).verdict == "explicitDeny"
    # "explicitly denies all principals access ... except for the user named Bob": his account is listed with him.
    with_account = policy({"Effect": "Deny", "NotPrincipal": {"AWS": [USER, f"arn:aws:iam::{ACCOUNT}:root"]}})
    assert ask(carried, with_account).allowed
    assert ask(carried, with_account, who=from_arn(f"arn:aws:iam::{ACCOUNT}:user/bob")).verdict == "explicitDeny"
    # "will always deny any IAM principal that has a permissions boundary policy attached"
    assert ask(Policies((ALLOW,), boundary=ALLOW), guarded).by == "resource-based policy"


def test_an_allow_with_not_principal_lets_the_unnamed_in() -> None:
    public = policy({"NotPrincipal": {"AWS": USER}})
    assert ask(Policies(()), public, who=ANONYMOUS).allowed
    assert not ask(Policies(()), public).allowed


def test_a_trust_policy_must_name_the_account_or_the_caller() -> None:
    carried = Policies((ALLOW,))
    for trusted, allowed in ((to(ACCOUNT), True), (to(USER), True), (to(OTHER), False), (to(ROLE), False)):
        assert ask(carried, trusted, action="sts:AssumeRole").allowed is allowed
    assert ask(Policies(()), to(USER), action="sts:AssumeRole").allowed
    assert ask(Policies(()), to(ACCOUNT), action="sts:AssumeRole").by == "identity-based policy"
    assert ask(carried, to(OTHER), action="sts:AssumeRole").by == "resource-based policy"
    assert ask(carried, action="sts:GetSessionToken").allowed


def test_root_is_stopped_by_a_resource_policy_only() -> None:
    assert ask(Policies(()), who=ROOT).by == "root user"
    assert ask(Policies(()), policy({"Effect": "Deny", "Principal": "*"}), who=ROOT).verdict == "explicitDeny"
    stranger = from_arn(f"arn:aws:iam::{OTHER}:root")
    assert not ask(Policies(()), to(USER), who=stranger).allowed
    assert ask(Policies(()), to(OTHER), who=stranger).allowed


def test_services_and_strangers_have_no_policies_of_their_own() -> None:
    for who in (LAMBDA, ANONYMOUS, GOOGLE):
        assert ask(Policies((ALLOW,)), who=who).by == "resource-based policy"
        assert not ask(Policies((ALLOW,)), who=who).allowed


def test_the_statement_that_decided_is_named() -> None:
    two = policy({"Action": "s3:Put*"}, {"Action": "s3:Get*", "Sid": "Read"}, name="reader")
    assert ask(Policies((NOTHING, two))) == Decision(True, "allowed", "identity-based policy", "reader", "Read")
    unnamed = policy({"Action": "s3:Put*"}, {"Effect": "Deny", "Action": "s3:Get*"}, name="writer")
    expected = Decision(False, "explicitDeny", "identity-based policy", "writer", "statement 2")
    assert ask(Policies((two, unnamed))) == expected
    assert ask(Policies((NOTHING,))) == Decision(False, "implicitDeny", "identity-based policy")


def test_what_is_no_arn_is_no_principal() -> None:
    with pytest.raises(ValueError, match="not the ARN of a principal"):
        from_arn("alice")
