"""The result of a load that is over, from its counts and from what was seen of the cloud"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sagehound.pipeline.load.plan import FunctionTarget
from sagehound.pipeline.load.result import LoadResult
from sagehound.pipeline.load.running import Load

MOST_LATE = 10.0
"""Milliseconds: a generator whose 99th percentile of lateness is above this has not kept up."""
_RATE_SHARE = 0.99
_CORES = 0.9
"""So much of a core, and the one loop that sends and reads is full."""


def result_of(running: Load) -> LoadResult:
    """All that is known of the load."""
    tally, seen, plan = running.tally, running.watch.seen, running.plan
    typical = tally.latency.percentile(50)
    return LoadResult(
        target=running.target.as_dict(),
        plan=plan.as_dict(),
        started=datetime.fromtimestamp(seen.began, UTC).isoformat(timespec="milliseconds"),
        speed=running.clients.clock.speed,
        ended="completed" if running.whole else "interrupted",
        elapsed=round(running.elapsed, 3),
        sent=tally.sent,
        answered=tally.answered,
        seconds=[one.as_dict(number) for number, one in enumerate(tally.seconds)],
        percentiles=tally.latency.as_dict(),
        corrected=tally.latency.corrected(typical).as_dict() if plan.closed and typical else None,
        errors=dict(tally.errors),
        error_words=dict(tally.words),
        instances=_with_end(seen.instances, running),
        concurrency=_with_end(seen.concurrency, running),
        cold_starts=tally.cold if isinstance(running.target, FunctionTarget) else None,
        activities=seen.ordered,
        generator=_generator(running),
        remarks=[*seen.remarks, *running.requests.remarks],
        provisioned=seen.provisioned,
    )


def _with_end(counts: list[dict[str, Any]], running: Load) -> list[dict[str, Any]]:
    """The last count once more where the watching ended."""
    if not counts:
        return []
    last = max(running.elapsed, running.watched, counts[-1]["second"])
    return [*counts, {**counts[-1], "second": round(last, 2)}]


def _generator(running: Load) -> dict[str, Any]:
    """How well this program kept up, and why not."""
    tally, plan = running.tally, running.plan
    late = tally.lateness.percentile(99) or 0.0
    cores = running.cpu / running.elapsed if running.elapsed else 0.0
    reasons = []
    if not plan.closed and late > MOST_LATE:
        reasons.append(f"requests left up to {tally.lateness.most:.0f} ms after they were due (p99 {late:.0f} ms)")
    if cores > _CORES:
        reasons.append(f"this program used {cores:.2f} of a core, and one is all that it can use")
    return {
        "kept_up": not reasons,
        "reasons": reasons,
        "lateness": tally.lateness.as_dict(),
        "cores": round(cores, 3),
        "held_back": tally.held_back,
        "not_sent": tally.not_sent,
        "unanswered": tally.unanswered,
        "signing_seconds": round(running.requests.signing_seconds, 4),
    }
