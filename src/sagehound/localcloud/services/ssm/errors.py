"""Refusals of Systems Manager in AWS's words."""

from __future__ import annotations

from collections.abc import Iterable

from sagehound.localcloud.errors import AwsError, validation


def parameter_not_found(name: str) -> AwsError:
    """AWS's own message is empty; a name helps."""
    return AwsError("ParameterNotFound", f"Parameter {name} not found.")


def version_not_found(name: str, selector: str) -> AwsError:
    """For `name:7` where there is no version 7 (any more)."""
    message = f"Systems Manager could not find version {selector} of {name}. Verify the version and try again."
    return AwsError("ParameterVersionNotFound", message)


def already_exists() -> AwsError:
    """PutParameter without Overwrite."""
    message = "The parameter already exists. To overwrite this value, set the overwrite option in the request to true."
    return AwsError("ParameterAlreadyExists", message)


def invalid_path() -> AwsError:
    """A path of GetParametersByPath, or of a filter, that is none."""
    return validation(
        "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward "
        'slash "/". It can\'t be prefixed with "aws" or "ssm" (case-insensitive). It must use only letters, numbers, '
        "or the following symbols: . (period), - (hyphen), _ (underscore). Special characters are not allowed. All "
        'sub-paths, if specified, must use the forward slash symbol "/". Valid example: /get/parameters2-/by1./path0_.'
    )


def constraint(value: object, member: str, rule: str) -> AwsError:
    """What the model's own checks would say, for a limit that the model has not."""
    return validation(
        f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {rule}"
    )


def invalid_filter_key(key: str, valid: Iterable[str]) -> AwsError:
    """A filter that there is not for this listing."""
    message = f"The following filter key is not valid: {key}. Valid filter keys include: [{', '.join(valid)}]."
    return AwsError("InvalidFilterKey", message)


def invalid_filter_option(option: str, valid: Iterable[str]) -> AwsError:
    """An option that the filter has not."""
    message = f"The following filter option is not valid: {option}. Valid options include: [{', '.join(valid)}]."
    return AwsError("InvalidFilterOption", message)


def invalid_next_token() -> AwsError:
    """A token that no answer of this listing had."""
    return AwsError("InvalidNextToken", "The specified token isn't valid.")


def invalid_instances(instance_ids: Iterable[str], account_id: str) -> AwsError:
    """Instances that are not running, or whose agent may not ask for commands."""
    message = f"Instances [[{', '.join(instance_ids)}]] not in a valid state for account {account_id}"
    return AwsError("InvalidInstanceId", message)


def invalid_parameters(message: str) -> AwsError:
    """Parameters that the document does not take."""
    return AwsError("InvalidParameters", message)
