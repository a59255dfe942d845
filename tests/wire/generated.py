"""Values for any shape of any model: what the contract tests send through the wire."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any


class Unsupported(Exception):
    """An event stream: no service of ours has one."""


def value_of(shape: Any, depth: int = 0, seen: tuple[str, ...] = ()) -> Any:
    """A value that fills `shape`, optional members to a depth of three."""
    kind = shape.type_name
    maker = _MAKERS.get(kind)
    if maker is None:
        return _LEAVES[kind](shape)
    return maker(shape, depth, seen)


def _structure(shape: Any, depth: int, seen: tuple[str, ...]) -> Any:
    if getattr(shape, "is_document_type", False):
        return {"a": "b"}
    made: dict[str, Any] = {}
    union = getattr(shape, "is_tagged_union", False)
    for name, member in shape.members.items():
        if member.serialization.get("eventstream"):
            raise Unsupported
        if name == "ContentLength" or (union and made):
            continue
        nested = member.type_name in ("structure", "list", "map")
        required = name in shape.required_members or union
        if nested and not required and (depth > 2 or member.name in seen):
            continue
        if union and seen.count(member.name) > 2:
            continue
        made[name] = value_of(member, depth + 1, (*seen, shape.name, member.name))
    return made


def _list(shape: Any, depth: int, seen: tuple[str, ...]) -> Any:
    count = min(max(shape.metadata.get("min", 1), 1), 3)
    return [value_of(shape.member, depth + 1, (*seen, shape.name)) for _ in range(count)]


def _map(shape: Any, depth: int, seen: tuple[str, ...]) -> Any:
    return {value_of(shape.key, depth + 1, seen): value_of(shape.value, depth + 1, (*seen, shape.name))}


def _string(shape: Any) -> str:
    if shape.enum:
        return str(shape.enum[0])
    text = "abc" if shape.serialization.get("location") else "ab c/é&<x"
    text = text.ljust(shape.metadata.get("min", 0), "x")
    maximum = shape.metadata.get("max")
    return text[:maximum] if maximum and maximum >= shape.metadata.get("min", 0) else text


def _integer(shape: Any) -> int:
    least = max(shape.metadata.get("min", 3), 3)
    return min(least, shape.metadata.get("max", least))


_MAKERS = {"structure": _structure, "list": _list, "map": _map}
_LEAVES = {
    "string": _string,
    "character": _string,
    "integer": _integer,
    "long": _integer,
    "float": lambda shape: 0.5,
    "double": lambda shape: 0.5,
    "boolean": lambda shape: True,
    "blob": lambda shape: b"\x00\xffblob",
    "timestamp": lambda shape: datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC),
}


def plain(value: Any) -> Any:
    """Both sides of a comparison in one form."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, bytearray):
        return bytes(value)
    if hasattr(value, "read"):
        return value.read()
    return value


def difference(expected: Any, found: Any, path: str = "") -> str | None:
    """Where `found` lacks or changes something of `expected`; more than was expected is no difference."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name, item in expected.items():
            if name not in found:
                return f"{path}.{name} is missing"
            if (inner := difference(item, found[name], f"{path}.{name}")) is not None:
                return inner
        return None
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found, strict=True))
        return next((inner for at, (a, b) in pairs if (inner := difference(a, b, f"{path}[{at}]"))), None)
    return None if expected == found else f"{path}: {expected!r} became {found!r}"
