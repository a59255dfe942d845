"""The Condition element, compiled: operators, their quantifiers and suffixes, over the context of a request.

What cannot be understood holds in a Deny and in no Allow: nobody gets in by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sagehound.localcloud.policy.operators import NEGATED, POSITIVE, Test
from sagehound.localcloud.policy.patterns import Facts

Clause = Callable[[Facts], bool]


def compile_condition(block: Any, *, variables: bool, deny: bool) -> tuple[Clause, ...]:
    """The clauses of a Condition element, all of which must hold; ValueError for what is no such element."""
    if not isinstance(block, Mapping):
        raise ValueError("Condition is no map")
    clauses = []
    for name, keys in block.items():
        if not isinstance(keys, Mapping):
            raise ValueError(f"Condition operator {name!r} holds no map of keys")
        clauses += [_clause(name, key.lower(), _values(wanted), variables, deny) for key, wanted in keys.items()]
    return tuple(clauses)


def _values(wanted: Any) -> list[str]:
    listed = wanted if isinstance(wanted, list) else [wanted]
    if any(value is None or isinstance(value, dict | list) for value in listed):
        raise ValueError("a condition compares with text, numbers and booleans")
    return [str(value).lower() if isinstance(value, bool) else str(value) for value in listed]


def _clause(operator: str, key: str, wanted: list[str], variables: bool, deny: bool) -> Clause:
    name = operator.lower()
    quantifier = ""
    for prefix in ("forallvalues:", "foranyvalue:"):
        if name.startswith(prefix):
            quantifier, name = prefix, name.removeprefix(prefix)
    if name == "null":
        absent = {value.lower() == "true" for value in wanted}
        return lambda facts: (key not in facts) in absent
    if_exists = name.endswith("ifexists")
    name = name.removesuffix("ifexists")
    negated = name in NEGATED
    try:
        test = POSITIVE[NEGATED.get(name, name)](wanted, variables)
    except (KeyError, ValueError):
        return lambda facts: deny
    evaluate = _quantified(quantifier, key, test, negated, missing=negated or if_exists)

    def clause(facts: Facts) -> bool:
        try:
            return evaluate(facts)
        except ValueError:
            return deny

    return clause


def _quantified(quantifier: str, key: str, test: Test, negated: bool, *, missing: bool) -> Clause:
    def single(facts: Facts) -> bool:
        found = facts.get(key)
        if found is None:
            return missing
        # "Multivalued context keys require a condition set operator": without one they match nothing.
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
        return isinstance(found, str) and test(found, facts) is not negated

    def every(facts: Facts) -> bool:
        return all(test(value, facts) is not negated for value in _all(facts.get(key, ())))

    def some(facts: Facts) -> bool:
        return any(test(value, facts) is not negated for value in _all(facts.get(key, ())))

    return {"": single, "forallvalues:": every, "foranyvalue:": some}[quantifier]


def _all(found: str | tuple[str, ...]) -> tuple[str, ...]:
    return (found,) if isinstance(found, str) else found
