"""What SageMaker Runtime needs of SageMaker; cloud.py passes the provider in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Outcome(Protocol):
    """What a container answered; status 0 when it did not, with the reason as body."""

    @property
    def variant(self) -> str: ...

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By lower-case name."""

    @property
    def body(self) -> bytes: ...


class Accepted(Protocol):
    """What the caller of InvokeEndpointAsync is told."""

    @property
    def inference_id(self) -> str: ...

    @property
    def output_location(self) -> str: ...

    @property
    def failure_location(self) -> str | None: ...


class Queues(Protocol):
    """Knows the asynchronous endpoints."""

    def has(self, region: str, endpoint: str, /) -> bool:
        """Whether the endpoint is asynchronous."""

    def accept(self, region: str, request: Mapping[str, Any], body: bytes, /) -> Accepted:
        """Keep a request of InvokeEndpointAsync; ValidationError when its endpoint is none, or it cannot be handled."""


class Router(Protocol):
    """Knows the endpoints in service and their instances."""

    @property
    def queues(self) -> Queues: ...

    async def invoke(
        self, region: str, name: str, body: bytes, headers: dict[str, str], target_variant: str | None
    ) -> Outcome:
        """One instance's answer; ValidationError for an unknown endpoint or variant, ServiceUnavailable when full."""
