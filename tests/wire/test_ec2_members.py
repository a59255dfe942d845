"""Members of EC2's requests that its model refuses, in EC2's own words."""

from __future__ import annotations

from typing import Any

import pytest

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.wire import codec, ec2_members


def refusal(operation: str, params: dict[str, Any]) -> str | None:
    shape = codec.service_model("ec2").operation_model(operation).input_shape
    try:
        ec2_members.check(shape, params)
    except AwsError as error:
        return f"{error.code}: {error.message}"
    return None


@pytest.mark.parametrize(
    ("operation", "params", "expected"),
    [
        ("TerminateInstances", {}, "MissingParameter: The request must contain the parameter InstanceIds"),
        ("TerminateInstances", {"InstanceIds": ["i-1"]}, None),
        (
            "CreateKeyPair",
            {"KeyName": "k", "KeyType": "dsa"},
            "InvalidParameterValue: Invalid value 'dsa' for KeyType.",
        ),
        (
            "RunInstances",
            {"MinCount": 1, "MaxCount": 1, "MetadataOptions": {"HttpTokens": "no"}},
            "InvalidParameterValue: Invalid value 'no' for HttpTokens.",
        ),
        (
            "RunInstances",
            {"MinCount": 1, "MaxCount": 1, "BlockDeviceMappings": [{"Ebs": {"VolumeType": "gp9"}}]},
            "InvalidParameterValue: Invalid value 'gp9' for VolumeType.",
        ),
        # Types are the service's to know: they are more every month.
        ("RunInstances", {"MinCount": 1, "MaxCount": 1, "InstanceType": "z9.huge"}, None),
        ("RunInstances", {"MinCount": 0, "MaxCount": 1}, None),
    ],
)
def test_ec2_says_it_in_its_own_words(operation: str, params: dict[str, Any], expected: str | None) -> None:
    assert refusal(operation, params) == expected
