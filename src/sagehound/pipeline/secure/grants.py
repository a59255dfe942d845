"""Findings of what a policy grants: wildcards, FullAccess policies, iam:PassRole on everything, allows by exclusion."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from sagehound.pipeline.secure import catalogue
from sagehound.pipeline.secure.findings import CRITICAL, HIGH, LOW, MEDIUM, Finding, milder, worst
from sagehound.pipeline.secure.gathering import Role
from sagehound.pipeline.secure.patterns import is_pattern
from sagehound.pipeline.secure.statements import Policy, Statement

_SHOWN = 3
_EVERYTHING = ("AdministratorAccess", "PowerUserAccess")

WHY = {
    "action-wildcard": "A wildcard grants what exists today and whatever AWS adds tomorrow; nobody decided on that.",
    "resource-wildcard": "Whoever holds this role can do it to everything of that kind in the account.",
    "allow-by-exclusion": "NotAction and NotResource allow all that they do not name, services of the future included.",
    "full-access-policy": "It is written for administrators: it grants a whole service and its neighbours.",
    "pass-role": "Who can pass any role can start something that runs as a more powerful one.",
}
_WAY_OUT = {
    "action-wildcard": "Name the actions that are called; `--apply` writes the policy below.",
    "resource-wildcard": "Name the resources; `--apply` writes the policy below.",
    "allow-by-exclusion": "Say in Action and Resource what is needed; `--apply` writes the policy below.",
    "full-access-policy": "Detach it and grant what is called; `--apply` does both.",
    "pass-role": "Name the role that is passed, and the service in a condition on iam:PassedToService.",
}


class Wide(NamedTuple):
    """One thing that is too wide in one statement."""

    code: str
    severity: str
    statement: Statement
    text: str


def check_policy(role: Role, policy: Policy) -> list[Finding]:
    """One finding for each kind of width in a policy, the statements as its evidence."""
    found: dict[str, list[Wide]] = defaultdict(list)
    for statement in policy.statements:
        if statement.is_allow:
            for wide in _widths(statement):
                found[wide.code].append(wide)
    findings = [_finding(role, policy, code, wides) for code, wides in found.items()]
    return [*_full_access(role, policy), *findings]


def any_resource(statement: Statement) -> bool:
    """Whether the statement reaches every resource of some kind."""
    return bool(statement.not_resources) or any(names_everything(pattern) for pattern in statement.resources)


def names_everything(resource: str) -> bool:
    """Whether a pattern names nothing in particular: *, or an ARN whose own part begins with a wildcard."""
    if resource.strip("*") == "":
        return True
    parts = resource.split(":", 5)
    if len(parts) < 6:
        return False
    own = parts[5]
    # type/name and type:name; S3 has names only.
    name = own if parts[2] == "s3" else own.replace(":", "/", 1).partition("/")[2] or own
    return name.startswith("*")


def _widths(statement: Statement) -> Iterator[Wide]:
    anywhere = any_resource(statement)
    step = 1 if statement.condition else 0
    if statement.not_actions:
        severity = CRITICAL if anywhere else HIGH
        text = f"allows every action of every service except {_few(statement.not_actions)}"
        yield Wide("allow-by-exclusion", milder(severity, step), statement, text)
    elif statement.not_resources:
        text = f"allows {_few(statement.actions)} on everything except {_few(statement.not_resources)}"
        yield Wide("allow-by-exclusion", milder(HIGH, step), statement, text)
    for action in statement.actions:
        if "*" in action or "?" in action:
            yield Wide("action-wildcard", milder(_wildcard(action, anywhere), step), statement, _meaning(action))
    yield from _resource_width(statement, step)
    if statement.names_action("iam:PassRole") and _passes_any(statement):
        severity = HIGH if "iam:PassedToService" in str(statement.condition) else CRITICAL
        text = f"allows iam:PassRole on {_few(statement.resources or ['everything not excluded'])}"
        yield Wide("pass-role", severity, statement, text)


def _resource_width(statement: Statement, step: int) -> Iterator[Wide]:
    """Actions that are named, could be limited to a resource, and are not."""
    if not any(names_everything(pattern) for pattern in statement.resources):
        return
    named = [action for action in statement.actions if "*" not in action and "?" not in action]
    limitable = [action for action in named if catalogue.takes_resource(action) and action.lower() != "iam:passrole"]
    if not limitable:
        return
    severity = worst([_reach(action) for action in limitable])
    everything = [pattern for pattern in statement.resources if names_everything(pattern)]
    text = f"allows {_few(limitable)} on {_few(everything)}"
    yield Wide("resource-wildcard", milder(severity, step), statement, text)


def _wildcard(action: str, anywhere: bool) -> str:
    service, _, name = action.partition(":")
    if "*" in service or "?" in service:
        return CRITICAL if anywhere else HIGH
    severity = HIGH if name == "*" else MEDIUM
    return severity if anywhere else milder(severity)


def _reach(action: str) -> str:
    level = catalogue.access_level(action)
    if level == catalogue.PERMISSIONS:
        return HIGH
    return LOW if level in catalogue.READING else MEDIUM


def _meaning(action: str) -> str:
    if action == "*":
        return "allows every action of every service"
    stands_for = catalogue.expand(action)
    return f"allows {action}: {len(stands_for)} action{'' if len(stands_for) == 1 else 's'}"


def _passes_any(statement: Statement) -> bool:
    if statement.not_resources:
        return True
    for pattern in statement.resources:
        name = pattern.rpartition("/")[2] if ":role/" in pattern else pattern
        if is_pattern(name) and name.startswith(("*", "arn:")):
            return True
    return False


def _full_access(role: Role, policy: Policy) -> Iterator[Finding]:
    everything = policy.name in _EVERYTHING
    if not policy.arn or not (everything or policy.name.endswith("FullAccess")):
        return
    allowing = [statement for statement in policy.statements if statement.is_allow]
    explicit = [statement for statement in allowing if not statement.not_actions and "*" not in statement.actions]
    actions = {action for statement in explicit for action in catalogue.granted_by(statement)}
    served = {catalogue.service_of(action) for action in actions}
    reach = f"{len(actions):,} actions of {len(served)} services" if len(explicit) == len(allowing) else "everything"
    yield Finding(
        severity=CRITICAL if everything else HIGH,
        code="full-access-policy",
        where=role.where,
        what=f"{policy.kind} {policy.name} is attached: {reach}",
        why=WHY["full-access-policy"],
        way_out=_WAY_OUT["full-access-policy"],
        policy=policy.name,
        evidence=({"arn": policy.arn},),
    )


def _finding(role: Role, policy: Policy, code: str, wides: list[Wide]) -> Finding:
    more = f", and {len(wides) - 1} more like it" if len(wides) > 1 else ""
    hardest = worst([wide.severity for wide in wides])
    first = next(wide for wide in wides if wide.severity == hardest)
    return Finding(
        severity=hardest,
        code=code,
        where=role.where,
        what=f"{policy.kind} {policy.name} {first.text}{more}",
        why=WHY[code],
        way_out=_WAY_OUT[code],
        policy=policy.name,
        evidence=tuple(_evidence(wide) for wide in wides),
    )


def _evidence(wide: Wide) -> dict[str, Any]:
    return {"statement": wide.statement.name, "says": wide.text, "document": dict(wide.statement.raw)}


def _few(values: list[str]) -> str:
    shown = ", ".join(values[:_SHOWN])
    return shown if len(values) <= _SHOWN else f"{shown} and {len(values) - _SHOWN} more"
