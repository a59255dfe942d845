"""What Application Auto Scaling needs of the other services, each as the smallest Protocol; cloud.py passes them in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

Listener = Callable[[str, str, str], None]
"""Called with (region, resource id, failure): the capacity of the resource has changed, or a change of it has come to
its end; `failure` says why it could not be fulfilled and is "" otherwise."""


class Scalable(Protocol):
    """What a service lets be scaled: one scalable dimension, its resources by AWS's resource ids."""

    @property
    def minimum(self) -> int:
        """The least MinCapacity."""

    def capacity(self, region: str, resource_id: str, /) -> tuple[int, int, bool]:
        """(what serves, what was asked for, whether a change is under way); AwsError when the resource is gone."""

    def set_desired(self, region: str, resource_id: str, count: int, /) -> None:
        """Ask for another capacity; AwsError when that is refused now."""

    def check(self, region: str, resource_id: str, /) -> None:
        """ValidationException when the resource is not there or cannot be scaled."""

    def add_listener(self, listener: Listener, /) -> None:
        """Tell of every change of a capacity, on the event loop."""


class AlarmEvent(Protocol):
    """An alarm calls a scaling policy: at the change to ALARM, and again at each evaluation while it is there."""

    @property
    def region(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def action_arn(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def at(self) -> datetime: ...


class Alarms(Protocol):
    """CloudWatch's alarms."""

    def put(self, region: str, alarm: dict[str, Any], /) -> str:
        """Create or replace an alarm (PutMetricAlarm's members); its ARN."""

    def delete(self, region: str, names: list[str], /) -> None:
        """Delete alarms; those that are not there are no error."""

    def describe(self, region: str, name: str, /) -> dict[str, Any] | None:
        """An alarm as DescribeAlarms shows it; None when there is none."""

    def with_action(self, region: str, prefix: str, /) -> list[dict[str, Any]]:
        """The alarms that have an action whose ARN begins with `prefix`."""

    def values(self, region: str, name: str, count: int, now: float, /) -> list[float | None] | None:
        """An alarm's metric in its last `count` periods that have ended, oldest first; None when there is no alarm."""

    def add_action(self, prefix: str, callback: Callable[[Any], None], /) -> None:
        """Call back for actions whose ARN begins with `prefix`."""
