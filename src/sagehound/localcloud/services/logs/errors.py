"""Errors of CloudWatch Logs in AWS's words."""

from __future__ import annotations

from sagehound.localcloud.errors import AwsError


def group_not_found() -> AwsError:
    """The group that a request names is not there."""
    return AwsError("ResourceNotFoundException", "The specified log group does not exist.")


def stream_not_found() -> AwsError:
    """The stream that a request names is not there."""
    return AwsError("ResourceNotFoundException", "The specified log stream does not exist.")


def already_exists(what: str) -> AwsError:
    """A create of a name that is taken."""
    return AwsError("ResourceAlreadyExistsException", f"The specified log {what} already exists")


def invalid_parameter(message: str) -> AwsError:
    """A parameter, or two together, that make no sense."""
    return AwsError("InvalidParameterException", message)
