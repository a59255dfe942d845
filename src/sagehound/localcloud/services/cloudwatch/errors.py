"""Errors of CloudWatch in AWS's words."""

from __future__ import annotations

from sagehound.localcloud.errors import AwsError


def invalid_value(message: str) -> AwsError:
    """A parameter that makes no sense."""
    return AwsError("InvalidParameterValue", message)


def invalid_combination(message: str) -> AwsError:
    """Parameters that exclude each other, or ask for too much together."""
    return AwsError("InvalidParameterCombination", message)


def missing(message: str) -> AwsError:
    """A parameter that the others ask for."""
    return AwsError("MissingParameter", message)


def invalid_query(message: str) -> AwsError:
    """A MetricDataQuery that cannot be read."""
    return AwsError("ValidationError", message)
