"""What somebody carries into every decision: policies, tags, and whether any of it is about resources' tags."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

from sagehound.localcloud.policy.decision import Policies

_TAG_KEYS = ("resourcetag/", "existingobjecttag/")


@dataclass(frozen=True, slots=True, eq=False)
class Rights:
    """Of a user, a role or a session, as IAM's records are now; the same object until one of them changes."""

    policies: Policies = field(default_factory=Policies)
    tags: Mapping[str, str] = field(default_factory=dict)
    about_tags: bool = False
    """Whether a document has a condition on tags of resources, which are looked up only then."""
    exists: bool = True
    """False when the user or role is gone."""


@functools.lru_cache(maxsize=2048)
def is_about_tags(document: str) -> bool:
    """Whether a policy document speaks of the tags of resources."""
    text = document.lower()
    return any(key in text for key in _TAG_KEYS)
