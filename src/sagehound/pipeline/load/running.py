"""One load while it lasts: its parts, and how it stands now"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from sagehound.pipeline.clients import Clients
from sagehound.pipeline.load.plan import LoadPlan, Target
from sagehound.pipeline.load.signing import SignedRequests
from sagehound.pipeline.load.standing import Standing
from sagehound.pipeline.load.tally import Tally
from sagehound.pipeline.load.watching import Watch
from sagehound.pipeline.progress import Reporter


@dataclass
class Load:
    """One load while it lasts."""

    clients: Clients
    target: Target
    plan: LoadPlan
    requests: SignedRequests
    tally: Tally
    watch: Watch
    reporter: Reporter
    cpu: float = field(default_factory=time.process_time)
    elapsed: float = 0.0
    watched: float = 0.0
    """When the watching ended, in seconds."""
    whole: bool = True

    def standing(self) -> Standing:
        """As it stands now."""
        tally, seen = self.tally, self.watch.seen
        second = seen.second
        sent, answered = tally.recent(second)
        p50, p90, p99 = (tally.latency.percentile(percent) for percent in (50, 90, 99))
        return Standing(
            target=str(self.target),
            second=second,
            duration=self.plan.duration,
            speed=self.clients.clock.speed,
            closed=self.plan.closed,
            asked=self.plan.concurrency if self.plan.closed else self.plan.asked(second),
            sent_rate=sent,
            answered_rate=answered,
            sent=tally.sent,
            answered=tally.answered,
            in_flight=tally.in_flight,
            p50=p50,
            p90=p90,
            p99=p99,
            errors=dict(tally.errors),
            late=tally.lateness.percentile(99) or 0.0,
            instances=seen.instances[-1] if seen.instances else None,
            concurrency=seen.concurrency[-1] if seen.concurrency else None,
            cold_starts=tally.cold,
            activities=seen.ordered,
        )
