"""Asking again until something has ended, as often as the place allows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sagehound.errors import Interrupted
from sagehound.pipeline.place import Place

T = TypeVar("T")


def poll(
    ask: Callable[[], T], ended: Callable[[T], bool], pauses: Iterable[float], *, each: Callable[[], None] | None = None
) -> T:
    """The first answer of ``ask`` for which ``ended`` holds; ``each`` runs after every answer."""
    for pause in pauses:
        answer = ask()
        if each is not None:
            each()
        if ended(answer):
            return answer
        time.sleep(pause)
    raise AssertionError("pauses never end")


def attempts(pauses: Iterable[float], seconds: float) -> Iterator[bool]:
    """Attempts at something until ``seconds`` are over, with pauses between; each is told whether it is the last."""
    until = time.monotonic() + seconds
    for pause in pauses:
        last = time.monotonic() >= until
        yield last
        if last:
            return
        time.sleep(pause)


def until_settled(place: Place) -> Iterator[bool]:
    """Attempts at what a change of IAM made a moment ago must allow: AWS spreads it over its machines first."""
    return attempts(place.pauses(), place.settling_seconds)


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
