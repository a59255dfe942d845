"""What Lambda's control plane needs of the other services, each as the smallest Protocol; cloud.py passes them in."""

from __future__ import annotations

from typing import Protocol


class Objects(Protocol):
    """S3, as deployment packages are read from it."""

    def bucket_region(self, bucket: str, /) -> str | None:
        """The region of a bucket; None when there is no such bucket."""

    def object_size(self, bucket: str, key: str, version_id: str | None = None, /) -> int:
        """The size of an object or of one of its versions; KeyError when there is none. Blocking."""

    def read_object(self, bucket: str, key: str, version_id: str | None = None, /) -> bytes:
        """The content of an object or of one of its versions; KeyError when there is none. Blocking."""


class RoleTrust(Protocol):
    """IAM, asked who may assume a role."""

    def role_trust(self, role_arn: str, principal: str, /) -> None:
        """ValidationException when there is no such role, or its trust policy does not let the service assume it."""
