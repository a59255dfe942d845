"""What `secure` found and did: the findings, and for each role what it used, what would replace what, and the proof."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sagehound.pipeline.secure.findings import Finding, counted
from sagehound.pipeline.secure.gathering import Role
from sagehound.pipeline.secure.kept import Kept
from sagehound.pipeline.secure.plan import Plan
from sagehound.pipeline.secure.proof import Proof
from sagehound.pipeline.secure.used import Usage

_REFUSED = 5


@dataclass
class Examined:
    """One role, looked at."""

    role: Role
    usage: Usage
    kept: list[Kept]
    plan: Plan | None = None
    proof: Proof | None = None
    applied: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The role for machines."""
        return {
            "role": self.role.name,
            "arn": self.role.arn,
            "usage": self.usage.as_dict(),
            "kept_though_not_called": [kept._asdict() for kept in self.kept],
            "replacement": None if self.plan is None else self.plan.as_dict(),
            "diff": [] if self.plan is None else self.plan.diff(),
            "applied": self.applied,
            "proof": None if self.proof is None else self.proof.as_dict(),
        }


@dataclass
class Findings:
    """The outcome of the step; ``findings`` are those that were there before anything was applied."""

    findings: list[Finding]
    roles: list[Examined]
    looked_at: list[str]
    notes: list[str] = field(default_factory=list)
    saved: Path | None = None
    """The file with the documents that were replaced."""
    left: list[Finding] = field(default_factory=list)
    """What is still there afterwards; without --apply that is everything."""
    answer: dict[str, Any] | None = None
    """What the function answered to its test event after the change (--prove)."""

    @property
    def text(self) -> str:
        """The outcome in a sentence."""
        counts = [f"{count} {severity}" for severity, count in counted(self.findings).items() if count]
        found = f"findings: {', '.join(counts)}" if counts else "no findings"
        if self.saved is not None or any(one.applied for one in self.roles):
            found += f"; applied, {len(self.left)} left"
        return f"{found}  ({', '.join(self.looked_at)})"

    def as_dict(self) -> dict[str, Any]:
        """The outcome for machines."""
        return {
            "findings": [finding.as_dict() for finding in self.findings],
            "severities": counted(self.findings),
            "left": [finding.as_dict() for finding in self.left],
            "roles": [one.as_dict() for one in self.roles],
            "looked_at": self.looked_at,
            "notes": self.notes,
            "saved": None if self.saved is None else str(self.saved),
            "answer": self.answer,
        }

    def lines(self) -> list[str]:
        """Below the step's line: the findings as a table, then for each role the difference and the proof."""
        lines = [*self.notes, *_table(self.findings)]
        for one in self.roles:
            lines += _role_lines(one)
        if self.saved is not None:
            back = f"`sagehound secure --restore {self.saved}`"
            lines.append(f"what was replaced lies in {self.saved}; {back} brings it back")
        if self.answer is not None:
            status, took = self.answer["status"], self.answer["milliseconds"]
            lines.append(f"the function answers its test event with {status} in {took:.0f} ms")
        return lines


def _table(findings: list[Finding]) -> list[str]:
    """The findings with the severest first; those that matter for the same reason stand together above it."""
    groups: dict[tuple[str, str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[finding.severity, finding.why, finding.way_out].append(finding)
    lines = []
    for (_, why, way_out), group in groups.items():
        lines += [f"{finding.severity:<8}  {finding.where}: {finding.what}" for finding in group]
        lines += [f"{'':10}why: {why}", f"{'':10}way out: {way_out}"]
    return lines


def _role_lines(one: Examined) -> list[str]:
    lines = []
    if one.plan is not None:
        verb = "was changed" if one.applied else "with --apply would change"
        lines += [f"{one.role.where} {verb}, from what it called {one.usage.span}:", *one.plan.diff()]
        if not one.usage.whole:
            lines.append(
                "AWS's event history does not show data events (S3 objects, InvokeEndpoint, PutLogEvents): "
                "what it cannot show is kept as it was granted."
            )
    for (action, resource), count in sorted(one.usage.denied.items())[:_REFUSED]:
        times = "once" if count == 1 else f"{count:,} times"
        lines.append(f"{one.role.where} was refused {action} on {resource} {times}: is it too narrow?")
    if one.kept:
        actions = ", ".join(kept.action for kept in one.kept)
        lines.append(f"{one.role.where}: not called, and kept for a reason (--json has it): {actions}")
    if one.usage.read and not one.usage.calls:
        late = "" if one.usage.whole else "; on AWS a call is there after 15 minutes"
        lines.append(f"{one.role.where}: nothing is derived, no call of it was seen {one.usage.span}{late}")
    if one.proof is not None:
        lines.append(f"{one.role.where}: {one.proof.text}")
        lines += [f"  {failure}" for failure in [*one.proof.failures, *one.proof.unproved]]
    return lines
