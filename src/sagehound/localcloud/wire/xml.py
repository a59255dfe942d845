"""XML documents written from results, for S3, the query protocols and EC2: each shape is compiled once.

https://smithy.io/2.0/aws/protocols/aws-restxml-protocol.html
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

Write = Callable[[Any, str, list[str]], None]
"""(value, element name, pieces of text to append to)."""

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_SPECIAL = re.compile(r"[&<>\"\x00-\x08\x0b\x0c\x0d\x0e-\x1f]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
_S3_ROOTS = {
    "ListParts": "ListPartsResult",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetBucketWebsite": "WebsiteConfiguration",
    "GetBucketRequestPayment": "RequestPaymentConfiguration",
    "GetBucketAccelerateConfiguration": "AccelerateConfiguration",
}
"""Root elements that the model does not tell."""


def escape(text: str) -> str:
    """Text as element content; control characters become references, as S3 writes them."""
    return _SPECIAL.sub(_entity, text) if _SPECIAL.search(text) else text


def _entity(match: re.Match[str]) -> str:
    character = match[0]
    return _ENTITIES.get(character) or f"&#x{ord(character):x};"


def s3_body(model: Any, result: dict[str, Any]) -> bytes:
    """The body of an S3 answer."""
    shape = model.output_shape
    payload = shape.serialization.get("payload")
    root = shape.serialization.get("resultWrapper") or payload
    root = root or _S3_ROOTS.get(model.name) or f"{model.name}Response"
    pieces = [DECLARATION]
    namespace = model.service_model.metadata.get("xmlNamespace") or model.metadata.get("xmlNamespace", "")
    if model.name == "GetBucketLocation":
        # The one answer whose root element holds the text itself.
        location = escape(result.get("LocationConstraint") or "")
        pieces.append(f'<{root} xmlns="{namespace}">{location}</{root}>')
        return "".join(pieces).encode()
    value = result
    if payload:
        value, shape = result.get(payload) or {}, shape.members[payload]
    pieces.append(f'<{root} xmlns="{namespace}">')
    _S3.members(shape)(value, "", pieces)
    pieces.append(f"</{root}>")
    return "".join(pieces).encode()


def query_body(model: Any, result: dict[str, Any], request_id: str) -> bytes:
    """The body of an answer in the query protocol."""
    shape = model.output_shape
    pieces = [f'<{model.name}Response xmlns="{model.metadata.get("xmlNamespace", "")}">']
    if shape is not None:
        wrapper = shape.serialization.get("resultWrapper", f"{model.name}Result")
        pieces.append(f"<{wrapper}>")
        _QUERY.members(shape)(result, "", pieces)
        pieces.append(f"</{wrapper}>")
    pieces.append(f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{model.name}Response>")
    return "".join(pieces).encode()


def ec2_body(model: Any, result: dict[str, Any], request_id: str) -> bytes:
    """The body of an answer of EC2."""
    pieces = [DECLARATION, f'<{model.name}Response xmlns="{model.metadata.get("xmlNamespace", "")}">']
    pieces.append(f"<requestId>{request_id}</requestId>")
    if model.output_shape is not None:
        _EC2.members(model.output_shape)(result, "", pieces)
    pieces.append(f"</{model.name}Response>")
    return "".join(pieces).encode()


class XmlWriter:
    """Compiles shapes; `suffix` ends timestamps of ISO 8601: `Z`, or `.000Z` where AWS has it."""

    def __init__(self, suffix: str) -> None:
        self._suffix = suffix
        self._compiled: dict[int, tuple[Any, Write]] = {}
        self._members: dict[int, tuple[Any, Write]] = {}

    def members(self, shape: Any) -> Write:
        """Writes the members of a structure without an element around them."""
        known = self._members.get(id(shape))
        if known is None:
            # The shape is kept, so that its identity stays its own.
            known = self._members[id(shape)] = (shape, self._member_writer(shape))
        return known[1]

    def _writer(self, shape: Any) -> Write:
        known = self._compiled.get(id(shape))
        if known is None:
            makers = {"structure": self._structure, "list": self._list, "map": self._map}
            maker = makers.get(shape.type_name, self._leaf)
            known = self._compiled[id(shape)] = (shape, maker(shape))
        return known[1]

    def _member_writer(self, shape: Any) -> Write:
        members = [
            (name, _element_name(member, name), member)
            for name, member in shape.members.items()
            if "location" not in member.serialization and not member.serialization.get("xmlAttribute")
        ]
        writers: list[tuple[str, str, Write]] = []

        def write(value: dict[str, Any], element: str, pieces: list[str]) -> None:
            if not writers:
                # Made at the first value, not with the structure: some shapes contain themselves.
                writers.extend((name, tag, self._writer(member)) for name, tag, member in members)
            for name, tag, write_member in writers:
                item = value.get(name)
                if item is not None:
                    write_member(item, tag, pieces)

        return write

    def _structure(self, shape: Any) -> Write:
        inner = self.members(shape)
        attributes = [
            (name, member.serialization.get("name", name))
            for name, member in shape.members.items()
            if member.serialization.get("xmlAttribute")
        ]
        namespace = ""
        if declared := shape.serialization.get("xmlNamespace"):
            prefix = f":{declared['prefix']}" if declared.get("prefix") else ""
            namespace = f' xmlns{prefix}="{declared["uri"]}"'

        def write(value: dict[str, Any], element: str, pieces: list[str]) -> None:
            found = "".join(f' {tag}="{escape(str(value[name]))}"' for name, tag in attributes if name in value)
            pieces.append(f"<{element}{namespace}{found}>")
            inner(value, element, pieces)
            pieces.append(f"</{element}>")

        return write

    def _list(self, shape: Any) -> Write:
        item_name = shape.member.serialization.get("name", "member")
        inner: list[Write] = []
        flattened = shape.serialization.get("flattened")

        def write(value: list[Any], element: str, pieces: list[str]) -> None:
            if not inner:
                inner.append(self._writer(shape.member))
            write_item = inner[0]
            if flattened:
                for item in value:
                    write_item(item, element, pieces)
                return
            pieces.append(f"<{element}>")
            for item in value:
                write_item(item, item_name, pieces)
            pieces.append(f"</{element}>")

        return write

    def _map(self, shape: Any) -> Write:
        key_name = shape.key.serialization.get("name", "key")
        value_name = shape.value.serialization.get("name", "value")
        inner: list[Write] = []
        flattened = shape.serialization.get("flattened")

        def write(value: dict[str, Any], element: str, pieces: list[str]) -> None:
            if not inner:
                inner.append(self._writer(shape.value))
            entry = element if flattened else "entry"
            if not flattened:
                pieces.append(f"<{element}>")
            for key, item in value.items():
                pieces.append(f"<{entry}><{key_name}>{escape(str(key))}</{key_name}>")
                inner[0](item, value_name, pieces)
                pieces.append(f"</{entry}>")
            if not flattened:
                pieces.append(f"</{element}>")

        return write

    def _leaf(self, shape: Any) -> Write:
        text = self._text(shape)

        def write(value: Any, element: str, pieces: list[str]) -> None:
            pieces.append(f"<{element}>{text(value)}</{element}>")

        return write

    def _text(self, shape: Any) -> Callable[[Any], str]:
        kind = shape.type_name
        if kind == "timestamp":
            return self._timestamp(shape.serialization.get("timestampFormat", "iso8601"))
        if kind == "boolean":
            return lambda value: "true" if value else "false"
        if kind == "blob":
            return lambda value: base64.b64encode(value).decode()
        if kind in ("integer", "long"):
            return lambda value: str(int(value))
        if kind in ("float", "double"):
            return lambda value: str(float(value))
        return lambda value: escape(value if isinstance(value, str) else str(value))

    def _timestamp(self, form: str) -> Callable[[datetime], str]:
        if form == "rfc822":
            return lambda moment: format_datetime(moment.astimezone(UTC), usegmt=True)
        if form == "unixTimestamp":
            return lambda moment: str(int(moment.timestamp()))
        return lambda moment: moment.astimezone(UTC).isoformat(timespec="seconds")[:19] + self._suffix


def _element_name(shape: Any, member: str) -> str:
    if shape.type_name == "list" and shape.serialization.get("flattened") and "name" in shape.member.serialization:
        return str(shape.member.serialization["name"])
    return str(shape.serialization.get("name", member))


_S3 = XmlWriter(".000Z")
_QUERY = XmlWriter("Z")
_EC2 = XmlWriter(".000Z")
