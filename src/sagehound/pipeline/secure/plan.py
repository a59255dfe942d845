"""What would be changed on a role: policies that are written anew, policies that go, and who may still become it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sagehound.pipeline.names import LEAST_SUFFIX
from sagehound.pipeline.secure.findings import Finding
from sagehound.pipeline.secure.gathering import Role
from sagehound.pipeline.secure.kept import kept_grants
from sagehound.pipeline.secure.minimal import Need, minimal_document, needs_of
from sagehound.pipeline.secure.statements import Document, Policy
from sagehound.pipeline.secure.trust import tightened
from sagehound.pipeline.secure.used import Usage


@dataclass(frozen=True)
class Plan:
    """The change of one role; applied, nothing of what it replaces is left."""

    role: Role
    put: dict[str, Document]
    """Inline policies to write, by name."""
    remove: tuple[str, ...] = ()
    """Inline policies of which nothing is needed."""
    detach: tuple[Policy, ...] = ()
    trust: Document | None = None

    @property
    def after(self) -> dict[str, Document]:
        """Every policy that the role holds afterwards, by name or ARN."""
        gone = {policy.arn for policy in self.detach}
        kept = {policy.arn or policy.name: policy.document for policy in self.role.policies if policy.arn not in gone}
        for name in self.remove:
            del kept[name]
        return {**kept, **self.put}

    @property
    def changes_policies(self) -> bool:
        """Whether a permission changes (and not only the trust)."""
        return bool(self.put or self.remove or self.detach)

    def as_dict(self) -> dict[str, Any]:
        """The plan for machines."""
        return {
            "role": self.role.name,
            "put": self.put,
            "remove": list(self.remove),
            "detach": [policy.arn for policy in self.detach],
            "trust": self.trust,
        }

    def diff(self) -> list[str]:
        """The plan as a unified diff of documents; a managed policy is one line, since it goes whole."""
        lines = [f"- attached {policy.arn} ({_size(policy)})" for policy in self.detach]
        before = {policy.name: policy.document for policy in self.role.policies if not policy.arn}
        for name in [*self.remove, *self.put]:
            lines += _differences(f"inline policy {name}", before.get(name), self.put.get(name))
        if self.trust is not None:
            lines += _differences("trust policy", self.role.trust, self.trust)
        return lines


def plan_of(role: Role, usage: Usage, findings: Iterable[Finding], project: str, account_id: str) -> Plan | None:
    """What cures a role's findings; None where nothing is to be changed.

    Policies without a finding stay as they are. Nothing is derived for a role that never called: then only its trust
    may change.
    """
    codes = {finding.code for finding in findings if finding.where == role.where}
    trust = tightened(role, account_id) if "trust-without-source" in codes else None
    found = _with_findings(role, findings) if usage.calls else []
    kept = [Need(policy, one, {keeping.action: set()}) for policy, one, keeping in kept_grants(role, usage)]
    needs = [*needs_of(role, usage), *kept]
    put: dict[str, Document] = {}
    remove = []
    for policy in (policy for policy in found if not policy.arn):
        document = minimal_document([policy], needs, project)
        if document is None:
            remove.append(policy.name)
        elif document != policy.document:
            put[policy.name] = document
    detach = tuple(policy for policy in found if policy.arn)
    instead = minimal_document(detach, needs, project)
    if instead is not None:
        name = f"{project}{LEAST_SUFFIX}"
        there = next((one.document for one in role.policies if one.name == name and not one.arn), None)
        put[name] = _joined(put.get(name, there), instead)
    plan = Plan(role, put, tuple(remove), detach, trust)
    return plan if plan.changes_policies or trust is not None else None


def _with_findings(role: Role, findings: Iterable[Finding]) -> list[Policy]:
    named = set()
    for finding in findings:
        if finding.where == role.where:
            named |= {finding.policy} | {str(part["policy"]) for part in finding.evidence if "policy" in part}
    return [policy for policy in role.policies if policy.name in named]


def _joined(there: Document | None, more: Document) -> Document:
    """What an earlier replacement granted stays beside what this one does."""
    if there is None:
        return more
    statements = there["Statement"] if isinstance(there["Statement"], list) else [there["Statement"]]
    return {**there, "Statement": [*statements, *(one for one in more["Statement"] if one not in statements)]}


def _size(policy: Policy) -> str:
    count = len(policy.statements)
    return f"{count} statement{'' if count == 1 else 's'}"


def _differences(title: str, before: Document | None, after: Document | None) -> list[str]:
    def pretty(document: Document | None) -> list[str]:
        return [] if document is None else json.dumps(document, indent=2).splitlines()

    old, new = f"{title} (now)" if before else "(nothing)", f"{title} (least)" if after else "(nothing)"
    return list(difflib.unified_diff(pretty(before), pretty(after), old, new, lineterm=""))
