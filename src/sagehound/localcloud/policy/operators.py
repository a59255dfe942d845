"""The condition operators: one value of a request against the values that a policy lists."""

from __future__ import annotations

import ipaddress
import operator
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from sagehound.localcloud.policy import patterns
from sagehound.localcloud.policy.patterns import Facts

Test = Callable[[str, Facts], bool]
"""Whether a request's value matches one of the policy's; ValueError when it cannot be compared."""
Compiler = Callable[[Sequence[str], bool], Test]
"""Values of a policy, and whether it has variables; ValueError for values that the operator cannot have."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def _texts(values: Sequence[str], variables: bool, change: Callable[[str], str]) -> Test:
    parsed = [patterns.parse(value, variables=variables, wildcards=False) for value in values]
    fixed = frozenset(change(patterns.text_of(parts)) for parts in parsed if not patterns.has_variables(parts))
    moving = [parts for parts in parsed if patterns.has_variables(parts)]
    if not moving:
        return lambda found, facts: change(found) in fixed

    def test(found: str, facts: Facts) -> bool:
        found = change(found)
        if found in fixed:
            return True
        ready = (patterns.filled(parts, facts) for parts in moving)
        return any(parts is not None and change(patterns.text_of(parts)) == found for parts in ready)

    return test


def _equals(values: Sequence[str], variables: bool) -> Test:
    return _texts(values, variables, str)


def _equals_ignoring_case(values: Sequence[str], variables: bool) -> Test:
    return _texts(values, variables, str.lower)


def _bool(values: Sequence[str], variables: bool) -> Test:
    if any(value.lower() not in ("true", "false") and "${" not in value for value in values):
        raise ValueError("Bool takes true or false")
    test = _texts(values, variables, str.lower)

    def checked(found: str, facts: Facts) -> bool:
        if found.lower() not in ("true", "false"):
            raise ValueError(f"not a boolean: {found!r}")
        return test(found, facts)

    return checked


def _like(values: Sequence[str], variables: bool) -> Test:
    parsed = [patterns.parse(value, variables=variables) for value in values]
    fixed = patterns.AnyOf(patterns.text_source(parts) for parts in parsed if not patterns.has_variables(parts))
    moving = [parts for parts in parsed if patterns.has_variables(parts)]

    def test(found: str, facts: Facts) -> bool:
        return fixed(found) is not None or any(patterns.matches_text(parts, found, facts) for parts in moving)

    return test


def _arn(values: Sequence[str], variables: bool) -> Test:
    parsed = [patterns.split_arn(patterns.parse(value, variables=variables)) for value in values]
    if any(len(fields) != patterns.ARN_FIELDS for fields in parsed):
        raise ValueError("an ARN has six fields")
    moving = [fields for fields in parsed if any(map(patterns.has_variables, fields))]
    fixed = patterns.AnyOf(patterns.arn_source(fields) for fields in parsed if fields not in moving)

    def test(found: str, facts: Facts) -> bool:
        if found.count(":") < patterns.ARN_FIELDS - 1:
            raise ValueError(f"not an ARN: {found!r}")
        return fixed(found) is not None or any(patterns.matches_arn(fields, found, facts) for fields in moving)

    return test


def number(text: str) -> float:
    """A number of a policy or a request; ValueError for what is none (`nan` and `1_000` are none either)."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"not a number: {text!r}")
    return float(text)


@lru_cache(maxsize=1024)
def date(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 date (year, month, day or second) or of a number of seconds."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    whole = f"{text}-01" if re.fullmatch(r"\d{4}-\d\d", text) else text
    found = datetime.fromisoformat(whole)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _compared(read: Callable[[str], float], compare: Callable[[float, float], bool]) -> Compiler:
    def compiler(values: Sequence[str], variables: bool) -> Test:
        wanted = [read(value) for value in values]

        def test(found: str, facts: Facts) -> bool:
            value = read(found)
            return any(compare(value, limit) for limit in wanted)

        return test

    return compiler


@lru_cache(maxsize=1024)
def _address(text: str) -> tuple[int, int]:
    """(version, number) of an address; an IPv4 address in IPv6 clothes is the IPv4 address."""
    found = ipaddress.ip_address(text)
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return found.version, int(found)


def _ip(values: Sequence[str], variables: bool) -> Test:
    wanted = []
    for value in values:
        network = ipaddress.ip_network(value, strict=False)
        wanted.append((network.version, int(network.netmask), int(network.network_address)))

    def test(found: str, facts: Facts) -> bool:
        version, address = _address(found)
        return any(version == of and address & mask == network for of, mask, network in wanted)

    return test


_RELATIONS: dict[str, Callable[[float, float], bool]] = {
    "equals": operator.eq,
    "lessthan": operator.lt,
    "lessthanequals": operator.le,
    "greaterthan": operator.gt,
    "greaterthanequals": operator.ge,
}
POSITIVE: dict[str, Compiler] = {
    "stringequals": _equals,
    "stringequalsignorecase": _equals_ignoring_case,
    "stringlike": _like,
    "bool": _bool,
    "binaryequals": lambda values, variables: _equals(values, False),
    "ipaddress": _ip,
    "arnequals": _arn,
    "arnlike": _arn,
    **{f"numeric{name}": _compared(number, relation) for name, relation in _RELATIONS.items()},
    **{f"date{name}": _compared(date, relation) for name, relation in _RELATIONS.items()},
}
NEGATED = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "numericnotequals": "numericequals",
    "datenotequals": "dateequals",
    "notipaddress": "ipaddress",
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
}
