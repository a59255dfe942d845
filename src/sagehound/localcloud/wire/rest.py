"""Where REST operations keep their members: in URI, query and headers going in, in status and headers coming out."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from sagehound.localcloud.wire.document_reader import timestamp

_FORGIVEN_DATES = frozenset(
    {
        "IfModifiedSince",
        "IfUnmodifiedSince",
        "CopySourceIfModifiedSince",
        "CopySourceIfUnmodifiedSince",
    }
)
"""RFC 9110: a condition whose date cannot be read is ignored."""


class InvalidMember(ValueError):
    """A header or query value that is not what its member's type says."""

    def __init__(self, member: str, name: str, value: str, kind: str) -> None:
        super().__init__(f"{name}: {value!r} is not a {kind}")
        self.member, self.name, self.value, self.kind = member, name, value, kind


@dataclass(frozen=True, slots=True)
class _Member:
    member: str
    name: str
    kind: str
    read: Callable[[str], Any] | None


@dataclass(slots=True)
class _Inputs:
    headers: dict[str, _Member] = field(default_factory=dict)
    prefixes: list[tuple[str, str]] = field(default_factory=list)
    query: dict[str, _Member] = field(default_factory=dict)
    query_lists: dict[str, _Member] = field(default_factory=dict)
    """The reader of these is that of one item."""
    uri: list[_Member] = field(default_factory=list)
    in_body: bool = False
    payload: str | None = None


@functools.lru_cache(maxsize=1024)
def inputs(model: Any) -> _Inputs:
    """The bindings of an operation's input, read from its model once."""
    found = _Inputs()
    shape = model.input_shape
    if shape is None:
        return found
    found.payload = shape.serialization.get("payload")
    for member, member_shape in shape.members.items():
        location = member_shape.serialization.get("location")
        name = member_shape.serialization.get("name", member)
        if location == "header":
            found.headers[name.lower()] = _Member(member, name, member_shape.type_name, _reader(member_shape))
        elif location == "headers":
            found.prefixes.append((name.lower(), member))
        elif location == "querystring" and member_shape.type_name == "list":
            item = member_shape.member
            found.query_lists[name] = _Member(member, name, item.type_name, _reader(item))
        elif location == "querystring":
            found.query[name] = _Member(member, name, member_shape.type_name, _reader(member_shape))
        elif location == "uri":
            found.uri.append(_Member(member, name, member_shape.type_name, _reader(member_shape)))
        elif member != found.payload:
            found.in_body = True
    return found


def read_bindings(
    bindings: _Inputs,
    uri_params: dict[str, str],
    query: dict[str, str],
    repeated: dict[str, list[str]],
    headers: dict[str, str],
) -> dict[str, Any]:
    """The members that are bound to the URI, the query string (`repeated`: with every value) and the headers."""
    params: dict[str, Any] = {}
    for bound_label in bindings.uri:
        if (text := uri_params.get(bound_label.name)) is not None:
            _read(bound_label, text, params)
    if query:
        for name, text in query.items():
            if (bound := bindings.query.get(name)) is not None:
                _read(bound, text, params)
    for name, bound in bindings.query_lists.items():
        if name in repeated:
            params[bound.member] = [_value(bound, text) for text in repeated[name]]
    known = bindings.headers
    for name, text in headers.items():
        if (bound := known.get(name)) is not None:
            _read(bound, text, params)
    for prefix, member in bindings.prefixes:
        cut = len(prefix)
        found = {name[cut:]: text for name, text in headers.items() if name.startswith(prefix)}
        if found:
            params[member] = found
    return params


def _read(bound: _Member, text: str, params: dict[str, Any]) -> None:
    try:
        params[bound.member] = _value(bound, text)
    except InvalidMember:
        if bound.member not in _FORGIVEN_DATES:
            raise


def _value(bound: _Member, text: str) -> Any:
    if bound.read is None:
        return text
    try:
        return bound.read(text)
    except (ValueError, OverflowError) as reason:
        raise InvalidMember(bound.member, bound.name, text, bound.kind) from reason


def _reader(shape: Any) -> Callable[[str], Any] | None:
    if shape.type_name == "list":
        of_item = _reader(shape.member)
        return lambda text: [of_item(part.strip()) if of_item else part.strip() for part in text.split(",")]
    return _READERS.get(shape.type_name)


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


_READERS: dict[str, Callable[[str], Any]] = {
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
    "boolean": _boolean,
    "timestamp": timestamp,
}


@dataclass(slots=True)
class _Outputs:
    headers: list[tuple[str, str, Callable[[Any], str]]] = field(default_factory=list)
    prefixes: list[tuple[str, str]] = field(default_factory=list)
    status: str | None = None
    payload: str | None = None
    streaming: bool = False
    in_body: bool = False
    response_code: int = 200


@functools.lru_cache(maxsize=1024)
def outputs(model: Any) -> _Outputs:
    """The bindings of an operation's output, read from its model once."""
    found = _Outputs(response_code=model.http.get("responseCode", 200))
    shape = model.output_shape
    if shape is None:
        return found
    found.payload = shape.serialization.get("payload")
    if found.payload is not None:
        found.streaming = shape.members[found.payload].type_name in ("blob", "string")
    for member, member_shape in shape.members.items():
        location = member_shape.serialization.get("location")
        name = member_shape.serialization.get("name", member)
        if location == "header":
            found.headers.append((member, name, _writer(member_shape)))
        elif location == "headers":
            found.prefixes.append((member, name))
        elif location == "statusCode":
            found.status = member
        elif not found.streaming:
            found.in_body = True
    return found


def write_bindings(bindings: _Outputs, result: dict[str, Any]) -> tuple[int, list[tuple[str, str]]]:
    """The status and the headers that the members of `result` are bound to."""
    headers = [
        (name, write(value)) for member, name, write in bindings.headers if (value := result.get(member)) is not None
    ]
    for member, prefix in bindings.prefixes:
        headers.extend((prefix + name, str(value)) for name, value in result.get(member, {}).items())
    status = bindings.response_code
    if bindings.status is not None and result.get(bindings.status) is not None:
        status = int(result[bindings.status])
    return status, headers


def _writer(shape: Any) -> Callable[[Any], str]:
    if shape.type_name == "timestamp":
        if shape.serialization.get("timestampFormat", "rfc822") == "iso8601":
            return lambda moment: moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return http_date
    if shape.type_name == "boolean":
        return lambda value: "true" if value else "false"
    if shape.type_name == "list":
        return lambda values: ",".join(map(str, values))
    return str


def http_date(moment: datetime) -> str:
    """`Sun, 22 Nov 2026 01:02:03 GMT`."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)
