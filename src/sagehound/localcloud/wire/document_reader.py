"""JSON and CBOR documents read into inputs: each shape is compiled once into a function that checks types."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore.utils import parse_timestamp

from sagehound.localcloud.wire.malformed import MalformedInput, wrong_type

Read = Callable[[Any], Any]


class DocumentReader:
    """Turns documents into AWS dicts: members that the model has not, or that are null, are dropped."""

    def __init__(self, blob: Read) -> None:
        self._leaves: dict[str, Read] = {
            "timestamp": timestamp,
            "blob": blob,
            "string": _string,
            "character": _string,
            "integer": _integer,
            "long": _long,
            "float": _float,
            "double": _float,
            "boolean": _boolean,
        }
        self._compiled: dict[int, tuple[Any, Read]] = {}

    def read(self, shape: Any, document: Any) -> Any:
        """`document` as `shape`; MalformedInput where the types differ."""
        try:
            return self._reader(shape)(document)
        except RecursionError as reason:
            raise MalformedInput("The document is nested too deeply") from reason
        except OverflowError as reason:
            raise MalformedInput("A number is too large") from reason

    def _reader(self, shape: Any) -> Read:
        known = self._compiled.get(id(shape))
        if known is None:
            # The shape is kept, so that its identity stays its own.
            known = self._compiled[id(shape)] = (shape, self._compile(shape))
        return known[1]

    def _compile(self, shape: Any) -> Read:
        kind = shape.type_name
        if kind == "structure":
            return self._structure(shape)
        if kind == "list":
            return self._list(shape)
        if kind == "map":
            return self._map(shape)
        return self._leaves[kind]

    def _structure(self, shape: Any) -> Read:
        if getattr(shape, "is_document_type", False):
            return lambda value: value
        members = {
            member.serialization.get("name", name): (name, member)
            for name, member in shape.members.items()
            if "location" not in member.serialization
        }
        readers: dict[str, tuple[str, Read]] = {}

        def read(value: Any) -> dict[str, Any]:
            if not isinstance(value, dict):
                raise wrong_type(value, "Structure")
            found = {}
            for written, item in value.items():
                if item is None or written not in members:
                    continue
                known = readers.get(written)
                if known is None:
                    # Made at the first value, not with the structure: some shapes contain themselves.
                    name, member = members[written]
                    known = readers[written] = (name, self._reader(member))
                found[known[0]] = known[1](item)
            return found

        return read

    def _list(self, shape: Any) -> Read:
        inner: list[Read] = []

        def read(value: Any) -> list[Any]:
            if not isinstance(value, list):
                raise wrong_type(value, "List")
            if not inner:
                inner.append(self._reader(shape.member))
            return list(map(inner[0], value))

        return read

    def _map(self, shape: Any) -> Read:
        inner: list[Read] = []

        def read(value: Any) -> dict[str, Any]:
            if not isinstance(value, dict):
                raise wrong_type(value, "Map")
            if not inner:
                inner.append(self._reader(shape.value))
            return {key: inner[0](item) for key, item in value.items() if item is not None}

        return read


def timestamp(value: Any) -> datetime:
    """An aware UTC datetime from epoch seconds, ISO 8601 or RFC 822 text, or a datetime."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        moment: datetime = value if isinstance(value, datetime) else parse_timestamp(value)
    except (ValueError, TypeError, OverflowError, OSError) as reason:
        raise wrong_type(value, "Timestamp") from reason
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def blob(value: Any) -> bytes:
    """Bytes from base64 text."""
    if not isinstance(value, str):
        raise wrong_type(value, "Blob")
    try:
        return base64.b64decode(value, validate=True)
    except ValueError as reason:
        raise MalformedInput("A blob is not base64") from reason


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise wrong_type(value, "String")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as reason:
            # JSON can write half of a surrogate pair, which is no character: neither SQLite nor XML could hold it.
            raise MalformedInput("A string is not Unicode text") from reason
    return value


def _number(value: Any, kind: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise wrong_type(value, kind)


def _integer(value: Any) -> int:
    return _number(value, "Integer")


def _long(value: Any) -> int:
    return _number(value, "Long")


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        if value in ("NaN", "Infinity", "-Infinity"):
            return float(value)
        raise wrong_type(value, "Double")
    return float(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise wrong_type(value, "Boolean")
    return value


_JSON = DocumentReader(blob)


def read_json(shape: Any, body: bytes) -> Any:
    """A JSON text read as `shape`; no text is an empty object."""
    try:
        document = json.loads(body) if body else {}
    except (ValueError, RecursionError) as reason:
        raise MalformedInput("The request body is not JSON") from reason
    return _JSON.read(shape, document)
