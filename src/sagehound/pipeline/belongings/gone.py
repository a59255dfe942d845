"""Deleting what may be gone already: somebody else, or an earlier clean-up that was interrupted, was there before"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sagehound.pipeline.aws_errors import error_of, is_missing

_CODES = (
    *("ResourceNotFoundException", "NoSuchEntity", "NoSuchBucket", "ObjectNotFoundException"),
    *("InvalidInstanceID.NotFound", "InvalidGroup.NotFound"),
)
_WORDS = ("recordnotfound", "does not exist")


def unless_gone(ask: Callable[[], Any]) -> Any:
    """The answer, or None where what it is about is not there (any more)."""
    from botocore.exceptions import ClientError

    try:
        return ask()
    except ClientError as error:
        code, message = error_of(error)
        said = code == "ValidationException" and any(words in message.lower() for words in _WORDS)
        if not (is_missing(error) or code in _CODES or said):
            raise
        return None
