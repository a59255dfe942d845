"""What AWS refuses, said as a step that failed: AWS's own code and words, and the way out where there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sagehound.errors import StepFailed

T = TypeVar("T")

_HINTS = {
    "AccessDenied": "Ask for the permission named above, or use a profile that has it.",
    "AccessDeniedException": "Ask for the permission named above, or use a profile that has it.",
    "UnauthorizedOperation": "Ask for the permission (--plan shows all that are needed), or use a profile that has it.",
    "ResourceLimitExceeded": "Ask AWS for a higher quota, or take another instance type in pipeline.toml.",
    "VcpuLimitExceeded": "Ask AWS for a higher quota, or set a smaller instance.instance_type.",
    "InsufficientInstanceCapacity": "Try again later, or set another instance.instance_type or instance.subnet_id.",
    "VPCIdNotSpecified": "The account has no default VPC: set instance.subnet_id.",
    "BucketAlreadyExists": "Bucket names are global: choose another `bucket` in pipeline.toml.",
    "InvalidAccessKeyId": "The keys are not known there: check the profile, or restart the local cloud.",
    "SignatureDoesNotMatch": "The secret key is not the right one: check the profile.",
    "UnrecognizedClientException": "The keys are not known there: check the profile.",
    "ExpiredToken": "Sign in again: the session's keys have expired.",
    "ExpiredTokenException": "Sign in again: the session's keys have expired.",
    "301": "The bucket lies in another region: set `region` in pipeline.toml to it.",
    "NoSuchBucket": "Upload the data first: `sagehound upload --data ...`.",
}


@contextmanager
def aws_step(step: str) -> Iterator[None]:
    """Turn what boto3 raises inside the block into StepFailed of ``step``."""
    from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, HTTPClientError

    try:
        yield
    except ClientError as error:
        code, message = error_of(error)
        operation = error.operation_name
        hint = _HINTS.get(code, "The message is AWS's own; change what it names and run the same command again.")
        raise StepFailed(step, f"{operation} was refused with {code}: {message}", hint) from error
    except (EndpointConnectionError, HTTPClientError) as error:
        hint = "Start the local cloud again (`sagehound up --detach`), or look at the network; then run it again."
        raise StepFailed(step, f"AWS cannot be reached: {error}", hint) from error
    except BotoCoreError as error:
        raise StepFailed(step, str(error), "Check the names and values in pipeline.toml.") from error


def answer_unless(ask: Callable[[], T], *codes: str) -> T | None:
    """The answer; None where it is refused with one of these codes, which say that there is none."""
    from botocore.exceptions import ClientError

    try:
        return ask()
    except ClientError as error:
        if error_of(error)[0] not in codes:
            raise
        return None


def error_of(error: Any) -> tuple[str, str]:
    """(code, message) of a ClientError."""
    answer = error.response.get("Error", {})
    return str(answer.get("Code", "")), str(answer.get("Message", ""))


def is_missing(error: Any) -> bool:
    """SageMaker says ValidationException "Could not find ..." where other services have a code of their own."""
    code, message = error_of(error)
    return code == "ResourceNotFound" or (code == "ValidationException" and "could not find" in message.lower())
