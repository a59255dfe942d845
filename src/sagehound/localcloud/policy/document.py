"""Policy documents, compiled once and kept: what a statement covers is answered without reading it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sagehound.localcloud.policy import patterns, text
from sagehound.localcloud.policy.conditions import Clause, compile_condition
from sagehound.localcloud.policy.patterns import Facts
from sagehound.localcloud.policy.principals import Grade, Named, Principal, compile_principals

_KEPT_ACTIONS = 512
"""Actions whose statements a policy remembers; a simulation may name any number of them."""
_ELEMENTS = frozenset(
    ("Sid", "Effect", "Condition", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource")
)
Covers = Callable[[str, Facts], bool]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a policy."""

    number: int
    sid: str
    allow: bool
    action: Callable[[str], bool]
    resource: Covers
    clauses: tuple[Clause, ...]
    named: Named | None
    """Who the Principal or NotPrincipal lists; None in identity policies."""
    inverted: bool
    """Whether that is a NotPrincipal."""

    @property
    def label(self) -> str:
        """What a log calls it."""
        return self.sid or f"statement {self.number}"

    def applies(self, resource: str, facts: Facts) -> bool:
        """Whether resource and conditions match; the action already has."""
        if not self.resource(resource, facts):
            return False
        for clause in self.clauses:  # noqa: SIM110 (half as fast with all())
            if not clause(facts):
                return False
        return True

    def grade(self, principal: Principal) -> Grade:
        """How closely a statement of a resource policy means a principal.

        A Deny spares whom its NotPrincipal lists, not everybody of an account that stands beside them, as it must:
        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
        """
        if self.named is None:
            return Grade.NONE
        grade = principal.graded(self.named)
        if not self.inverted:
            return grade
        return Grade.NONE if grade > (Grade.NONE if self.allow else Grade.ACCOUNT) else Grade.EVERYONE


@dataclass(frozen=True, slots=True)
class Policy:
    """A compiled document. One that cannot be read denies everything, to everybody, and `error` says why."""

    name: str
    statements: tuple[Statement, ...]
    error: str = ""
    _by_action: dict[str, tuple[tuple[Statement, ...], tuple[Statement, ...]]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def about(self, action: str) -> tuple[tuple[Statement, ...], tuple[Statement, ...]]:
        """(denying, allowing) statements whose actions include this one."""
        found = self._by_action.get(action)
        if found is None:
            matching = [statement for statement in self.statements if statement.action(action)]
            found = (
                tuple(statement for statement in matching if not statement.allow),
                tuple(statement for statement in matching if statement.allow),
            )
            if len(self._by_action) < _KEPT_ACTIONS:
                self._by_action[action] = found
        return found


@lru_cache(maxsize=2048)
def compile_policy(document: str, name: str = "") -> Policy:
    """A document, compiled and kept; `name` is what a log calls it."""
    return compile_once(document, name)


def compile_once(document: str, name: str = "") -> Policy:
    """A document that nobody will ask about again, compiled."""
    try:
        policy = text.parse(document)
        if not isinstance(policy, dict) or "Statement" not in policy:
            raise ValueError("no Statement")
        listed = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
        version = policy.get("Version", "2008-10-17")
        if version not in ("2008-10-17", "2012-10-17"):
            raise ValueError(f"no such Version: {version!r}")
        compiled = [_statement(number, item, version == "2012-10-17") for number, item in enumerate(listed, 1)]
        return Policy(name, tuple(compiled))
    except (ValueError, RecursionError) as reason:
        return Policy(name, (_DENY_ALL,), f"{type(reason).__name__}: {reason}")


_EVERYBODY = compile_principals("*")
_DENY_ALL = Statement(
    number=1,
    sid="",
    allow=False,
    action=lambda action: True,
    resource=lambda resource, facts: True,
    clauses=(),
    named=_EVERYBODY,
    inverted=False,
)


def _statement(number: int, item: Any, variables: bool) -> Statement:
    if not isinstance(item, Mapping) or item.keys() - _ELEMENTS:
        raise ValueError(f"statement {number} has elements that there are not")
    if item.get("Effect") not in ("Allow", "Deny"):
        raise ValueError(f"statement {number} has no effect")
    sid = item.get("Sid", "")
    if not isinstance(sid, str):
        raise ValueError(f"statement {number} has a Sid that is no text")
    principal = _either(item, "Principal", "NotPrincipal")
    deny = item["Effect"] == "Deny"
    return Statement(
        number=number,
        sid=sid,
        allow=not deny,
        action=_actions(_either(item, "Action", "NotAction"), "NotAction" in item),
        resource=_resources(_either(item, "Resource", "NotResource"), "NotResource" in item, variables, deny),
        clauses=compile_condition(item.get("Condition", {}), variables=variables, deny=deny),
        named=None if principal is None else compile_principals(principal),
        inverted="NotPrincipal" in item,
    )


def _either(item: Mapping[str, Any], name: str, opposite: str) -> Any:
    if name in item and opposite in item:
        raise ValueError(f"{name} and {opposite} exclude each other")
    return item.get(name, item.get(opposite))


def _strings(value: Any, what: str) -> list[str]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(text, str) for text in listed):
        raise ValueError(f"{what} is neither text nor a list of texts")
    return listed


def _actions(element: Any, inverted: bool) -> Callable[[str], bool]:
    listed = _strings(element, "Action")
    plain = frozenset(text.lower() for text in listed if "*" not in text and "?" not in text)
    wild = [text for text in listed if "*" in text or "?" in text]
    if "*" in wild:
        return lambda action: not inverted
    match = patterns.AnyOf(
        (patterns.text_source(patterns.parse(text, variables=False)) for text in wild), ignore_case=True
    )
    return lambda action: (action.lower() in plain or match(action) is not None) is not inverted


def _resources(element: Any, inverted: bool, variables: bool, deny: bool) -> Covers:
    if element is None:  # a trust policy is about its own role
        return lambda resource, facts: True
    listed = _strings(element, "Resource")
    if "*" in listed:
        return lambda resource, facts: not inverted
    parsed = [_padded(patterns.split_arn(patterns.parse(text, variables=variables))) for text in listed]
    moving = [tuple(fields) for fields in parsed if any(map(patterns.has_variables, fields))]
    match = patterns.AnyOf(patterns.arn_source(fields) for fields in parsed if tuple(fields) not in moving)
    if not moving:
        return lambda resource, facts: (match(resource) is None) is inverted

    def covers(resource: str, facts: Facts) -> bool:
        if match(resource) is not None or any(patterns.matches_arn(fields, resource, facts) for fields in moving):
            return not inverted
        # A variable without a value is like nothing, so NotResource would cover all: in a Deny it does. An Allow does
        # not cover what some value would have excepted.
        return inverted and (deny or not any(excepted(fields, resource, facts) for fields in moving))

    def excepted(fields: tuple[patterns.Parts, ...], resource: str, facts: Facts) -> bool:
        missing = patterns.fill_arn(fields, facts) is None
        return missing and patterns.filled_arn_match(_widened(fields))(resource) is not None

    return covers


def _widened(fields: tuple[patterns.Parts, ...]) -> tuple[patterns.Parts, ...]:
    """The pattern with any text for its variables."""
    many = patterns.Wildcard.MANY
    return tuple(tuple(many if isinstance(part, patterns.Variable) else part for part in field) for field in fields)


def _padded(fields: list[patterns.Parts]) -> list[patterns.Parts]:
    """AWS completes an ARN of fewer than six fields with wildcards."""
    return [*fields, *[(patterns.Wildcard.MANY,)] * (patterns.ARN_FIELDS - len(fields))]
