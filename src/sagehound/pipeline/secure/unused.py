"""Findings of what nobody used: permissions that no call of the run needed, and roles that nobody took."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from sagehound.pipeline.secure import catalogue
from sagehound.pipeline.secure.events import unseen
from sagehound.pipeline.secure.findings import HIGH, LOW, MEDIUM, Finding
from sagehound.pipeline.secure.gathering import Role
from sagehound.pipeline.secure.kept import Kept, kept_grants, reason_for
from sagehound.pipeline.secure.statements import Policy
from sagehound.pipeline.secure.used import Usage

_LAST_USED_DELAY = timedelta(hours=4)
"""How long it may take on AWS until a role's last use is told."""
_MANY = 50
_SHOWN = 3
_WHY = "What is not needed serves only the one who gets in: it is the difference between a leak and a disaster."


def check_unused(role: Role, usage: Usage) -> Iterator[Finding]:
    """Policies with permissions that were not used, and a role that was not used at all."""
    if not usage.calls:
        known = usage.whole or usage.until - role.created > _LAST_USED_DELAY
        if usage.read and known and role.last_used is None:
            yield _unused_role(role, usage)
        return
    for policy in role.policies:
        finding = _unused_permissions(role, policy, usage)
        if finding is not None:
            yield finding


def kept_unused(role: Role, usage: Usage) -> list[Kept]:
    """What the pipeline's own policies keep though a role that was used did not call it, with the reasons."""
    return sorted({kept for _, _, kept in kept_grants(role, usage)}) if usage.calls else []


def _unused_permissions(role: Role, policy: Policy, usage: Usage) -> Finding | None:
    excluding = [one for one in policy.statements if one.is_allow and one.not_actions]
    granted = {
        action
        for statement in policy.statements
        if statement.is_allow and not statement.not_actions
        for action in catalogue.granted_by(statement)
    }
    own = role.keeps(policy)
    unused = sorted(
        action
        for action in granted
        if not usage.used(action) and not (own and reason_for(action)) and (usage.whole or not unseen(action))
    )
    if not unused or excluding:
        return None  # an allow by exclusion is a finding of its own, and has no end that could be counted
    dangerous = [action for action in unused if catalogue.access_level(action) == catalogue.PERMISSIONS]
    shown = dangerous[:_SHOWN] or unused[:_SHOWN]
    more = f" and {len(unused) - len(shown):,} more" if len(unused) > len(shown) else ""
    return Finding(
        severity=HIGH if dangerous else MEDIUM if len(unused) > _MANY else LOW,
        code="unused-permissions",
        where=role.where,
        what=(
            f"{policy.kind} {policy.name}: {len(unused):,} of {len(granted):,} actions were not used "
            f"{usage.span}: {', '.join(shown)}{more}"
        ),
        why=_WHY,
        way_out="Grant what is called; `--apply` writes the policy below. Does a job run more seldom than that?",
        policy=policy.name,
        evidence=({"unused": unused, "since": usage.since.isoformat(), "until": usage.until.isoformat()},),
    )


def _unused_role(role: Role, usage: Usage) -> Finding:
    return Finding(
        severity=LOW,
        code="unused-role",
        where=role.where,
        what=f"nobody has used it since it was made on {role.created:%Y-%m-%d %H:%M} UTC (looked at {usage.span})",
        why="A role that nobody needs is a door that nobody watches.",
        way_out=f"Delete it: `aws iam delete-role --role-name {role.name}`, its policies first.",
    )
