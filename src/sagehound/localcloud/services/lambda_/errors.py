"""Lambda's refusals in AWS's words."""

from __future__ import annotations

from sagehound.localcloud.errors import AwsError

_USER = {"Type": "User"}


def function_not_found(arn: str) -> AwsError:
    """For a function, a version or an alias that is not there."""
    return not_found(f"Function not found: {arn}")


def not_found(message: str = "The resource you requested does not exist.") -> AwsError:
    """404."""
    return AwsError("ResourceNotFoundException", message, 404, members=_USER)


def invalid(message: str) -> AwsError:
    """For a value that the model allows and the service does not."""
    return AwsError("InvalidParameterValueException", message, members=_USER)


def conflict(message: str) -> AwsError:
    """For a name that is taken, or a resource that is being changed."""
    return AwsError("ResourceConflictException", message, 409, members=_USER)


def precondition_failed(api: str = "GetFunction/GetAlias") -> AwsError:
    """For a RevisionId that is not the latest one; `api` tells it."""
    message = (
        "The Revision Id provided does not match the latest Revision Id. "
        f"Call the {api} API to retrieve the latest Revision Id"
    )
    return AwsError("PreconditionFailedException", message, 412, members=_USER)


def constraint(value: object, member: str, rule: str) -> AwsError:
    """What the model's own checks would say, for a limit that the model has not: `Member must ...`."""
    message = f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {rule}"
    return AwsError("ValidationException", message)


def unsupported(what: str) -> AwsError:
    """What this cloud does not really do is refused by name, never ignored."""
    return AwsError("NotImplemented", f"The local cloud's functions do not have {what}.", 501)
