"""What EC2 needs of the other services, each as the smallest Protocol; cloud.py passes them in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Entities(Protocol):
    """IAM, asked for the instance profile of an instance and for the role in it."""

    def entity(self, kind: str, name: str, /) -> Mapping[str, Any] | None:
        """The record of an `instance-profile` (Arn, InstanceProfileId, RoleNames) or of a `role` (Arn)."""


class RoleTrust(Protocol):
    """IAM, asked who may assume a role."""

    def role_trust(self, role_arn: str, principal: str, /) -> None:
        """ValidationException when there is no such role, or its trust policy does not let the service assume it."""


class SessionIssuer(Protocol):
    """STS, asked for the temporary credentials of an instance's role."""

    def issue(self, role_arn: str, session_name: str, seconds: int, /) -> dict[str, Any]:
        """AccessKeyId, SecretAccessKey, SessionToken and Expiration."""
