"""Trust policies read: which principals a role names, and whether one of them may assume it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from sagehound.localcloud.services.iam import grammar, records
from sagehound.localcloud.services.iam.conditions import holds
from sagehound.localcloud.state import arns
from sagehound.localcloud.state.store import Store

_SERVICE = re.compile(r"[a-z0-9.-]+\.(amazonaws\.com(\.cn)?|amazon\.com|aws\.internal)")
_ACCOUNT = re.compile(r"\d{12}")
_UNIQUE_ID = re.compile(r"A(IDA|ROA)[A-Z0-9]{16,17}")


def check_principals(policy: dict[str, Any], store: Store, account_id: str) -> None:
    """Refuse principals that cannot be: a user or role of this account that does not exist, a service that is none."""
    for statement in grammar.statements(policy):
        for kind, value in grammar.principals(statement):
            if kind == "AWS" and not _exists(value, store, account_id):
                raise grammar.malformed(f'Invalid principal in policy: "AWS":"{value}"')
            if kind == "Service" and not _SERVICE.fullmatch(value):
                raise grammar.malformed(f'Invalid principal in policy: "SERVICE":"{value}"')


def _exists(value: str, store: Store, account_id: str) -> bool:
    if value == "*" or _ACCOUNT.fullmatch(value) or _UNIQUE_ID.fullmatch(value):
        return True
    try:
        arn = arns.parse(value)
    except ValueError:
        return False
    kind, _, name = arn.resource.partition("/")
    if arn.service == "sts":
        return kind in ("assumed-role", "federated-user")
    if arn.service != "iam" or not _ACCOUNT.fullmatch(arn.account_id):
        return False
    if arn.resource == "root":
        return True
    if "*" in value or kind not in ("user", "role"):
        return False
    if arn.account_id != account_id:
        return True
    found = store.get(records.USER if kind == "user" else records.ROLE, "", name.rpartition("/")[2].lower())
    return found is not None and found["Arn"] == value


def trusts_service(document: str, service: str, context: Mapping[str, str]) -> bool:
    """Whether a service (`sagemaker.amazonaws.com`) may assume a role with this trust policy."""
    return _allowed(document, "sts:AssumeRole", lambda kind, value: kind == "Service" and value == service, context)


def trusts_caller(document: str, arn: str, account_id: str, action: str, context: Mapping[str, str]) -> bool:
    """Whether a principal of an account may call `action` (sts:AssumeRole, sts:TagSession) on the role."""
    names = {arn, account_id, f"arn:aws:iam::{account_id}:root", "*"}
    parsed = arns.parse(arn)
    if parsed.service == "sts" and parsed.resource.startswith("assumed-role/"):
        # The principal of a session is its role, whatever the role's path.
        role = parsed.resource.split("/")[1]
        return _allowed(
            document,
            action,
            lambda kind, value: kind == "AWS" and (value in names or _is_role(value, account_id, role)),
            context,
        )
    return _allowed(document, action, lambda kind, value: kind == "AWS" and value in names, context)


def _is_role(value: str, account_id: str, role: str) -> bool:
    return value.startswith(f"arn:aws:iam::{account_id}:role/") and value.rpartition("/")[2] == role


def _allowed(document: str, action: str, is_principal: Any, context: Mapping[str, str]) -> bool:
    """An explicit Deny is final; otherwise one Allow is enough."""
    allowed = False
    for statement in grammar.statements(grammar.parse(document)):
        named = any(is_principal(kind, value) for kind, value in grammar.principals(statement))
        if "NotPrincipal" in statement:
            named = not named
        # A condition that is not understood keeps nobody in and nobody out: it never allows, and always denies.
        holding = holds(statement.get("Condition", {}), context, unknown=statement["Effect"] == "Deny")
        if not named or not _covers(statement, action) or not holding:
            continue
        if statement["Effect"] == "Deny":
            return False
        allowed = True
    return allowed


def _covers(statement: dict[str, Any], action: str) -> bool:
    listed = grammar.strings(statement.get("Action", statement.get("NotAction", [])))
    found = any(fnmatchcase(action.lower(), pattern.lower()) for pattern in listed)
    return found if "Action" in statement else not found
