"""How a load is shown while it lasts: a live table on a terminal, a line every few seconds elsewhere"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sagehound.pipeline.clients import CloudClock
from sagehound.pipeline.load.standing import Standing

_LINE_SECONDS = 5.0
_SHOWN_ACTIVITIES = 4
_LATE = 10.0
"""Milliseconds of lateness of this program itself that are worth a word."""


class LoadLines:
    """A line every few seconds, one for each change of the capacity and one for each activity."""

    def __init__(self) -> None:
        self._next = self._last = 0.0
        self._told: set[str] = set()

    def new(self, standing: Standing) -> Iterator[str]:
        """What is to be said now."""
        if standing.second < self._last:  # another load has begun
            self._next, self._told = 0.0, set()
        self._last = standing.second
        for activity in standing.activities:
            line = activity_line(activity)
            if line not in self._told:
                self._told.add(line)
                yield line
        if standing.second >= self._next:
            self._next = standing.second - standing.second % _LINE_SECONDS + _LINE_SECONDS
            yield load_line(standing)


def load_line(standing: Standing) -> str:
    """12 s: asked 50.0/s, sent 50.1, answered 49.8; p50 12 p90 20 p99 41 ms; 2 of 3 instances."""
    rates = f"sent {standing.sent_rate:.1f}/s, answered {standing.answered_rate:.1f}/s"
    parts = [f"{_asked(standing)}, {rates}", latencies(standing)]
    parts += [_errors(standing)] if standing.errors else []
    parts += [capacity] if (capacity := _capacity(standing)) else []
    return f"{standing.second:.0f} s: " + "; ".join(parts)


def activity_line(activity: dict[str, Any]) -> str:
    """at 31 s: Setting desired instance count to 2 (Successful)."""
    return f"at {activity['second']:.0f} s: {activity['description'].rstrip('.')} ({activity['status']})"


def latencies(standing: Standing) -> str:
    """p50 12 p90 20 p99 41 ms."""
    if standing.p50 is None or standing.p90 is None or standing.p99 is None:
        return "no answer yet"
    return f"p50 {standing.p50:.0f} p90 {standing.p90:.0f} p99 {standing.p99:.0f} ms"


def clock_words(speed: float) -> str:
    """Nothing where the cloud's clock is the real one."""
    return CloudClock(speed).sentence()


def _asked(standing: Standing) -> str:
    return f"{standing.asked:.0f} callers" if standing.closed else f"asked {standing.asked:.1f}/s"


def _errors(standing: Standing) -> str:
    return "errors " + ", ".join(f"{kind} {count}" for kind, count in sorted(standing.errors.items()))


def _capacity(standing: Standing) -> str:
    if standing.instances is not None:
        current, desired = standing.instances["current"], standing.instances["desired"]
        return f"{current} {'instance' if current == 1 else 'instances'}" + (
            f", {desired} desired" if desired != current else ""
        )
    if standing.concurrency is not None:
        ready, wanted = standing.concurrency["available"], standing.concurrency["requested"]
        kept = f"{ready} of {wanted} kept ready, " if wanted else ""
        return f"{kept}{standing.cold_starts} cold starts"
    return ""


def load_table(standing: Standing) -> Any:
    """The load as it stands, as a rich table."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    title = f"{standing.target}, {standing.second:.0f} s of {standing.duration:.0f} s"
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", show_header=False)
    table.add_column()
    table.add_column()
    for name, words in _rows(standing):
        # Text, not str: what a server says is no markup of the terminal's.
        table.add_row(name, Text(words))
    return table


def _rows(standing: Standing) -> Iterator[tuple[str, str]]:
    yield (
        "rate",
        f"{_asked(standing)}, sent {standing.sent_rate:.1f}/s, answered {standing.answered_rate:.1f}/s, "
        f"{standing.in_flight} under way",
    )
    yield "requests", f"{standing.sent:,} sent, {standing.answered:,} answered"
    yield "latency", latencies(standing)
    yield "errors", ", ".join(f"{kind} {count}" for kind, count in sorted(standing.errors.items())) or "none"
    yield "instances" if standing.instances is not None else "function", _capacity(standing)
    for one in standing.activities[-_SHOWN_ACTIVITIES:]:
        yield "activity", activity_line(one)
    if standing.late > _LATE:
        yield "itself", f"this program is late: p99 {standing.late:.0f} ms"
    if words := clock_words(standing.speed):
        yield "clock", words
