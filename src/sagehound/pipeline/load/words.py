"""The result of a load in sentences"""

from __future__ import annotations

from sagehound.pipeline.load.result import LoadResult
from sagehound.pipeline.load.view import activity_line


def name_of(result: LoadResult) -> str:
    """endpoint NAME, or function NAME:ALIAS."""
    target = result.target
    qualifier = f":{target['qualifier']}" if target.get("qualifier") else ""
    return f"{target['kind']} {target['name']}{qualifier}"


def sentence_of(result: LoadResult) -> str:
    """endpoint dogs  3,000 sent, 3,000 answered, 49.9 a second; p50 12, p90 20, p99 41 ms; 1 to 3 instances."""
    parts = [f"{name_of(result)}  {result.sent:,} sent, {result.answered:,} answered, {result.rate:.1f} a second"]
    if result.percentiles:
        figures = ", ".join(f"{name} {result.percentiles[name]:.0f}" for name in ("p50", "p90", "p99"))
        parts.append(f"{figures} ms")
    if result.errors:
        parts.append("errors: " + ", ".join(f"{kind} {count:,}" for kind, count in sorted(result.errors.items())))
    parts += [words] if (words := capacity_words(result)) else []
    return "; ".join(parts)


def capacity_words(result: LoadResult) -> str:
    """1 to 3 instances, at the end 1; or 2 environments kept ready, 0 cold starts."""
    if result.instances:
        counts = [int(one["current"]) for one in result.instances]
        if min(counts) == max(counts):
            return f"{counts[0]} {'instance' if counts[0] == 1 else 'instances'}"
        return f"{min(counts)} to {max(counts)} instances, at the end {counts[-1]}"
    if result.concurrency:
        ready = max(int(one["available"]) for one in result.concurrency)
        used = f" (used by {result.provisioned['invocations']:,} calls)" if result.provisioned and ready else ""
        return f"{ready} environments kept ready{used}, {result.cold_starts} cold starts"
    return ""


def lines_of(result: LoadResult) -> list[str]:
    """What a reader should know beside the figures: how they were taken, and what is wrong with them."""
    lines = []
    if result.ended == "interrupted":
        lines.append(_interruption(result))
    if result.corrected:
        figures = ", ".join(f"{name} {result.corrected[name]:.0f}" for name in ("p50", "p90", "p99"))
        lines.append(
            f"a closed loop: callers wait for their answers; with what they did not send meanwhile {figures} ms"
        )
    lines += [f"the generator did not keep up: {reason}" for reason in result.generator["reasons"]]
    lines += _kept_here(result)
    lines += [f"{kind}: {words}" for kind, words in sorted(result.error_words.items()) if words]
    lines += [activity_line(one) for one in result.activities]
    lines += result.remarks
    if result.capacity is not None:
        lines.append(result.capacity.sentence())
    return lines


def _interruption(result: LoadResult) -> str:
    """What Ctrl-C has ended, and what became of the requests that were under way then."""
    cut = result.generator["unanswered"]
    if not cut and result.elapsed >= result.plan["duration"]:
        watching = "; only the watching afterwards was cut short" if result.plan["after"] else ""
        return f"interrupted when every request had been answered{watching}"
    what = f"interrupted after {result.elapsed:.0f} s; this is what was measured so far"
    return f"{what}, with {cut:,} under way, which count as what they had waited" if cut else what


def _kept_here(result: LoadResult) -> list[str]:
    held_back, not_sent = result.generator["held_back"], result.generator["not_sent"]
    lines = []
    if held_back:
        lines.append(
            f"{held_back:,} requests waited here because {result.plan['max_in_flight']} were under way; "
            "that counts in their latency"
        )
    if not_sent:
        lines.append(
            f"{not_sent:,} requests that were due were never sent: nothing became free in time; "
            "they are in no percentile"
        )
    return lines
