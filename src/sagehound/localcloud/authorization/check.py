"""What IAM is asked about a call: an action on a resource, with the condition keys of that action."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from sagehound.localcloud.call import Call, Request

Value = str | list[str]
Context = Mapping[str, Value]

_NONE: Context = {}


class Check(NamedTuple):
    """One question; a call is allowed when each of its questions is answered with yes."""

    action: str
    """IAM's action, which is often not the operation: `s3:ListBucket` of ListObjectsV2."""
    resource: str = "*"
    context: Context = _NONE
    """The keys of this action (`s3:prefix`); those that every action has are added by the authoriser."""


Rule = Callable[[Call, Request], list[Check]]
"""The questions of a service's calls; none for a call that needs no permission."""


def passing(role_arn: str, service: str) -> Check:
    """iam:PassRole: may the caller hand this role to that service?"""
    return Check("iam:PassRole", role_arn, {"iam:passedtoservice": service})


def request_tags(tags: Any) -> dict[str, Value]:
    """aws:RequestTag/KEY and aws:TagKeys of tags as any service takes them: a list of Key and Value, or a mapping."""
    if not tags:
        return {}
    if isinstance(tags, Mapping):
        pairs = {str(key): str(value) for key, value in tags.items()}
    else:
        pairs = {str(tag["Key"]): str(tag.get("Value", "")) for tag in tags}
    return {**{f"aws:requesttag/{key}": value for key, value in pairs.items()}, "aws:tagkeys": list(pairs)}


def tag_keys(keys: Iterable[str] | None) -> dict[str, Value]:
    """aws:TagKeys of an operation that takes tags away."""
    return {"aws:tagkeys": list(keys)} if keys else {}


def bool_text(value: bool) -> str:
    """A Bool key, as conditions compare it."""
    return "true" if value else "false"
