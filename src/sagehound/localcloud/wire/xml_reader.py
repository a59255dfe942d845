"""XML documents read into inputs, as S3's clients send them: each shape is compiled once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

from sagehound.localcloud.wire.document_reader import blob, timestamp
from sagehound.localcloud.wire.malformed import MalformedInput

Read = Callable[[Any], Any]
"""From an element."""

_compiled: dict[int, tuple[Any, Read]] = {}


def read_xml(shape: Any, body: bytes) -> Any:
    """The document read as `shape`, whatever its namespace and the name of its root."""
    try:
        return _reader(shape)(ElementTree.fromstring(body))
    except (ElementTree.ParseError, ValueError, RecursionError) as reason:
        raise MalformedInput(str(reason)) from reason


def _reader(shape: Any) -> Read:
    known = _compiled.get(id(shape))
    if known is None:
        maker = {"structure": _structure, "list": _list, "map": _map}.get(shape.type_name, _leaf)
        # The shape is kept, so that its identity stays its own.
        known = _compiled[id(shape)] = (shape, maker(shape))
    return known[1]


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _structure(shape: Any) -> Read:
    members: dict[str, tuple[str, Any]] = {}
    attributes: dict[str, str] = {}
    for name, member in shape.members.items():
        if "location" in member.serialization:
            continue
        written = member.serialization.get("name", name)
        if member.serialization.get("xmlAttribute"):
            attributes[written.rpartition(":")[2]] = name
            continue
        if _is_flattened(member):
            written = member.member.serialization.get("name", written)
        members[written] = (name, member)
    readers: dict[str, tuple[str, Read, bool]] = {}

    def read(element: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for child in element:
            tag = _local(child.tag)
            known = readers.get(tag)
            if known is None:
                if tag not in members:
                    continue
                # Made at the first value, not with the structure: some shapes contain themselves.
                name, member = members[tag]
                repeated = _is_flattened(member)
                known = readers[tag] = (name, _reader(member.member if repeated else member), repeated)
            name, read_member, repeated = known
            if repeated:
                found.setdefault(name, []).append(read_member(child))
            else:
                found[name] = read_member(child)
        if attributes:
            for attribute, value in element.attrib.items():
                if (name_of := attributes.get(_local(attribute))) is not None:
                    found[name_of] = value
        return found

    return read


def _is_flattened(shape: Any) -> bool:
    return bool(shape.type_name == "list" and shape.serialization.get("flattened"))


def _list(shape: Any) -> Read:
    inner: list[Read] = []

    def read(element: Any) -> list[Any]:
        if not inner:
            inner.append(_reader(shape.member))
        return list(map(inner[0], element))

    return read


def _map(shape: Any) -> Read:
    key_name = shape.key.serialization.get("name", "key")
    value_name = shape.value.serialization.get("name", "value")
    inner: list[Read] = []

    def read(element: Any) -> dict[str, Any]:
        if not inner:
            inner.append(_reader(shape.value))
        found: dict[str, Any] = {}
        for entry in element:
            parts = {_local(part.tag): part for part in entry}
            if key_name in parts and value_name in parts:
                found[parts[key_name].text or ""] = inner[0](parts[value_name])
        return found

    return read


def _leaf(shape: Any) -> Read:
    kind = shape.type_name
    if kind in ("integer", "long"):
        return lambda element: int(element.text or "")
    if kind in ("float", "double"):
        return lambda element: float(element.text or "")
    if kind == "boolean":
        return _boolean
    if kind == "timestamp":
        return lambda element: timestamp((element.text or "").strip())
    if kind == "blob":
        return lambda element: blob((element.text or "").strip())
    return lambda element: element.text or ""


def _boolean(element: Any) -> bool:
    text = (element.text or "").strip().lower()
    if text not in ("true", "false"):
        raise MalformedInput(f"{text!r} is no boolean")
    return text == "true"
