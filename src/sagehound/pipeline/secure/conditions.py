"""A context in which conditions hold, so that a simulation can ask whether a statement allows what it is there for."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from sagehound.pipeline.secure.statements import texts

Entry = dict[str, Any]
"""A ContextEntry of the simulation."""
_EQUAL = ("StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike")
_UNEQUAL = ("StringNotEquals", "StringNotEqualsIgnoreCase", "StringNotLike", "ArnNotEquals", "ArnNotLike")
_STEPS = {"NumericEquals": 0, "NumericLessThanEquals": 0, "NumericGreaterThanEquals": 0}
_STEPS |= {"NumericLessThan": -1, "NumericGreaterThan": 1, "NumericNotEquals": 1}


def context_for(condition: Mapping[str, Any]) -> list[Entry] | None:
    """One entry a key so that every block of the condition holds; None where that cannot be told from the policy."""
    entries: dict[str, Entry] = {}
    for operator, block in condition.items():
        plain = operator.rpartition(":")[2]
        for key, value in block.items():
            wanted = texts(value)
            if plain == "Null" and wanted == ["true"]:
                continue
            entry = _entry(plain.removesuffix("IfExists"), key, wanted)
            if entry is None or key.lower() in entries:
                return None  # two operators on one key may want different values: not guessed
            entries[key.lower()] = entry
    return list(entries.values())


def sample(pattern: str) -> str:
    """A text that the pattern matches; "*" alone stays, as what a call without a resource is asked with."""
    return pattern if pattern == "*" else pattern.replace("*", "x").replace("?", "x")


def _entry(operator: str, key: str, wanted: list[str]) -> Entry | None:
    if not wanted or any("${" in value for value in wanted):
        return None
    first = wanted[0]
    if operator in _EQUAL:
        return _typed(key, "string", sample(first) if first != "*" else "x")
    if operator in _UNEQUAL or operator == "Null":
        return _typed(key, "string", "another")
    if operator == "Bool":
        return _typed(key, "boolean", first)
    if operator in _STEPS:
        return _typed(key, "numeric", str(int(float(first)) + _STEPS[operator]))
    if operator == "IpAddress":
        return _typed(key, "ip", str(ipaddress.ip_network(first, strict=False).network_address))
    return None


def _typed(key: str, kind: str, value: str) -> Entry:
    return {"ContextKeyName": key, "ContextKeyType": kind, "ContextKeyValues": [value]}
