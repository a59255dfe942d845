"""What a load has come to so far: each second's requests, answers, errors and latencies, and the whole of it"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sagehound.pipeline.load.histogram import Histogram

_MOST_WORDS = 500


@dataclass
class Second:
    """One second of the load. Requests and answers stand where they happened, latencies where they were due."""

    sent: int = 0
    answered: int = 0
    cold: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    under_way: int = 0
    """Requests that were due then and are not answered yet."""
    latency: Histogram | None = field(default_factory=Histogram)
    percentiles: dict[str, float | None] = field(default_factory=dict)

    def close(self) -> None:
        """Keep the percentiles and let the histogram go."""
        self.percentiles, self.latency = self._percentiles(), None

    def as_dict(self, second: int) -> dict[str, Any]:
        """For the result."""
        told = {"second": second, "sent": self.sent, "answered": self.answered, "errors": dict(self.errors)}
        return told | self._percentiles() | ({"cold": self.cold} if self.cold else {})

    def _percentiles(self) -> dict[str, float | None]:
        if self.latency is None:
            return self.percentiles
        p50, p90, p99 = (_rounded(self.latency.percentile(percent)) for percent in (50, 90, 99))
        most = _rounded(self.latency.most) if self.latency.count else None
        return {"p50": p50, "p90": p90, "p99": p99, "max": most}


@dataclass(frozen=True)
class Reply:
    """What came of one request: ``error`` is its kind, empty where it was answered as it should be."""

    error: str = ""
    words: str = ""
    cold: bool = False
    waited: bool = False
    """Whether it was waited for in vain: its latency is at least what it waited, and counts as that."""
    lost: bool = False
    """Whether no whole answer came, and no time was over either: nobody listens, or the connection broke."""


class Tally:
    """Counts everything; only from the oldest second whose requests are still under way on is each a histogram kept."""

    def __init__(self) -> None:
        self._closed = 0
        """So many seconds, the oldest ones, have let their histograms go."""
        self.seconds: list[Second] = []
        self.latency = Histogram()
        self.lateness = Histogram()
        """How much later than due requests were sent because this program was late itself."""
        self.errors: Counter[str] = Counter()
        self.words: dict[str, str] = {}
        """The first message of each kind of error."""
        self.sent = self.answered = self.cold = 0
        self.held_back = self.not_sent = self.unanswered = 0

    @property
    def in_flight(self) -> int:
        """Requests whose answers are not here yet."""
        return self.sent - self.answered - sum(self.errors.values()) - self.unanswered

    def send(self, due: float, second: float, late: float | None) -> None:
        """A request has gone out, in the order in which they are due.

        ``late`` is by how many seconds this program was late itself (None: held back, which is no lateness).
        """
        self.sent += 1
        self.at(second).sent += 1
        self.at(due).under_way += 1
        self._close_before(int(due))
        if late is not None:
            self.lateness.add(late * 1000)

    def finish(self, due: float, second: float, reply: Reply) -> None:
        """Its answer, or what was wrong with it, is here."""
        here = self.at(second)
        if reply.cold:
            self.cold += 1
            here.cold += 1
        if reply.error:
            self.errors[reply.error] += 1
            self.words.setdefault(reply.error, reply.words[:_MOST_WORDS])
            here.errors[reply.error] += 1
        else:
            self.answered += 1
            here.answered += 1
        self._end(due, second, counts=not reply.error or reply.waited)

    def cut(self, due: float, second: float) -> None:
        """It was under way when the load was ended: it would have waited longer, and counts as what it has waited."""
        self.unanswered += 1
        self._end(due, second, counts=True)

    def at(self, second: float) -> Second:
        """The second that a moment lies in."""
        number = int(second)
        while len(self.seconds) <= number:
            self.seconds.append(Second())
        return self.seconds[number]

    def _end(self, due: float, second: float, *, counts: bool) -> None:
        """Nobody waits for it any more; ``counts``: how long it was waited for is a latency."""
        of_due = self.at(due)
        of_due.under_way -= 1
        if not counts:
            return
        milliseconds = (second - due) * 1000
        self.latency.add(milliseconds)
        if of_due.latency is not None:
            of_due.latency.add(milliseconds)

    def _close_before(self, number: int) -> None:
        """Close the seconds that are over: requests of this one are sent now, and all before were answered."""
        while self._closed < number and not self.seconds[self._closed].under_way:
            self.seconds[self._closed].close()
            self._closed += 1

    def recent(self, now: float, window: int = 5) -> tuple[float, float]:
        """Requests and answers a second over the last whole seconds."""
        end = int(now)
        some = self.seconds[max(0, end - window) : end]
        count = max(1, min(window, end))
        return sum(one.sent for one in some) / count, sum(one.answered for one in some) / count


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
