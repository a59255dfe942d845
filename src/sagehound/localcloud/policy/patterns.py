"""Patterns of policy documents: `*`, `?` and `${variables}`, compiled to expressions that match in linear time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from typing import Any, NamedTuple

Facts = Mapping[str, str | tuple[str, ...]]
"""What is known of a request: context keys in lower case, several values of a key as a tuple."""

ARN_FIELDS = 6


class FactsWithTags(dict[str, str | tuple[str, ...]]):
    """Facts without the tags of the resource, which are looked up when a policy speaks of them: few do."""

    def __init__(self, known: Mapping[str, str | tuple[str, ...]], tags: Callable[[], Mapping[str, str]]) -> None:
        super().__init__(known)
        self._tags: Callable[[], Mapping[str, str]] | None = tags

    def __contains__(self, key: object) -> bool:
        self._look_up(str(key))
        return super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:
        """As a mapping's."""
        self._look_up(key)
        return super().get(key, default)

    def _look_up(self, key: str) -> None:
        if self._tags is not None and ("resourcetag/" in key or "existingobjecttag/" in key):
            tags, self._tags = self._tags, None
            self.update(tags())


class Wildcard(Enum):
    """What stands for other characters."""

    MANY = "*"
    ONE = "?"


class Variable(NamedTuple):
    """A context key whose value is put in when a request is decided."""

    key: str
    default: str | None


Part = str | Wildcard | Variable
Parts = tuple[Part, ...]


def parse(text: str, *, variables: bool, wildcards: bool = True) -> Parts:
    """The parts of a pattern. Policies of version 2008-10-17 have no variables: `${` is text there."""
    parts: list[Part] = []
    at = 0
    # Searched by hand: an expression would take quadratic time for a text of many `${` without an end.
    while variables and (start := text.find("${", at)) >= 0 and (end := text.find("}", start)) >= 0:
        parts += _plain(text[at:start], wildcards)
        parts.append(_variable(text[start + 2 : end]))
        at = end + 1
    parts += _plain(text[at:], wildcards)
    return tuple(parts)


def _plain(text: str, wildcards: bool) -> list[Part]:
    if not wildcards:
        return [text] if text else []
    pieces = re.split(r"([*?])", text)
    return [Wildcard(piece) if piece in ("*", "?") else piece for piece in pieces if piece]


def _variable(inside: str) -> str | Variable:
    if inside in ("*", "?", "$"):
        return inside
    key, _, default = (part.strip() for part in inside.partition(","))
    quoted = len(default) > 1 and default[0] == default[-1] == "'"
    return Variable(key.lower(), default[1:-1] if quoted else None)


def has_variables(parts: Parts) -> bool:
    """Whether a pattern depends on the request."""
    return any(isinstance(part, Variable) for part in parts)


def filled(parts: Parts, facts: Facts) -> Parts | None:
    """The pattern with its variables replaced by text; None when one has no value: then it is equal to nothing.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-no-value
    """
    result: list[Part] = []
    for part in parts:
        if isinstance(part, Variable):
            value = facts.get(part.key, part.default)
            if not isinstance(value, str):  # a key of several values is no text
                value = part.default
            if value is None:
                return None
            result.append(value)
        else:
            result.append(part)
    return tuple(result)


def text_of(parts: Iterable[Part]) -> str:
    """A filled pattern without wildcards, as text."""
    return "".join(part for part in parts if isinstance(part, str))


def split_arn(parts: Parts) -> list[Parts]:
    """The fields of an ARN pattern; the sixth keeps its colons."""
    fields: list[list[Part]] = [[]]
    for part in parts:
        if not isinstance(part, str):
            fields[-1].append(part)
            continue
        while ":" in part and len(fields) < ARN_FIELDS:
            before, _, part = part.partition(":")
            fields[-1].append(before)
            fields.append([])
        fields[-1].append(part)
    return [tuple(piece for piece in field if piece != "") for field in fields]


def arn_source(fields: Sequence[Parts]) -> str:
    """An expression for ARNs: a wildcard of one of the first five fields stays within its field."""
    head = [_source(field, "[^:]") for field in fields[: ARN_FIELDS - 1]]
    return ":".join([*head, _source(fields[-1], ".")])


def text_source(parts: Parts) -> str:
    """An expression for any text."""
    return _source(parts, ".")


def _source(parts: Parts, character: str) -> str:
    """Each `*text` in the middle takes its first match for good, so that no pattern takes exponential time."""
    chunks = [""]
    for part in parts:
        if part is Wildcard.MANY:
            chunks.append("")
        elif part is Wildcard.ONE:
            chunks[-1] += character
        elif isinstance(part, str):
            chunks[-1] += re.escape(part)
    if len(chunks) == 1:
        return chunks[0]
    middle = "".join(f"(?>{character}*?{chunk})" for chunk in chunks[1:-1] if chunk)
    return f"{chunks[0]}{middle}{character}*{chunks[-1]}"


Match = Callable[[str], object]


class AnyOf:
    """Matches the whole of a text by one of several expressions, which are compiled when the first text comes.

    AWS's own policies have hundreds of them, of which a request asks a few.
    """

    __slots__ = ("_flags", "_match", "_sources")

    def __init__(self, sources: Iterable[str], *, ignore_case: bool = False) -> None:
        self._sources = tuple(sources)
        self._flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
        self._match: Match | None = None if self._sources else lambda text: None

    def __call__(self, text: str) -> object:
        """Something for a match, None for none."""
        match = self._match
        if match is None:
            match = self._match = re.compile("|".join(f"(?:{one})" for one in self._sources), self._flags).fullmatch
        return match(text)


@lru_cache(maxsize=4096)
def filled_text_match(parts: Parts) -> Match:
    """The match of a filled pattern; people come back with the same names."""
    return AnyOf([text_source(parts)])


@lru_cache(maxsize=4096)
def filled_arn_match(fields: tuple[Parts, ...]) -> Match:
    """The match of an ARN pattern whose fields are filled."""
    return AnyOf([arn_source(fields)])


def fill_arn(fields: Sequence[Parts], facts: Facts) -> tuple[Parts, ...] | None:
    """The fields with their variables replaced; None when one has no value, or would be more than one field."""
    result = []
    for at, field in enumerate(fields):
        parts = filled(field, facts)
        if parts is None:
            return None
        if at < ARN_FIELDS - 1 and any(isinstance(part, str) and ":" in part for part in parts):
            return None
        result.append(parts)
    return tuple(result)


def matches_text(parts: Parts, text: str, facts: Facts) -> bool:
    """Whether a text is like a pattern with variables; one without a value is like nothing."""
    ready = filled(parts, facts)
    return ready is not None and filled_text_match(ready)(text) is not None


def matches_arn(fields: Sequence[Parts], arn: str, facts: Facts) -> bool:
    """The same for the fields of an ARN."""
    ready = fill_arn(fields, facts)
    return ready is not None and filled_arn_match(ready)(arn) is not None
