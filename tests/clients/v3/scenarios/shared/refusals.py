"""What must go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def refused(kind: type[Exception] | tuple[type[Exception], ...], *parts: str) -> Iterator[None]:
    """The block raises this exception, and its text has these parts."""
    try:
        yield
    except kind as error:
        text = f"{error} {getattr(error, 'response', '')}"
        missing = [part for part in parts if part not in text]
        if missing:
            raise AssertionError(f"no {missing} in {text}") from error
        return
    raise AssertionError(f"no {kind} was raised")
