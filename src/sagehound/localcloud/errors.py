"""The one error that services raise: AWS's code, message and HTTP status, serialised in one place (wire/)."""

from __future__ import annotations

from typing import Any


class AwsError(Exception):
    """An error in AWS's words.

    `code` is the error code that clients branch on (`ResourceNotFound`, `NoSuchKey`), `status` the HTTP status,
    `members` the further members of a modelled error (`OriginalStatusCode` of ModelError), `headers` extra headers.
    """

    def __init__(
        self,
        code: str,
        message: str,
        status: int = 400,
        *,
        members: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.members = members or {}
        self.headers = headers or {}


def validation(message: str) -> AwsError:
    """The ValidationException that the JSON services answer for a request that makes no sense."""
    return AwsError("ValidationException", message)


def not_implemented(service: str, operation: str) -> AwsError:
    """Said by name for every AWS operation that this cloud does not have: never a fake 200."""
    return AwsError(
        "NotImplemented",
        f"The local cloud does not implement {service}:{operation} (docs/coverage.md lists what it does).",
        501,
    )
