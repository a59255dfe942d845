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
    latency: Histogram | None = field(default_factory=Histogram)
    percentiles: dict[str, float | None] = field(default_factory=dict)

    def close(self) -> None:
        """Keep the percentiles and let the histogram go: nothing that was due then is under way any more."""
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


class Tally:
    """Counts everything; only the seconds that a request may still be under way in hold a histogram of their own."""

    def __init__(self, timeout: float) -> None:
        self._open_seconds = int(timeout) + 10
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

    def send(self, second: float, late: float | None) -> None:
        """A request has gone out; ``late`` seconds after it was due (None: held back, which is no lateness)."""
        self.sent += 1
        self.at(second).sent += 1
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
        if not reply.error or reply.waited:
            milliseconds = (second - due) * 1000
            self.latency.add(milliseconds)
            of_the_second = self.at(due).latency
            if of_the_second is not None:
                of_the_second.add(milliseconds)

    def at(self, second: float) -> Second:
        """The second that a moment lies in; older ones are closed as time goes on."""
        number = int(second)
        while len(self.seconds) <= number:
            self.seconds.append(Second())
            old = len(self.seconds) - self._open_seconds
            if old >= 0 and self.seconds[old].latency is not None:
                self.seconds[old].close()
        return self.seconds[number]

    def recent(self, now: float, window: int = 5) -> tuple[float, float]:
        """Requests and answers a second over the last whole seconds."""
        end = int(now)
        some = self.seconds[max(0, end - window) : end]
        count = max(1, min(window, end))
        return sum(one.sent for one in some) / count, sum(one.answered for one in some) / count


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
