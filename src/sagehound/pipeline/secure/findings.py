"""Findings: what is too wide, how bad that is, why it matters, where it stands, and the way out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW")
CRITICAL, HIGH, MEDIUM, LOW = SEVERITIES


@dataclass(frozen=True)
class Finding:
    """One thing that a careful reader would not leave as it is."""

    severity: str
    code: str
    where: str
    """The resource: `role NAME`, `bucket NAME`, `function NAME`, `user NAME`."""
    what: str
    why: str
    way_out: str
    policy: str = ""
    """The policy that it is about; empty where it is about no policy."""
    evidence: tuple[Mapping[str, Any], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The finding for machines."""
        return {
            "severity": self.severity,
            "code": self.code,
            "where": self.where,
            "what": self.what,
            "why": self.why,
            "policy": self.policy,
            "evidence": [dict(part) for part in self.evidence],
            "way_out": self.way_out,
        }


def milder(severity: str, steps: int = 1) -> str:
    """The severity some steps below, at least LOW."""
    return SEVERITIES[min(SEVERITIES.index(severity) + steps, len(SEVERITIES) - 1)]


def worst(severities: list[str]) -> str:
    """The severest of them."""
    return min(severities, key=SEVERITIES.index)


def in_order(findings: list[Finding]) -> list[Finding]:
    """The severest first, then by what they are about."""
    return sorted(findings, key=lambda one: (SEVERITIES.index(one.severity), one.where, one.policy, one.code))


def counted(findings: list[Finding]) -> dict[str, int]:
    """How many there are of each severity, the severities without any included."""
    found = Counter(finding.severity for finding in findings)
    return {severity: found[severity] for severity in SEVERITIES}
