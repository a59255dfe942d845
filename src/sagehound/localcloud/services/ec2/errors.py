"""Refusals of EC2 in AWS's words."""

from __future__ import annotations

from collections.abc import Sequence

from sagehound.localcloud.errors import AwsError


def missing(parameter: str) -> AwsError:
    """A member that an operation cannot do without."""
    return AwsError("MissingParameter", f"The request must contain the parameter {parameter}")


def invalid(value: object, parameter: str, sentence: str) -> AwsError:
    """A value that makes no sense; `parameter` begins with a small letter, as in AWS's text."""
    return AwsError("InvalidParameterValue", f"Value ({value}) for parameter {parameter} is invalid. {sentence}")


def combination(sentence: str) -> AwsError:
    """Members that do not go together."""
    return AwsError("InvalidParameterCombination", sentence)


def unsupported(what: str) -> AwsError:
    """Refused by name: something that AWS does and this cloud does not."""
    return AwsError(
        "UnsupportedOperation", f"The local cloud does not have {what} (docs/coverage.md lists what it has)."
    )


def not_found(code: str, kind: str, ids: Sequence[str]) -> AwsError:
    """`The instance ID 'i-...' does not exist`, or several."""
    shown = ", ".join(ids)
    if len(ids) == 1:
        return AwsError(code, f"The {kind} '{shown}' does not exist")
    return AwsError(code, f"The {kind}s '{shown}' do not exist")


def wrong_state(instance_id: str, sentence: str) -> AwsError:
    """An instance that is not where an operation needs it."""
    return AwsError("IncorrectInstanceState", f"The instance '{instance_id}' is not {sentence}.")


def dry_run() -> AwsError:
    """What DryRun answers when the call would have gone through."""
    return AwsError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
