"""Smithy RPC v2 CBOR, both directions: what newer clients of CloudWatch send.

https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
"""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import cbor2

from sagehound.localcloud.wire.codec import MalformedInput
from sagehound.localcloud.wire.documents import DocumentWriter

HEADERS = [("Content-Type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")]
_EPOCH_SECONDS = 1
"""The CBOR tag of timestamps."""


def dumps(document: Any) -> bytes:
    """A document of plain values."""
    encoded: bytes = cbor2.dumps(document)
    return encoded


def parse(shape: Any, body: bytes) -> Any:
    """The body read as `shape`: unknown members and nulls are dropped."""
    if shape is None or not body:
        return {}
    try:
        return _parse(shape, cbor2.load(io.BytesIO(body)))
    except (cbor2.CBORDecodeError, ValueError, TypeError, AttributeError, OverflowError) as reason:
        raise MalformedInput(str(reason)) from reason


def _parse(shape: Any, value: Any) -> Any:
    kind = shape.type_name
    if kind == "structure":
        found = ((name, member, value.get(name)) for name, member in shape.members.items())
        return {name: _parse(member, item) for name, member, item in found if item is not None}
    if kind == "list":
        return [_parse(shape.member, item) for item in value]
    if kind == "map":
        return {_parse(shape.key, key): _parse(shape.value, item) for key, item in value.items()}
    if kind == "timestamp":
        if isinstance(value, datetime):
            return value.astimezone(UTC)
        return datetime.fromtimestamp(float(value), UTC)
    if kind in ("float", "double"):
        return float(value)
    if kind in ("integer", "long"):
        return int(value)
    return value


_WRITER = DocumentWriter(lambda moment: cbor2.CBORTag(_EPOCH_SECONDS, moment.timestamp()), bytes)


def serialise(shape: Any, result: dict[str, Any]) -> bytes:
    """An operation's result; one without an output shape has an empty map."""
    return dumps(_WRITER.document(shape, result)) if shape is not None else dumps({})
