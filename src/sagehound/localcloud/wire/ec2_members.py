"""EC2's members against AWS's model, refused in EC2's own words, which are not those of the other services."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.errors import AwsError

_LEFT_TO_EC2 = ("InstanceType", "ResourceType")
"""Enumerations that grow every month: the service says what it knows."""


def check(shape: Any, params: dict[str, Any]) -> None:
    """MissingParameter, or InvalidParameterValue for what is in no enumeration."""
    for name in shape.required_members:
        if params.get(name) is None:
            raise AwsError("MissingParameter", f"The request must contain the parameter {name}")
    for name, value in params.items():
        if name in shape.members:
            _check_value(shape.members[name], name, value)


def _check_value(shape: Any, name: str, value: Any) -> None:
    if shape.type_name == "structure" and isinstance(value, dict):
        check(shape, value)
    elif shape.type_name == "list" and isinstance(value, list):
        for item in value:
            _check_value(shape.member, name, item)
    elif shape.type_name == "string":
        enum = getattr(shape, "enum", None)
        if enum and shape.name not in _LEFT_TO_EC2 and value not in enum:
            raise AwsError("InvalidParameterValue", f"Invalid value '{value}' for {name}.")
