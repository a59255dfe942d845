"""What calling functions needs of the table of functions, their engine and other services, each a small Protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from sagehound.localcloud.call import Caller
from sagehound.localcloud.functions.spec import FunctionSpec, Invocation, Outcome


class Target(Protocol):
    """What a caller means by a name and a qualifier."""

    @property
    def name(self) -> str: ...

    @property
    def qualifier(self) -> str:
        """As it was said; $LATEST when nothing was."""

    @property
    def arn(self) -> str:
        """As it was invoked, with its qualifier."""

    @property
    def versions(self) -> tuple[tuple[str, float], ...]:
        """The versions behind it, with their weights."""


class Functions(Protocol):
    """The table of functions."""

    @property
    def listeners(self) -> list[Callable[[str, str, str | None], None]]:
        """Called with region, name and version (None: all of it) when something changed or was deleted."""

    def resolve(self, region: str, function_name: str, qualifier: str | None, /) -> Target:
        """The function, version or alias; ResourceNotFoundException."""

    def spec(self, region: str, name: str, version: str, /) -> FunctionSpec:
        """What it takes to run a version; ResourceConflictException while it is Pending or has Failed."""

    def version(self, region: str, name: str, version: str | None = None, /) -> dict[str, Any]:
        """The configuration of a version."""

    def reserved(self, region: str, name: str, /) -> int | None:
        """The function's reserved concurrency; None when it has none."""


class Engine(Protocol):
    """Where functions run."""

    async def invoke(self, spec: FunctionSpec, invocation: Invocation, /, *, provisioned: bool) -> Outcome:
        """One invocation in one environment: one that is idle, or a new one."""

    async def provision(self, spec: FunctionSpec, count: int, /) -> None:
        """Keep `count` environments initialised; returns when they are. InitFailed when they cannot be."""

    def provisioned(self, key: str, /) -> tuple[int, int]:
        """How many provisioned environments there are, and how many of them are idle."""

    def retire(self, key: str, /) -> None:
        """End the environments of a key: idle ones now, busy ones when they have answered."""


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


class Authoriser(Protocol):
    """The permissions of callers, and of the roles that functions act with."""

    def require(
        self,
        caller: Caller,
        region: str,
        action: str,
        resource: str,
        context: Mapping[str, str | list[str]] | None = None,
        *,
        service: str,
        authorised: list[dict[str, str]] | None = None,
    ) -> None:
        """AccessDeniedException unless the caller may; what decided is added to `authorised`."""

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
        """None when the role may; otherwise AWS's sentence why not."""


class LogWriter(Protocol):
    """CloudWatch Logs, as functions write to it."""

    def has_group(self, region: str, group: str, /) -> bool:
        """Whether there is such a group."""

    def append(self, region: str, group: str, stream: str, events: list[tuple[int, str]], /) -> None:
        """Add (milliseconds since 1970, message) events; the group and the stream are made when they are missing."""


class ObjectWriter(Protocol):
    """S3, as records of failed events are written to it."""

    def bucket_region(self, bucket: str, /) -> str | None:
        """The region of a bucket; None when there is no such bucket."""

    def put_bytes(self, bucket: str, key: str, data: bytes, content_type: str | None = None, /) -> str:
        """Store bytes as an object. Blocking."""
