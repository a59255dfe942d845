"""Regular expressions of filter patterns, matched in linear time: CloudWatch's have no backtracking either.

Python's own `re` takes exponential time for `(a+)+$` and quadratic time for `.*x`, while every other call waits. Here
the expression becomes a nondeterministic automaton (Thompson, 1968) whose sets of states are remembered as they occur.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

MOST_STATES = 500
"""Of the automaton; `a{500}` has as many."""
_MOST_REMEMBERED = 1000
_BEGIN, _END, _SPLIT, _CHARACTER, _MATCH = range(5)
_CATEGORIES = {
    sre.CATEGORY_DIGIT: re.compile(r"\d"),
    sre.CATEGORY_NOT_DIGIT: re.compile(r"\D"),
    sre.CATEGORY_SPACE: re.compile(r"\s"),
    sre.CATEGORY_NOT_SPACE: re.compile(r"\S"),
    sre.CATEGORY_WORD: re.compile(r"\w"),
    sre.CATEGORY_NOT_WORD: re.compile(r"\W"),
}
_POSITIONS = {sre.AT_BEGINNING: _BEGIN, sre.AT_END: _END}

States = frozenset[int]


class BadExpression(ValueError):
    """No regular expression, or one with what CloudWatch has not: references, looking ahead, word boundaries."""


class RegularExpression:
    """A compiled expression."""

    def __init__(self, text: str) -> None:
        self._kinds: list[int] = []
        self._items: list[Any] = []
        self._after: list[tuple[int, ...]] = []
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = _parser.parse(text)
            if tree.state.flags & ~re.UNICODE:
                raise BadExpression("flags are not supported")
            self._start = self._sequence(tree, self._add(_MATCH))
        except (re.error, RecursionError, OverflowError) as reason:
            raise BadExpression(str(reason)) from reason
        self._again = self._closed([self._start], frozenset())
        self._steps: dict[States, dict[str, States]] = {}

    def search(self, text: str) -> bool:
        """Whether the expression matches anywhere in `text`."""
        states = self._closed([self._start], frozenset({_BEGIN}))
        if not text:
            return self._matches(self._closed([self._start], frozenset({_BEGIN, _END})))
        for character in text:
            if self._matches(states):
                return True
            steps = self._steps.get(states)
            if steps is None:
                if len(self._steps) >= _MOST_REMEMBERED:
                    self._steps.clear()
                steps = self._steps[states] = {}
            following = steps.get(character)
            if following is None:
                following = steps[character] = self._step(states, character)
            states = following
        return self._matches(self._closed(states, frozenset({_END})))

    def _matches(self, states: States) -> bool:
        return 0 in states  # the first state made is the match

    def _step(self, states: States, character: str) -> States:
        code = ord(character)
        reached = [
            self._after[state][0]
            for state in states
            if self._kinds[state] == _CHARACTER and _contains(self._items[state], code, character)
        ]
        return self._closed(reached, frozenset()) | self._again

    def _closed(self, states: Iterable[int], positions: frozenset[int]) -> States:
        """All states that are reached without a character; assertions that do not hold (yet) are kept for the end."""
        found: set[int] = set()
        queue = list(states)
        while queue:
            state = queue.pop()
            if state in found:
                continue
            found.add(state)
            kind = self._kinds[state]
            if kind == _SPLIT or kind in positions:
                queue.extend(self._after[state])
        return frozenset(state for state in found if self._kinds[state] in (_CHARACTER, _MATCH, _END))

    def _add(self, kind: int, item: Any = None, *after: int) -> int:
        if len(self._kinds) > MOST_STATES:
            raise BadExpression("it is too large")
        self._kinds.append(kind)
        self._items.append(item)
        self._after.append(after)
        return len(self._kinds) - 1

    def _sequence(self, tree: Any, then: int) -> int:
        """The state from which `tree` leads to `then`; built from the end."""
        for operation, argument in reversed(list(tree)):
            then = self._one(operation, argument, then)
        return then

    def _one(self, operation: Any, argument: Any, then: int) -> int:
        if operation in (sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN):
            return self._add(_CHARACTER, (operation, argument), then)
        if operation == sre.AT and argument in _POSITIONS:
            return self._add(_POSITIONS[argument], None, then)
        if operation == sre.BRANCH:
            return self._add(_SPLIT, None, *[self._sequence(branch, then) for branch in argument[1]])
        if operation == sre.SUBPATTERN and not argument[1] and not argument[2]:
            return self._sequence(argument[3], then)
        if operation in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            least, most, inner = argument
            return self._repeat(least, most, inner, then)
        raise BadExpression(f"{operation} is not supported")

    def _repeat(self, least: int, most: Any, tree: Any, then: int) -> int:
        if most == sre.MAXREPEAT:
            loop = self._add(_SPLIT, None, then)
            self._after[loop] = (self._sequence(tree, loop), then)
            then = loop
        else:
            last = then
            for _ in range(most - least):
                then = self._add(_SPLIT, None, self._sequence(tree, then), last)
        for _ in range(least):
            then = self._sequence(tree, then)
        return then


def _contains(item: tuple[Any, Any], code: int, character: str) -> bool:
    operation, argument = item
    if operation == sre.ANY:
        return character != "\n"
    if operation == sre.LITERAL:
        return bool(code == argument)
    if operation == sre.NOT_LITERAL:
        return bool(code != argument)
    negated = bool(argument) and argument[0][0] == sre.NEGATE
    return any(_is_member(entry, code, character) for entry in argument) != negated


def _is_member(entry: tuple[Any, Any], code: int, character: str) -> bool:
    operation, argument = entry
    if operation == sre.LITERAL:
        return bool(code == argument)
    if operation == sre.RANGE:
        return bool(argument[0] <= code <= argument[1])
    return operation == sre.CATEGORY and _CATEGORIES[argument].match(character) is not None
