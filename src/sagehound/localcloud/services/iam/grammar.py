"""The grammar of policy documents: what IAM refuses at the door as MalformedPolicyDocument.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.policy import text

_VERSIONS = ("2008-10-17", "2012-10-17")
_TOP = frozenset({"Version", "Id", "Statement"})
_STATEMENT = frozenset(
    "Sid Effect Principal NotPrincipal Action NotAction Resource NotResource Condition".split()  # noqa: SIM905
)
_OPERATORS = frozenset(
    "StringEquals StringNotEquals StringEqualsIgnoreCase StringNotEqualsIgnoreCase StringLike StringNotLike "  # noqa: SIM905
    "NumericEquals NumericNotEquals NumericLessThan NumericLessThanEquals NumericGreaterThan NumericGreaterThanEquals "
    "DateEquals DateNotEquals DateLessThan DateLessThanEquals DateGreaterThan DateGreaterThanEquals Bool BinaryEquals "
    "IpAddress NotIpAddress ArnEquals ArnLike ArnNotEquals ArnNotLike Null".split()
)
_TRUST_ACTIONS = frozenset(
    "sts:AssumeRole sts:AssumeRoleWithSAML sts:AssumeRoleWithWebIdentity sts:TagSession sts:SetSourceIdentity "  # noqa: SIM905
    "sts:SetContext sts:AssumeRoot sts:* *".split()
)
_ACTION = re.compile(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?_-]+")
_SID = re.compile(r"[A-Za-z0-9]*")
_VARIABLE_OR_WILDCARD = re.compile(r"[*?$]")


def parse(document: str) -> dict[str, Any]:
    """The policy as JSON; MalformedPolicyDocument when it is none."""
    try:
        policy = text.parse(document)
    except (ValueError, RecursionError) as reason:
        raise malformed("Syntax errors in policy.") from reason
    if not isinstance(policy, dict):
        raise malformed("Syntax errors in policy.")
    return policy


def statements(policy: dict[str, Any]) -> list[dict[str, Any]]:
    """The statements, of which one may stand without a list."""
    found = policy.get("Statement", [])
    return found if isinstance(found, list) else [found]


def strings(value: Any) -> list[str]:
    """A string or a list of strings, as a list."""
    return [value] if isinstance(value, str) else list(value)


def check_identity_policy(document: str) -> dict[str, Any]:
    """A policy of a user or a role: actions and resources, no principal."""
    policy = _checked(document)
    for statement in statements(policy):
        if "Principal" in statement or "NotPrincipal" in statement:
            raise malformed("Policy document should not specify a principal.")
        if "Resource" not in statement and "NotResource" not in statement:
            raise malformed("Policy statement must contain resources.")
        for resource in strings(statement.get("Resource", statement.get("NotResource"))):
            _check_resource(resource)
    return policy


def check_trust_policy(document: str) -> dict[str, Any]:
    """A role's trust policy: principals and the actions of STS, no resource."""
    policy = _checked(document)
    for statement in statements(policy):
        if "Resource" in statement or "NotResource" in statement:
            raise malformed("Has prohibited field Resource")
        if "Principal" not in statement and "NotPrincipal" not in statement:
            raise malformed("Missing required field Principal")
        for action in strings(statement.get("Action", statement.get("NotAction"))):
            if action not in _TRUST_ACTIONS:
                raise malformed("AssumeRole policy may only specify STS AssumeRole actions.")
        for _ in principals(statement):
            pass
    return policy


