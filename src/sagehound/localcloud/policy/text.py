"""The text of a document: where its statements stand, and which context keys each of them uses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

_VARIABLE = re.compile(r"\$\{([^}*?$,]+)(,[^}$]*)?\}")
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


class Position(NamedTuple):
    """A place in a text, both counted from one."""

    line: int
    column: int


class StatementText(NamedTuple):
    """One statement as it was written."""

    start: Position
    """As AWS counts: behind the bracket, or behind the statement before."""
    end: Position
    conditions: tuple[str, ...]
    """The context keys of its conditions, and those of the variables that these use."""
    variables: tuple[str, ...]
    """The context keys of the variables in its resources, without those that have a default."""


def parse(document: str) -> Any:
    """A document as JSON; ValueError for what is none, and where a name appears twice."""
    return json.loads(document, object_pairs_hook=_unique)


def statements(document: str) -> tuple[StatementText, ...]:
    """The statements of a document that has been checked, in its order."""
    variables = json.loads(document).get("Version") == "2012-10-17"
    return tuple(
        StatementText(
            _position(document, start),
            _position(document, end),
            _condition_keys(item, variables),
            _variables([item.get("Resource"), item.get("NotResource")]) if variables else (),
        )
        for item, start, end in _spans(document)
    )


def context_keys(written: Iterable[StatementText]) -> list[str]:
    """All context keys that statements use, each as it is first written."""
    return each_once(key for statement in written for key in (*statement.conditions, *statement.variables))


def each_once(keys: Iterable[str]) -> list[str]:
    """Context keys, each as it is first written: their case is nothing."""
    found: dict[str, str] = {}
    for key in keys:
        found.setdefault(key.lower(), key)
    return list(found.values())


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name appears twice")
    return found


def _condition_keys(item: Mapping[str, Any], variables: bool) -> tuple[str, ...]:
    keys: list[str] = []
    for wanted in item.get("Condition", {}).values():
        for key, values in wanted.items():
            keys.append(key)
            keys += _variables(values) if variables else ()
    return tuple(dict.fromkeys(keys))


def _variables(values: Any) -> tuple[str, ...]:
    found = _VARIABLE.finditer(json.dumps(values, ensure_ascii=False))
    return tuple(dict.fromkeys(match[1].strip() for match in found if match[2] is None))


def _spans(document: str) -> Iterator[tuple[dict[str, Any], int, int]]:
    """(statement, start, end) of every statement."""
    at = _skip(document, document.index("{") + 1)
    while document[at] != "}":
        name, at = _DECODER.raw_decode(document, at)
        value = _skip(document, _skip(document, at) + 1)
        if name == "Statement":
            yield from _listed(document, value) if document[value] == "[" else _single(document, value)
        _, at = _DECODER.raw_decode(document, value)
        at = _skip(document, at)
        if document[at] == ",":
            at = _skip(document, at + 1)


def _single(document: str, at: int) -> Iterator[tuple[dict[str, Any], int, int]]:
    item, end = _DECODER.raw_decode(document, at)
    yield item, at + 1, end


def _listed(document: str, at: int) -> Iterator[tuple[dict[str, Any], int, int]]:
    before = at + 1
    at = _skip(document, before)
    while document[at] != "]":
        item, end = _DECODER.raw_decode(document, at)
        yield item, before, end
        before, at = end, _skip(document, end)
        if document[at] == ",":
            at = _skip(document, at + 1)


def _skip(document: str, at: int) -> int:
    found = _SPACE.match(document, at)
    assert found is not None
    return found.end()


def _position(document: str, offset: int) -> Position:
    return Position(document.count("\n", 0, offset) + 1, offset - document.rfind("\n", 0, offset))
