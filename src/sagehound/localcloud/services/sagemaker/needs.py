"""What SageMaker needs of the other services, each as the smallest Protocol; cloud.py passes the providers in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

IsTarget = Callable[[str, str], bool]
"""Whether the variant of (region, resource id) is a scalable target of Application Auto Scaling."""


class Objects(Protocol):
    """S3, as training jobs and endpoints read and write it."""

    def bucket_region(self, bucket: str, /) -> str | None:
        """The region of a bucket; None when there is no such bucket."""

    def list_keys(self, bucket: str, prefix: str, /) -> list[str]:
        """The keys that begin with `prefix`, in order."""

    def link_objects(self, bucket: str, targets: Iterable[tuple[str, Path]], /) -> None:
        """Make each target file the content of its key, without copying; KeyError names a missing key. Blocking."""

    def read_object(self, bucket: str, key: str, /) -> bytes:
        """The content of a small object; KeyError when there is none. Blocking."""

    def object_size(self, bucket: str, key: str, /) -> int:
        """How many bytes an object has; KeyError when there is none."""

    def content_type(self, bucket: str, key: str, /) -> str | None:
        """The Content-Type with which an object was stored; KeyError when there is none."""

    def put_bytes(self, bucket: str, key: str, data: bytes, content_type: str | None = None, /) -> str:
        """Store bytes as an object; its ETag. Blocking."""

    def put_file(
        self, bucket: str, key: str, path: Path, content_type: str | None = None, *, move: bool = False
    ) -> str:
        """Store the file as an object, a copy of it or with `move` itself; the object's ETag. Blocking."""


class LogWriter(Protocol):
    """CloudWatch Logs, as jobs and endpoints write to it."""

    def append(self, region: str, group: str, stream: str, events: list[tuple[int, str]], /) -> None:
        """Add (milliseconds since 1970, message) events; the group and the stream are made when they are missing."""

    def has_group(self, region: str, group: str, /) -> bool:
        """Whether there is such a group."""


class MetricSink(Protocol):
    """CloudWatch, as jobs and endpoints count into it."""

    def put_values(
        self,
        region: str,
        namespace: str,
        name: str,
        values: Iterable[float],
        dimensions: dict[str, str],
        timestamp: datetime,
        /,
    ) -> None:
        """Add values of one second."""


class MetricCounter(Protocol):
    """CloudWatch on a hot path: what is counted at each invocation, stored a moment later."""

    def put(
        self,
        region: str,
        namespace: str,
        name: str,
        value: float,
        dimensions: dict[str, str],
        timestamp: datetime,
        unit: str,
        /,
    ) -> None:
        """Count one value."""


class RoleTrust(Protocol):
    """IAM, asked who may assume a role."""

    def role_trust(self, role_arn: str, principal: str, source_arn: str, /) -> None:
        """ValidationException when there is no such role, or its trust policy does not let the service assume it.

        `source_arn` is the job or model for which it would: https://docs.aws.amazon.com/sagemaker/latest/dg/security-confused-deputy-prevention.html
        """


class RoleAccess(Protocol):
    """IAM, asked what a role may do when SageMaker acts with it; every question is recorded as a call of the session.

    The answer is AWS's sentence ("User: ... is not authorized to perform: ...") when it may not, otherwise None.
    """

    def denied(
        self,
        role_arn: str,
        session_name: str,
        action: str,
        resource: str,
        context: Mapping[str, str | list[str]] | None = None,
        /,
        *,
        region: str,
        via: str,
    ) -> str | None:
        """May the session do this? `via` is the service that acts."""

    def denied_among(
        self,
        role_arn: str,
        session_name: str,
        action: str,
        resources: Sequence[str],
        shown: str,
        context: Mapping[str, str | list[str]] | None = None,
        /,
        *,
        region: str,
        via: str,
        ahead: bool = False,
    ) -> tuple[str, str] | None:
        """May it do this to each of the resources? The first that it may not, and the sentence.

        One record for all, about `shown` where all are allowed; what is asked `ahead` of the access is recorded only
        when it is refused.
        """


class SessionIssuer(Protocol):
    """STS, asked for the temporary credentials of a job's execution role."""

    def issue(self, role_arn: str, session_name: str, seconds: int, /) -> dict[str, Any]:
        """AccessKeyId, SecretAccessKey, SessionToken and Expiration."""
