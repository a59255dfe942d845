"""A request held against AWS's own model: required members, types, lengths, ranges, enums and patterns.

Each shape is compiled into one function at its first use, so that a call costs microseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.wire import ec2_members, patterns, rest
from sagehound.localcloud.wire.malformed import MalformedInput, wrong_type
from sagehound.localcloud.wire.route import Route

Errors = list[str]
Check = Callable[[Any, str, Errors], None]

_CODES = {"logs": "InvalidParameterException", "sagemaker-runtime": "ValidationError"}
_QUERY_CODE = "ValidationError"
_compiled: dict[int, tuple[Any, Check]] = {}
"""By the identity of the shape, which is kept so that the identity stays its own."""


def validate(route: Route, params: dict[str, Any]) -> None:
    """Refuse what AWS's model refuses, in AWS's words: `1 validation error detected: Value ... at ...`.

    S3 has no such message: only its required members are checked here, the rest is S3's.
    """
    if route.model is None or route.model.input_shape is None:
        return
    if route.streaming:
        # The payload is still on its way; its operation reads it.
        params = {**params, rest.inputs(route.model).payload or "Body": b""}
    if route.service == "s3":
        _validate_s3(route, params)
        return
    if route.service == "ec2":
        ec2_members.check(route.model.input_shape, params)
        return
    errors: Errors = []
    try:
        _check_of(route.model.input_shape)(params, "", errors)
    except MalformedInput as reason:
        raise AwsError("SerializationException", str(reason)) from reason
    if errors:
        plural = "" if len(errors) == 1 else "s"
        message = f"{len(errors)} validation error{plural} detected: {'; '.join(errors)}"
        raise AwsError(_code(route), message)


def _code(route: Route) -> str:
    if route.protocol == "query" or route.service in ("cloudwatch", "iam", "sts"):
        return _QUERY_CODE
    return _CODES.get(route.service, "ValidationException")


def _validate_s3(route: Route, params: dict[str, Any]) -> None:
    shape = route.model.input_shape
    for name in shape.required_members:
        if name in params:
            continue
        if shape.members[name].serialization.get("location") is None:
            raise AwsError("MissingRequestBodyError", "Request Body is empty")
        raise AwsError("InvalidRequest", f"Missing required parameter for this request: {name}")
    for name, value in params.items():
        if isinstance(value, dict | list) and _lacks_required(shape.members[name], value):
            message = "The XML you provided was not well-formed or did not validate against our published schema"
            raise AwsError("MalformedXML", message)


def _lacks_required(shape: Any, value: Any) -> bool:
    if shape.type_name == "structure" and isinstance(value, dict):
        if any(name not in value for name in shape.required_members):
            return True
        return any(_lacks_required(shape.members[name], item) for name, item in value.items())
    if shape.type_name == "list" and isinstance(value, list):
        return any(_lacks_required(shape.member, item) for item in value)
    return False


def _check_of(shape: Any) -> Check:
    known = _compiled.get(id(shape))
    if known is None:
        known = _compiled[id(shape)] = (shape, _MAKERS.get(shape.type_name, _anything)(shape))
    return known[1]


def _anything(shape: Any) -> Check:
    return lambda value, path, errors: None


def _structure(shape: Any) -> Check:
    if getattr(shape, "is_document_type", False):
        return _anything(shape)
    members = {name: (member, _decapitalised(name)) for name, member in shape.members.items()}
    required = [(name, members[name][1]) for name in shape.required_members]
    checks: dict[str, tuple[Check, str]] = {}

    def check(value: Any, path: str, errors: Errors) -> None:
        if not isinstance(value, dict):
            raise wrong_type(value, "Structure")
        prefix = f"{path}." if path else ""
        for name, label in required:
            if value.get(name) is None:
                errors.append(_failed(None, prefix + label, "Member must not be null"))
        for name, item in value.items():
            if item is None or name not in members:
                continue
            found = checks.get(name)
            if found is None:
                # Made at the first value, not with the structure: some shapes contain themselves.
                member, label = members[name]
                found = checks[name] = (_check_of(member), label)
            found[0](item, prefix + found[1], errors)

    return check


def _list(shape: Any) -> Check:
    minimum, maximum = shape.metadata.get("min"), shape.metadata.get("max")
    member: list[Check] = []

    def check(value: Any, path: str, errors: Errors) -> None:
        if not isinstance(value, list):
            raise wrong_type(value, "List")
        _check_length(value, len(value), minimum, maximum, path, errors)
        if not member:
            member.append(_check_of(shape.member))
        for position, item in enumerate(value, 1):
            member[0](item, f"{path}.{position}.member", errors)

    return check


def _map(shape: Any) -> Check:
    minimum, maximum = shape.metadata.get("min"), shape.metadata.get("max")
    inner: list[Check] = []

    def check(value: Any, path: str, errors: Errors) -> None:
        if not isinstance(value, dict):
            raise wrong_type(value, "Map")
        _check_length(value, len(value), minimum, maximum, path, errors)
        if not inner:
            inner.extend((_check_of(shape.key), _check_of(shape.value)))
        for key, item in value.items():
            inner[0](key, f"{path}.key", errors)
            inner[1](item, f"{path}.{key}.member", errors)

    return check


def _string(shape: Any) -> Check:
    minimum, maximum = shape.metadata.get("min"), shape.metadata.get("max")
    pattern = shape.metadata.get("pattern")
    regex = patterns.compiled(pattern) if pattern else None
    allowed = frozenset(shape.enum) if shape.enum else None

    def check(value: Any, path: str, errors: Errors) -> None:
        if not isinstance(value, str):
            raise wrong_type(value, "String")
        if allowed is not None:
            if value not in allowed:
                # AWS lists the values in an order of its own; the model's is as good.
                words = f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
                errors.append(_failed(value, path, words))
            return
        if _check_length(value, len(value), minimum, maximum, path, errors):
            return
        if regex is not None and regex.fullmatch(value) is None:
            errors.append(_failed(value, path, f"Member must satisfy regular expression pattern: {pattern}"))

    return check


def _blob(shape: Any) -> Check:
    minimum, maximum = shape.metadata.get("min"), shape.metadata.get("max")

    def check(value: Any, path: str, errors: Errors) -> None:
        if not isinstance(value, bytes | bytearray):
            raise wrong_type(value, "Blob")
        _check_length("java.nio.HeapByteBuffer", len(value), minimum, maximum, path, errors)

    return check


def _number(shape: Any) -> Check:
    minimum, maximum = shape.metadata.get("min"), shape.metadata.get("max")
    kind = {"integer": "Integer", "long": "Long", "float": "Float", "double": "Double"}[shape.type_name]

    def check(value: Any, path: str, errors: Errors) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong_type(value, kind)
        if minimum is not None and value < minimum:
            errors.append(_failed(value, path, f"Member must have value greater than or equal to {minimum}"))
        if maximum is not None and value > maximum:
            errors.append(_failed(value, path, f"Member must have value less than or equal to {maximum}"))

    return check


def _boolean(shape: Any) -> Check:
    def check(value: Any, path: str, errors: Errors) -> None:
        if not isinstance(value, bool):
            raise wrong_type(value, "Boolean")

    return check


def _timestamp(shape: Any) -> Check:
    def check(value: Any, path: str, errors: Errors) -> None:
        if not isinstance(value, datetime):
            raise wrong_type(value, "Timestamp")

    return check


_MAKERS: dict[str, Callable[[Any], Check]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
    "character": _string,
    "blob": _blob,
    "integer": _number,
    "long": _number,
    "float": _number,
    "double": _number,
    "boolean": _boolean,
    "timestamp": _timestamp,
}


def _check_length(value: Any, size: int, minimum: Any, maximum: Any, path: str, errors: Errors) -> bool:
    """Whether the length was refused."""
    if minimum is not None and size < minimum:
        errors.append(_failed(value, path, f"Member must have length greater than or equal to {minimum}"))
        return True
    if maximum is not None and size > maximum:
        errors.append(_failed(value, path, f"Member must have length less than or equal to {maximum}"))
        return True
    return False


def _failed(value: Any, path: str, constraint: str) -> str:
    shown = "null" if value is None else f"'{_shown(value)}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_shown(item) for item in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={_shown(item)}" for key, item in value.items()) + "}"
    return str(value)


def _decapitalised(name: str) -> str:
    """`TrainingJobName` -> `trainingJobName`, as AWS's messages have it."""
    return name[:1].lower() + name[1:]
