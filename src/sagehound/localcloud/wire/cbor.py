"""Smithy RPC v2 CBOR, both directions: what newer clients of CloudWatch send.

https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
"""

from __future__ import annotations

import io
from typing import Any

import cbor2

from sagehound.localcloud.wire.document_reader import DocumentReader
from sagehound.localcloud.wire.documents import DocumentWriter
from sagehound.localcloud.wire.malformed import MalformedInput, wrong_type

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
        document = cbor2.load(io.BytesIO(body))
    except (cbor2.CBORDecodeError, ValueError, TypeError, OverflowError, RecursionError) as reason:
        raise MalformedInput(str(reason)) from reason
    return _READER.read(shape, document)


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise wrong_type(value, "Blob")
    return value


_READER = DocumentReader(_bytes)
_WRITER = DocumentWriter(lambda moment: cbor2.CBORTag(_EPOCH_SECONDS, moment.timestamp()), bytes)


def serialise(shape: Any, result: dict[str, Any]) -> bytes:
    """An operation's result; one without an output shape has an empty map."""
    return dumps(_WRITER.document(shape, result)) if shape is not None else dumps({})
