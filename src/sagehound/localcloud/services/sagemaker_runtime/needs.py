"""What SageMaker Runtime needs of SageMaker; cloud.py passes the provider in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


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


class Router(Protocol):
    """Knows the endpoints in service and their instances."""

    async def invoke(
        self, region: str, name: str, body: bytes, headers: dict[str, str], target_variant: str | None
    ) -> Outcome:
        """One instance's answer; ValidationError for an unknown endpoint or variant, ServiceUnavailable when full."""
