"""The filter pattern of FilterLogEvents as a predicate on messages: terms, phrases, alternatives, JSON conditions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from sagehound.localcloud.errors import not_implemented
from sagehound.localcloud.services.logs.errors import invalid_parameter
from sagehound.localcloud.services.logs.json_pattern import parse_condition
from sagehound.localcloud.services.logs.regular_expression import BadExpression, RegularExpression

Matches = Callable[[str], bool]

_TERM = re.compile(r'\s*([?-]?)(?:"((?:[^"\\]|\\.)*)"|%([^%]+)%|([^\s"]+))(?=\s|$)')


def compile_pattern(pattern: str) -> Matches:
    """The predicate that a filter pattern stands for; InvalidParameterException when it cannot be read.

    Terms are looked for as written, upper and lower case apart: all plain ones must be there, none of the -excluded
    ones; of ?alternatives one is enough, and like AWS we ignore them beside other terms.
    """
    text = pattern.strip()
    if text.startswith("{"):
        return _json_matches(text)
    if text.startswith("["):
        raise not_implemented("logs", "FilterLogEvents with a space-delimited filter pattern")
    required: list[Matches] = []
    excluded: list[Matches] = []
    alternatives: list[Matches] = []
    position = 0
    while position < len(text):
        match = _TERM.match(text, position)
        if match is None:
            raise invalid_parameter("Invalid filter pattern")
        position = match.end()
        {"": required, "-": excluded, "?": alternatives}[match[1]].append(_term(match))
    if required or excluded:
        return lambda message: all(term(message) for term in required) and not any(term(message) for term in excluded)
    if alternatives:
        return lambda message: any(term(message) for term in alternatives)
    return lambda _message: True


def _term(match: re.Match[str]) -> Matches:
    _, phrase, expression, word = match.groups()
    if expression is not None:
        try:
            return RegularExpression(expression).search
        except BadExpression:
            raise invalid_parameter("Invalid filter pattern") from None
    wanted = word if phrase is None else re.sub(r"\\(.)", r"\1", phrase)
    return lambda message: wanted in message


def _json_matches(text: str) -> Matches:
    condition = parse_condition(text)

    def matches(message: str) -> bool:
        if not message.lstrip().startswith("{"):
            return False
        try:
            return condition(json.loads(message))
        except (ValueError, RecursionError):
            return False

    return matches
