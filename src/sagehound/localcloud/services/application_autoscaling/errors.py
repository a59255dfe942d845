"""Refusals of Application Auto Scaling in AWS's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagehound.localcloud.errors import AwsError


def no_target(request: Mapping[str, Any]) -> AwsError:
    """For what needs a scalable target that is not registered."""
    return not_found(f"No scalable target registered for {_named(request)}")


def no_such(what: str, request: Mapping[str, Any], name: str = "") -> AwsError:
    """For a target, policy or scheduled action that is to be deleted and is not there."""
    return not_found(f"No {what} found for {_named(request)}{name}")


def not_found(message: str) -> AwsError:
    """ObjectNotFoundException."""
    return AwsError("ObjectNotFoundException", message)


def no_resource(arn: str) -> AwsError:
    """For the tags of a target that is not there."""
    message = f"The specified resource doesn't exist: {arn}"
    return AwsError("ResourceNotFoundException", message, members={"ResourceName": arn})


def too_many_tags(arn: str, limit: int) -> AwsError:
    """For more tags than a target may have."""
    message = f"The request contains too many tags. A scalable target can have up to {limit} tags."
    return AwsError("TooManyTagsException", message, members={"ResourceName": arn})


def limit_exceeded(what: str, limit: int) -> AwsError:
    """For a quota."""
    return AwsError("LimitExceededException", f"You have reached the limit of {limit} {what}.")


def constraint(value: object, member: str, rule: str) -> AwsError:
    """What the model's own checks would say, for a limit that the model has not."""
    message = f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {rule}"
    return AwsError("ValidationException", message)


def _named(request: Mapping[str, Any]) -> str:
    return (
        f"service namespace: {request['ServiceNamespace']}, resource ID: {request['ResourceId']}, "
        f"scalable dimension: {request['ScalableDimension']}"
    )
