"""Metrics of a training job, read from its output by the regular expressions of MetricDefinitions."""

from __future__ import annotations

import math
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from types import FrameType
from typing import Any

from sagehound.localcloud.errors import validation

NAMESPACE = "/aws/sagemaker/TrainingJobs"
LINE_SECONDS = 0.5
"""What one expression may take for one line."""


def check(definitions: list[dict[str, str]]) -> None:
    """Refuse an expression that cannot be compiled or captures nothing, and two metrics of one name."""
    for definition in definitions:
        try:
            pattern = re.compile(definition["Regex"])
        except re.error as error:
            raise validation(f"Invalid Regex of metric definition {definition['Name']!r}: {error}.") from error
        if not pattern.groups:
            raise validation(
                f"The Regex of metric definition {definition['Name']!r} has no group that captures a value."
            )
    names = [definition["Name"] for definition in definitions]
    if len(set(names)) < len(names):
        raise validation(f"Metric definition names must be unique, got {', '.join(names)}.")


class _TooSlow(Exception):
    """An expression has searched a line for too long."""


class MetricReader:
    """The metrics of one job: finds values in lines, and remembers the last of each for FinalMetricDataList."""

    def __init__(self, definitions: list[dict[str, str]], final: list[dict[str, Any]]) -> None:
        self._patterns = [(definition["Name"], re.compile(definition["Regex"])) for definition in definitions]
        self._final = {data["MetricName"]: data for data in final}
        self.given_up: list[str] = []
        """Metrics whose expression took too long for a line, as `(a+)+b` does: they are read no more."""

    def read(self, line: str, moment: datetime) -> list[tuple[str, float]]:
        """The (name, value) pairs of one line; what is no finite number is no value."""
        found = []
        for name, pattern in tuple(self._patterns):
            try:
                with _limited():
                    matches = list(pattern.finditer(line))
            except _TooSlow:
                self._patterns.remove((name, pattern))
                self.given_up.append(name)
                continue
            for match in matches:
                value = _number(match[1])
                if value is not None:
                    found.append((name, value))
                    self._final[name] = {"MetricName": name, "Value": value, "Timestamp": moment}
        return found

    @property
    def final(self) -> list[dict[str, Any]]:
        """FinalMetricDataList: the last value of each metric."""
        return list(self._final.values())


@contextmanager
def _limited() -> Iterator[None]:
    """_TooSlow inside when it takes too long. `re` backtracks, and every call waits for it, but it heeds signals."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    before = signal.signal(signal.SIGALRM, _ring)
    signal.setitimer(signal.ITIMER_REAL, LINE_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _ring(number: int, frame: FrameType | None) -> None:
    raise _TooSlow


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
