"""The least that a role needs: of each statement that was used, the actions that were, on what they were used on."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sagehound.pipeline.secure import catalogue
from sagehound.pipeline.secure.events import Use, unseen
from sagehound.pipeline.secure.gathering import Role
from sagehound.pipeline.secure.generalise import generalise
from sagehound.pipeline.secure.patterns import covers
from sagehound.pipeline.secure.statements import Document, Policy, Statement, member, texts
from sagehound.pipeline.secure.used import Usage

Grant = tuple[Policy, Statement]


@dataclass
class Need:
    """What one statement of a policy is needed for."""

    policy: Policy
    statement: Statement
    resources: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By action; an empty set: the history does not say on what, so the statement's own resources stay."""


def needs_of(role: Role, usage: Usage) -> list[Need]:
    """Each used permission at the one statement that is to keep it; what no statement allows any more is left out."""
    needs: dict[tuple[str, int], Need] = {}
    for use in usage.uses.values():
        chosen = _keeper(role, use)
        if chosen is not None:
            policy, statement = chosen
            need = needs.setdefault((policy.arn or policy.name, statement.number), Need(policy, statement))
            need.resources[use.action] |= {use.resource} if use.resource else set()
    if not usage.whole:
        _add_unseen(role, needs)
    return list(needs.values())


def minimal_statements(needs: Iterable[Need], project: str) -> list[dict[str, Any]]:
    """Allow statements for the needs, nothing wider than granted; equal resources and conditions stand in one."""
    grouped: dict[str, tuple[tuple[str, ...], Mapping[str, Any], set[str]]] = {}
    for need in needs:
        for action, resources in need.resources.items():
            kept = tuple(sorted(_resources(need.statement, action, resources, project)))
            condition = need.statement.condition
            key = json.dumps([kept, condition], sort_keys=True)
            grouped.setdefault(key, (kept, condition, set()))[2].add(action)
    statements = []
    for resources_kept, condition, actions in grouped.values():
        statement: dict[str, Any] = {
            "Effect": "Allow",
            "Action": member(sorted(actions)),
            "Resource": member(list(resources_kept)),
        }
        statements.append({**statement, "Condition": dict(condition)} if condition else statement)
    return sorted(statements, key=lambda one: (texts(one["Action"]), texts(one["Resource"])))


def minimal_document(policies: Iterable[Policy], needs: Iterable[Need], project: str) -> Document | None:
    """One policy that replaces several; None where nothing of them is needed. What they deny, it denies."""
    replaced = list(policies)
    marks = {policy.arn or policy.name for policy in replaced}
    allowing = minimal_statements((need for need in needs if (need.policy.arn or need.policy.name) in marks), project)
    denying = [dict(one.raw) for policy in replaced for one in policy.statements if not one.is_allow]
    if not allowing:
        return None
    return {"Version": "2012-10-17", "Statement": [*allowing, *denying]}


def _keeper(role: Role, use: Use) -> Grant | None:
    """The statement that keeps a use: an inline one without condition, the one that decided, or any that covers it."""
    covering = [
        (policy, statement)
        for policy in role.policies
        for statement in policy.statements
        if statement.is_allow and statement.names_action(use.action) and _covers(statement, use)
    ]
    # A condition is not seen in the history: where another statement decided, its condition may not have held.
    plain = [grant for grant in covering if not grant[0].arn and not grant[1].condition]
    decided = [grant for grant in covering if _decided(grant, use)]
    unconditional = [grant for grant in covering if not grant[1].condition]
    return next(iter([*plain, *decided, *unconditional, *covering]), None)


def _covers(statement: Statement, use: Use) -> bool:
    return use.resource == "" or statement.covers_resource(use.resource)


def _decided(grant: Grant, use: Use) -> bool:
    policy, statement = grant
    return use.policy in (policy.arn, policy.name) and use.policy != "" and statement.name == use.statement


def _add_unseen(role: Role, needs: dict[tuple[str, int], Need]) -> None:
    """What the history cannot show is taken to be needed on all that is granted."""
    for policy in role.policies:
        for statement in policy.statements:
            if not statement.is_allow:
                continue
            for action in catalogue.granted_by(statement):
                if unseen(action):
                    key = (policy.arn or policy.name, statement.number)
                    need = needs.setdefault(key, Need(policy, statement))
                    need.resources[action] = set()


def _resources(statement: Statement, action: str, used: set[str], project: str) -> set[str]:
    if not used:
        return set(statement.resources) or {"*"}
    kept = set()
    for wanted in generalise(action, used, project):
        kept |= _within(statement, wanted, used)
    return kept


def _within(statement: Statement, wanted: str, used: set[str]) -> set[str]:
    """A wished pattern as far as the statement grants it: itself, the statement's narrower ones, or what was used."""
    if statement.covers_resource(wanted):
        return {wanted}
    asked = {resource for resource in used if covers(wanted, resource)}
    narrower = {
        granted
        for granted in statement.resources
        if covers(wanted, granted) and any(covers(granted, resource) for resource in asked)
    }
    uncovered = {resource for resource in asked if not any(covers(granted, resource) for granted in narrower)}
    return narrower | uncovered
