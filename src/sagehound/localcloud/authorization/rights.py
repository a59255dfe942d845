"""What somebody carries into every decision: policies and tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sagehound.localcloud.policy.decision import Policies


@dataclass(frozen=True, slots=True, eq=False)
class Rights:
    """Of a user, a role or a session, as IAM's records are now; the same object until one of them changes."""

    policies: Policies = field(default_factory=Policies)
    tags: Mapping[str, str] = field(default_factory=dict)
    exists: bool = True
    """False when the user or role is gone."""
