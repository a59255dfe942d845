"""The one error of reading: a body that is not what its protocol and its operation's model say."""

from __future__ import annotations

from typing import Any


class MalformedInput(ValueError):
    """Told to the caller as SerializationException, MalformedXML or MalformedInput."""


def wrong_type(value: Any, wanted: str) -> MalformedInput:
    """`NUMBER_VALUE can not be converted to a String`, as AWS says it."""
    return MalformedInput(f"{_found(value)} can not be converted to {'an' if wanted == 'Integer' else 'a'} {wanted}")


def _found(value: Any) -> str:
    if isinstance(value, bool):
        return "TRUE_VALUE" if value else "FALSE_VALUE"
    if isinstance(value, int | float):
        return "NUMBER_VALUE"
    if isinstance(value, str):
        return "STRING_VALUE"
    if isinstance(value, list):
        return "START_ARRAY"
    if value is None:
        return "NULL_VALUE"
    return "START_OBJECT" if isinstance(value, dict) else type(value).__name__
