"""What the tests of S3 share: buckets of their own, and an error's code and status."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError


def new_bucket(client: Any, **options: Any) -> str:
    """A fresh bucket."""
    name = f"test-{uuid.uuid4().hex[:16]}"
    client.create_bucket(Bucket=name, **options)
    return name


def refusal(call: Callable[..., Any], **parameters: Any) -> tuple[str, int]:
    """The code and HTTP status of the error that a call must end with."""
    try:
        call(**parameters)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    raise AssertionError("the call was not refused")


def keys(answer: dict[str, Any]) -> list[str]:
    """The keys of a list."""
    return [entry["Key"] for entry in answer.get("Contents", [])]


def prefixes(answer: dict[str, Any]) -> list[str]:
    """The common prefixes of a list."""
    return [entry["Prefix"] for entry in answer.get("CommonPrefixes", [])]
