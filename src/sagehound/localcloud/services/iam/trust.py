"""Trust policies read: which principals a role names, and whether one of them may assume it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sagehound.localcloud.policy.decision import Query, denied_by_resource, granted_by_resource
from sagehound.localcloud.policy.document import compile_policy
from sagehound.localcloud.policy.principals import Grade, Principal, from_arn, service_principal
from sagehound.localcloud.services.iam import grammar, records
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
    kind = arn.resource.partition("/")[0]
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
    return records.by_arn(store, records.USER if kind == "user" else records.ROLE, value) is not None


def trusts_service(document: str, service: str, context: Mapping[str, str | list[str]]) -> bool:
    """Whether a service (`sagemaker.amazonaws.com`) may assume a role with this trust policy.

    The policy must name it: `"AWS": "*"` means people, and lets no service in.
    """
    return _grade(document, service_principal(service), "sts:AssumeRole", context) >= Grade.NAMED


def trusts_caller(
    document: str, arn: str, account_id: str, action: str, context: Mapping[str, str | list[str]], *, role_arn: str = ""
) -> bool:
    """Whether a principal of an account may call `action` (sts:AssumeRole, sts:TagSession) on the role.

    `role_arn` is that of a session's role; without it any role of the account with the session's role name is meant.
    """
    principal = from_arn(arn, role_arn=role_arn)
    return principal.account_id == account_id and _grade(document, principal, action, context) >= Grade.ACCOUNT


def _grade(document: str, principal: Principal, action: str, context: Mapping[str, str | list[str]]) -> Grade:
    """How closely the policy trusts a principal; an explicit Deny is final."""
    query = Query(action, "*", dict(context), principal)
    policy = compile_policy(document, "trust policy")
    if denied_by_resource(query, policy) is not None:
        return Grade.NONE
    granted = granted_by_resource(query, policy)
    return Grade.NONE if granted is None else granted.grade
