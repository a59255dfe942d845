"""Asking again until something has ended: fast at first, slower as it lasts, slower still on AWS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sagehound.errors import Interrupted

T = TypeVar("T")


def poll(ask: Callable[[], T], ended: Callable[[T], bool], *, local: bool, each: Callable[[], None] | None = None) -> T:
    """The first answer of ``ask`` for which ``ended`` holds; ``each`` runs after every answer."""
    for pause in pauses(local):
        answer = ask()
        if each is not None:
            each()
        if ended(answer):
            return answer
        time.sleep(pause)
    raise AssertionError("pauses never end")


def pauses(local: bool) -> Iterator[float]:
    """Seconds between questions: a local answer costs a millisecond, AWS limits how often it may be asked."""
    pause, longest, factor = (0.05, 0.5, 1.2) if local else (2.0, 20.0, 1.3)
    while True:
        yield pause
        pause = min(pause * factor, longest)


@contextmanager
def telling_interruption(step: str, what: str, hint: str) -> Iterator[None]:
    """Ctrl-C inside the block, from the request on, is told with what goes on and how to come back to it."""
    try:
        yield
    except KeyboardInterrupt:
        raise interrupted(step, what, hint) from None


def interrupted(step: str, what: str, hint: str) -> Interrupted:
    """What Ctrl-C means while AWS works on: the thing goes on, and this is how to come back to it."""
    return Interrupted(step, f"interrupted; {what}", hint)
