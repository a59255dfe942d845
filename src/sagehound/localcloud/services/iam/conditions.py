"""Conditions of trust policies: the string, ARN and boolean operators that such policies use.

A condition with another operator holds in a Deny and in no Allow: nobody gets in by what is not understood.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

_EQUAL: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda found, wanted: found == wanted,
    "StringEqualsIgnoreCase": lambda found, wanted: found.lower() == wanted.lower(),
    "StringLike": lambda found, wanted: _like(found, wanted),
    "ArnEquals": lambda found, wanted: _like(found, wanted),
    "ArnLike": lambda found, wanted: _like(found, wanted),
    "Bool": lambda found, wanted: found.lower() == wanted.lower(),
}
_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
}


def holds(condition: Mapping[str, Mapping[str, Any]], context: Mapping[str, str], *, unknown: bool = False) -> bool:
    """Whether all operators of a condition hold; names of keys are compared without case.

    `unknown` is the answer for an operator that we do not have.
    """
    known = {name.lower(): value for name, value in context.items()}
    return all(
        _one(operator, known.get(key.lower()), _strings(wanted), unknown)
        for operator, keys in condition.items()
        for key, wanted in keys.items()
    )


def _one(operator: str, found: str | None, wanted: list[str], unknown: bool) -> bool:
    if operator == "Null":
        return (found is None) in [value.lower() == "true" for value in wanted]
    name = operator.removesuffix("IfExists")
    if name not in _EQUAL and name not in _NEGATED:
        return unknown
    if found is None:
        return operator.endswith("IfExists") or name in _NEGATED
    if name in _NEGATED:
        return not any(_EQUAL[_NEGATED[name]](found, value) for value in wanted)
    return any(_EQUAL[name](found, value) for value in wanted)


def _strings(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [str(item).lower() if isinstance(item, bool) else str(item) for item in values]


def _like(found: str, pattern: str) -> bool:
    return fnmatchcase(found, pattern.replace("[", "[[]"))
