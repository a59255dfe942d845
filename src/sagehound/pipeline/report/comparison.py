"""One instance against several: what the further instances did to the time, to the bill and to the result"""

from __future__ import annotations

from dataclasses import dataclass

from sagehound.pipeline.report.jobs import JobReport

_LONG = 2.0
_SHARED = " The instances of the local cloud share the cores of one machine; on AWS each has its own."


@dataclass(frozen=True)
class Comparison:
    """Two completed trainings, of one instance and of several."""

    single: JobReport
    several: JobReport
    one_machine: bool = False
    """Whether all instances shared the cores of one machine, as in the local cloud."""

    @property
    def time_ratio(self) -> float:
        """Seconds of several over seconds of one."""
        return (self.several.seconds or 0.0) / (self.single.seconds or 1.0)

    @property
    def bill_ratio(self) -> float:
        """Billable seconds of several over those of one."""
        return (self.several.billable_seconds or 0.0) / (self.single.billable_seconds or 1.0)

    def sentence(self) -> str:
        """``5 instances: 3.4 x the bill, 31 % faster``; or that the script is not distributed."""
        count = self.several.instance_count
        if self.several.independent_copies:
            return f"{count} x the bill: this script is not distributed"
        return f"{count} instances: {_times(self.bill_ratio)} the bill, {speed_words(self.time_ratio)}"

    def explanation(self) -> str:
        """The same with its figures, in a sentence or two."""
        count, one, more = self.several.instance_count, self.single, self.several
        times = f"{more.seconds:,.0f} s instead of {one.seconds:,.0f} s"
        bills = f"{more.billable_seconds:,.0f} billable seconds instead of {one.billable_seconds:,.0f}"
        shared = _SHARED if self.one_machine else ""
        if more.independent_copies:
            return (
                f"Each of the {count} instances ran the whole script for itself, and of their models one was kept: "
                f"{times}, {bills} ({_times(self.bill_ratio)}). Turn on distribution (torch_distributed), or take one "
                f"instance.{shared}"
            )
        return f"One training over {count} instances took {times}, and {bills}.{shared}"


def compare(jobs: list[JobReport], *, one_machine: bool = False) -> Comparison | None:
    """The first completed training of one instance against the first of several; None without both."""
    timed = [job for job in jobs if job.status == "Completed" and job.seconds and job.billable_seconds]
    single = next((job for job in timed if job.instance_count == 1), None)
    several = next((job for job in timed if job.instance_count > 1), None)
    return Comparison(single, several, one_machine) if single and several else None


def speed_words(time_ratio: float) -> str:
    """``31 % faster``, ``12 % slower``, or ``5.3 x as long``: by how much less (or more) time was needed."""
    if time_ratio >= _LONG:
        return f"{_times(time_ratio)} as long"
    percent = round((1 - time_ratio) * 100)
    if percent == 0:
        return "0 % faster"
    return f"{percent} % faster" if percent > 0 else f"{-percent} % slower"


def _times(ratio: float) -> str:
    return f"{ratio:.1f}".removesuffix(".0") + " x"
