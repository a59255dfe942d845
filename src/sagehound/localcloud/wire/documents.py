"""JSON and CBOR documents written from results: each shape is compiled once into a function."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

Write = Callable[[Any], Any]


class DocumentWriter:
    """Turns AWS dicts into plain documents: members that the model has not, or that are None, are left out."""

    def __init__(self, timestamp: Write, blob: Write) -> None:
        self._leaves: dict[str, Write] = {
            "timestamp": timestamp,
            "blob": blob,
            "string": str,
            "character": str,
            "integer": int,
            "long": int,
            "float": float,
            "double": float,
            "boolean": bool,
        }
        self._compiled: dict[int, tuple[Any, Write]] = {}

    def document(self, shape: Any, value: Any) -> Any:
        """`value`, of `shape`, as a document."""
        return self._writer(shape)(value)

    def _writer(self, shape: Any) -> Write:
        known = self._compiled.get(id(shape))
        if known is None:
            # The shape is kept, so that its identity stays its own.
            known = self._compiled[id(shape)] = (shape, self._compile(shape))
        return known[1]

    def _compile(self, shape: Any) -> Write:
        kind = shape.type_name
        if kind == "structure":
            return self._structure(shape)
        if kind == "list":
            return self._list(shape)
        if kind == "map":
            return self._map(shape)
        return self._leaves[kind]

    def _structure(self, shape: Any) -> Write:
        if getattr(shape, "is_document_type", False):
            return lambda value: value
        members = [
            (name, member.serialization.get("name", name), member)
            for name, member in shape.members.items()
            if "location" not in member.serialization
        ]
        writers: list[tuple[str, str, Write]] = []

        def write(value: dict[str, Any]) -> dict[str, Any]:
            if not writers:
                # Made at the first value, not with the structure: some shapes contain themselves.
                writers.extend((name, written, self._writer(member)) for name, written, member in members)
            return {
                written: of_member(item)
                for name, written, of_member in writers
                if (item := value.get(name)) is not None
            }

        return write

    def _list(self, shape: Any) -> Write:
        inner: list[Write] = []

        def write(value: list[Any]) -> list[Any]:
            if not inner:
                inner.append(self._writer(shape.member))
            return list(map(inner[0], value))

        return write

    def _map(self, shape: Any) -> Write:
        inner: list[Write] = []

        def write(value: dict[str, Any]) -> dict[str, Any]:
            if not inner:
                inner.append(self._writer(shape.value))
            return {key: inner[0](item) for key, item in value.items()}

        return write


def epoch_seconds(moment: datetime) -> int | float:
    """Seconds since 1970 to the millisecond; whole ones without a fraction."""
    seconds = round(moment.timestamp(), 3)
    return int(seconds) if seconds.is_integer() else seconds


def _base64(value: bytes | str) -> str:
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


_JSON = DocumentWriter(epoch_seconds, _base64)


def json_body(shape: Any, result: dict[str, Any]) -> bytes:
    """A result as JSON text; `{}` for an operation without output."""
    return json.dumps(_JSON.document(shape, result)).encode() if shape is not None else b"{}"