def principals(statement: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(kind, value) of a statement's principals: `AWS`, `Service`, `Federated` or `CanonicalUser`."""
    principal = statement.get("Principal", statement.get("NotPrincipal"))
    if principal == "*":
        yield "AWS", "*"
        return
    if not isinstance(principal, dict) or not principal:
        raise malformed("Invalid principal in policy.")
    for kind, values in principal.items():
        if kind not in ("AWS", "Service", "Federated", "CanonicalUser") or not _is_strings(values):
            raise malformed("Invalid principal in policy.")
        for value in strings(values):
            yield kind, value


def malformed(message: str) -> AwsError:
    """IAM's error for a document that is no policy."""
    return AwsError("MalformedPolicyDocument", message)


def size(document: str) -> int:
    """Characters that count against the quotas: white space does not."""
    return len("".join(document.split()))


def _checked(document: str) -> dict[str, Any]:
    policy = parse(document)
    if policy.keys() - _TOP or not isinstance(policy.get("Id", ""), str):
        raise malformed("Syntax errors in policy.")
    if policy.get("Version", _VERSIONS[0]) not in _VERSIONS:
        raise malformed("Syntax errors in policy.")
    if "Statement" not in policy:
        raise malformed("Missing required field Statement")
    found = statements(policy)
    if not found or not all(isinstance(statement, dict) for statement in found):
        raise malformed("Syntax errors in policy.")
    for statement in found:
        _check_statement(statement)
    named = [statement["Sid"] for statement in found if statement.get("Sid")]
    if len(named) != len(set(named)):
        raise malformed("Statement IDs (SID) in a single policy must be unique.")
    return policy


def _check_statement(statement: dict[str, Any]) -> None:
    if statement.keys() - _STATEMENT:
        raise malformed("Syntax errors in policy.")
    effect = statement.get("Effect")
    if effect is None:
        raise malformed("Missing required field Effect")
    if effect not in ("Allow", "Deny"):
        raise malformed(f"Invalid effect: {effect}")
    for name, opposite in (("Action", "NotAction"), ("Resource", "NotResource"), ("Principal", "NotPrincipal")):
        if name in statement and opposite in statement:
            raise malformed("Syntax errors in policy.")
    sid = statement.get("Sid", "")
    if not isinstance(sid, str):
        raise malformed("Syntax errors in policy.")
    if not _SID.fullmatch(sid):
        raise malformed(
            f"Statement IDs (SID) must be alpha-numeric. Check that your input satisfies [0-9A-Za-z]*: {sid}"
        )
    for name in ("Action", "NotAction", "Resource", "NotResource"):
        if name in statement and not _is_strings(statement[name]):
            raise malformed("Syntax errors in policy.")
    actions = strings(statement.get("Action", statement.get("NotAction", [])))
    if not actions:
        raise malformed("Policy statement must contain actions.")
    for action in actions:
        _check_action(action)
    _check_condition(statement.get("Condition", {}))


def _is_strings(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))


def _check_action(action: str) -> None:
    if _ACTION.fullmatch(action):
        return
    vendor, colon, _ = action.partition(":")
    if not colon:
        raise malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
    if not re.fullmatch(r"[A-Za-z0-9-]+", vendor):
        raise malformed(f"Vendor {vendor} is not valid")
    raise malformed("The policy failed legacy parsing")


def _check_resource(resource: str) -> None:
    if resource == "*":
        return
    fields = resource.split(":", 5)
    if fields[0] != "arn":
        raise malformed(f'Resource {resource} must be in ARN format or "*".')
    if len(fields) < 6:
        raise malformed("The policy failed legacy parsing")
    _, partition, vendor, region, _, _ = fields
    if not re.fullmatch(r"aws(-cn|-us-gov)?|\*", partition):
        raise malformed(f'Partition "{partition}" is not valid for resource "{resource}".')
    if not vendor or _VARIABLE_OR_WILDCARD.search(vendor):
        raise malformed("Resource vendor must be fully qualified and cannot contain regexes.")
    if vendor == "iam" and region:
        raise malformed(f"IAM resource {resource} cannot contain region information.")
    if vendor == "s3" and region:
        raise malformed(f"Resource {resource} can not contain region information.")


def _check_condition(condition: Any) -> None:
    if not isinstance(condition, dict):
        raise malformed("Syntax errors in policy.")
    for operator, keys in condition.items():
        name = operator.removeprefix("ForAnyValue:").removeprefix("ForAllValues:").removesuffix("IfExists")
        if name not in _OPERATORS or (name == "Null" and operator.endswith("IfExists")):
            raise malformed(f"Invalid Condition type : {operator}.")
        if not isinstance(keys, dict):
            raise malformed("Syntax errors in policy.")
        for key, values in keys.items():
            if ":" not in key:
                raise malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
            listed = values if isinstance(values, list) else [values]
            if any(isinstance(value, dict | list) or value is None for value in listed):
                raise malformed("Syntax errors in policy.")
