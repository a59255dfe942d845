"""An invocation in an environment, and the ways in which it does not come about."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from sagehound.localcloud.functions import report
from sagehound.localcloud.functions.spec import Invocation, Outcome


class InitFailure(Exception):
    """The environment ended before it was ready."""

    def __init__(self, failure: report.Failure, seconds: float) -> None:
        super().__init__(failure.text)
        self.failure = failure
        self.seconds = seconds


class NeverDelivered(Exception):
    """The environment ended before the handler was given the event: another one may have it."""


@dataclass(slots=True)
class Work:
    """An invocation in an environment."""

    invocation: Invocation
    answer: asyncio.Future[Outcome]
    timeout: float
    init_seconds: float | None
    spent: float
    """Seconds that an initialisation within the invocation has taken."""
    started: float = 0.0
    deadline: asyncio.TimerHandle | None = None
