"""What Describe* operations answer of what there is: filters with wildcards, and pages."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.policy.patterns import Match, Part, Wildcard, filled_text_match
from sagehound.localcloud.services.ec2 import errors

Record = dict[str, Any]
Paths = Mapping[str, str]
"""A filter's name -> the members that it looks at, dotted; lists are looked into."""


def select(records: Sequence[Record], filters: Sequence[Record], paths: Paths) -> list[Record]:
    """The records that pass every filter: one of its values fits one of the record's. Tags are known to all."""
    tests = [_test(item, paths) for item in filters]
    return [record for record in records if all(test(record) for test in tests)]


def page(
    records: Sequence[Record], request: Record, key: Callable[[Record], str], *, smallest: int = 5, largest: int = 1000
) -> tuple[list[Record], dict[str, str]]:
    """A page of records in the order of `key`, and NextToken when more follow.

    The token names the last one given, so that what comes or goes meanwhile hides and repeats nothing.
    """
    ordered = sorted(records, key=key)
    if token := request.get("NextToken"):
        after = _read_token(token)
        ordered = [record for record in ordered if key(record) > after]
    size = request.get("MaxResults")
    if size is None:
        return ordered, {}
    if not smallest <= size <= largest:
        bound = f"greater than or equal to {smallest}" if size < smallest else f"less than or equal to {largest}"
        raise errors.invalid(size, "maxResults", f"Expecting a value {bound}.")
    if len(ordered) <= size:
        return ordered, {}
    return ordered[:size], {"NextToken": base64.urlsafe_b64encode(key(ordered[size - 1]).encode()).decode()}


def values_at(record: Any, path: str) -> Iterator[str]:
    """The texts at a dotted path; nothing when a member on the way is missing."""
    if isinstance(record, list):
        for item in record:
            yield from values_at(item, path)
        return
    name, _, rest = path.partition(".")
    if not isinstance(record, dict) or record.get(name) is None:
        return
    value = record[name]
    if rest:
        yield from values_at(value, rest)
    elif isinstance(value, list):
        yield from map(_text, value)
    else:
        yield _text(value)


def _test(item: Record, paths: Paths) -> Callable[[Record], bool]:
    name = item.get("Name", "")
    patterns = [_pattern(value) for value in item.get("Values", ())]
    if not patterns:
        raise AwsError("InvalidParameterValue", f"The filter '{name}' has no values.")
    if name.startswith("tag:"):
        key = name.removeprefix("tag:")

        def tagged(record: Record) -> bool:
            found = [tag["Value"] for tag in record.get("Tags", ()) if tag["Key"] == key]
            return _any(patterns, found)

        return tagged
    path = {"tag-key": "Tags.Key", "tag-value": "Tags.Value"}.get(name) or paths.get(name)
    if path is None:
        raise AwsError("InvalidParameterValue", f"The filter '{name}' is invalid")
    return lambda record: _any(patterns, values_at(record, path))


def _any(patterns: Sequence[Match], texts: Iterable[str]) -> bool:
    return any(pattern(text) is not None for text in texts for pattern in patterns)


@lru_cache(maxsize=512)
def _pattern(value: str) -> Match:
    """`*` is any text, `?` one character, a backslash takes that from the one behind it."""
    pieces = re.findall(r"\\.|.", value, re.DOTALL)
    return filled_text_match(tuple(_piece(piece) for piece in pieces))


def _piece(piece: str) -> Part:
    if piece in ("*", "?"):
        return Wildcard(piece)
    return piece[1] if len(piece) == 2 else piece


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return str(value)


def _read_token(token: str) -> str:
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError) as reason:
        raise AwsError("InvalidParameterValue", "Unable to parse pagination token") from reason
