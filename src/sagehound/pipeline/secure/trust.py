"""Findings of trust: who may become a role, and whether a service may be talked into it by somebody else's account."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator

from sagehound.pipeline.secure.findings import CRITICAL, HIGH, MEDIUM, Finding
from sagehound.pipeline.secure.gathering import Role
from sagehound.pipeline.secure.statements import Document, Statement, member, statements_of

SAY_FOR_WHOM = frozenset(
    f"{service}.amazonaws.com"
    for service in ("sagemaker", "codebuild", "fis", "personalize", "states", "scheduler", "bedrock", "datazone")
)
"""Services whose guides say that they tell aws:SourceAccount when they take a role. Lambda and EC2 are not among them:
a role is passed inside its own account only, and a condition that the service does not fill would lock it out."""

_SOURCE = ("aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid", "aws:sourceorgpaths")
_NARROWING = ("aws:principalorgid", "aws:principalarn", "aws:principalaccount", "sts:externalid", "aws:userid")


def check_trust(role: Role, account_id: str) -> Iterator[Finding]:
    """What is too wide in a role's trust policy."""
    for statement in statements_of(role.trust):
        if not statement.is_allow:
            continue
        keys = condition_keys(statement)
        for principal in statement.principals("AWS"):
            yield from _aws_principal(role, statement, principal, keys, account_id)
        if "NotPrincipal" in statement.raw:
            yield _finding(role, statement, CRITICAL, "trusts everybody whom NotPrincipal does not name", "Name them.")
        for service in statement.principals("Service"):
            if service in SAY_FOR_WHOM and not keys & set(_SOURCE):
                yield _finding(
                    role,
                    statement,
                    MEDIUM,
                    f"trusts {service} for whichever account it works",
                    f"Add the condition StringEquals aws:SourceAccount {account_id}; `--apply` does.",
                    code="trust-without-source",
                    why="A service that may work for anybody can be sent by another account (confused deputy).",
                )


def tightened(role: Role, account_id: str) -> Document:
    """The trust policy with aws:SourceAccount where a service is trusted that says for whom it works."""
    document = copy.deepcopy(role.trust)
    listed = document["Statement"] if isinstance(document["Statement"], list) else [document["Statement"]]
    tight = []
    for raw in listed:
        statement = Statement(raw, 0)
        services = statement.principals("Service")
        asking = [service for service in services if service in SAY_FOR_WHOM]
        if not statement.is_allow or not asking or condition_keys(statement) & set(_SOURCE):
            tight.append(raw)
            continue
        others = {**raw["Principal"], "Service": member([service for service in services if service not in asking])}
        if not others["Service"]:
            del others["Service"]
        if others:
            tight.append({**raw, "Principal": others})
        condition = copy.deepcopy(raw.get("Condition") or {})
        condition.setdefault("StringEquals", {})["aws:SourceAccount"] = account_id
        tight.append({**raw, "Principal": {"Service": member(asking)}, "Condition": condition})
    return {**document, "Statement": tight}


def condition_keys(statement: Statement) -> set[str]:
    """The condition keys that a statement asks for, in small letters."""
    return {key.lower() for block in statement.condition.values() for key in block}


def _aws_principal(
    role: Role, statement: Statement, principal: str, keys: set[str], account_id: str
) -> Iterator[Finding]:
    limited = bool(keys & set(_NARROWING))
    if principal == "*" and not limited:
        way_out = "Name who may become it."
        yield _finding(role, statement, CRITICAL, "trusts everybody, of every AWS account", way_out)
    whole = re.fullmatch(r"(?:arn:aws[\w-]*:iam::)?(\d{12})(?::root)?", principal)
    if whole is None or limited:
        return
    if whole[1] == account_id:
        if not keys:
            way_out = "Name the roles or users that may become it."
            yield _finding(
                role, statement, MEDIUM, "trusts everybody of this account who may call sts:AssumeRole", way_out
            )
    else:
        way_out = "Ask for an sts:ExternalId that only they know, or name their role."
        yield _finding(role, statement, HIGH, f"trusts all of account {whole[1]} without a condition", way_out)


def _finding(
    role: Role,
    statement: Statement,
    severity: str,
    what: str,
    way_out: str,
    *,
    code: str = "wide-trust",
    why: str = "Whoever can become a role has all that the role has, however little that is called.",
) -> Finding:
    return Finding(
        severity=severity,
        code=code,
        where=role.where,
        what=what,
        why=why,
        way_out=way_out,
        policy="trust policy",
        evidence=({"statement": statement.name, "document": dict(statement.raw)},),
    )
