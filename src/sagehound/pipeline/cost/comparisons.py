"""What else it could have cost: one instance against several, and other types as an estimate"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sagehound.pipeline.cost.arithmetic import money, whole
from sagehound.pipeline.cost.usage import Job
from sagehound.pipeline.pricing.hardware import burstable, hardware_of
from sagehound.pipeline.pricing.prices import PriceTable, Use

ESTIMATED = (
    "Estimates, not measurements, between two bounds: the script's own seconds, as this run measured them, shrink (or "
    "grow) with the number of virtual processors, or they do not change at all; downloads and uploads stay as they "
    "were. GPUs are not counted: a script that uses one is faster there, one that does not pays for it all the same."
)


@dataclass(frozen=True)
class Several:
    """One instance against several, of this project's own jobs."""

    one: Job
    more: Job
    one_usd: Decimal
    more_usd: Decimal

    @property
    def bill_ratio(self) -> Decimal:
        """The bill of several over that of one."""
        return self.more_usd / self.one_usd if self.one_usd else Decimal(0)

    @property
    def time_ratio(self) -> Decimal:
        """Seconds of several over those of one."""
        return self.more.seconds / self.one.seconds if self.one.seconds else Decimal(0)

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "one": self.one.name,
            "several": self.more.name,
            "instances": self.more.instance_count,
            "one_usd": f"{self.one_usd:.6f}",
            "several_usd": f"{self.more_usd:.6f}",
            "bill_ratio": round(float(self.bill_ratio), 3),
            "time_ratio": round(float(self.time_ratio), 3),
        }


@dataclass(frozen=True)
class Other:
    """The same training on another instance type, as an estimate; on its own type it is what was measured."""

    instance_type: str
    vcpus: int
    gpus: int
    gpu: str
    seconds: tuple[Decimal, Decimal]
    """Where its processors are used as well as those that were measured, and where more of them change nothing: the
    shorter time first."""
    usd: tuple[Decimal, Decimal]
    measured: bool

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "instance_type": self.instance_type,
            "seconds": [f"{one:.3f}" for one in self.seconds],
            "usd": [f"{one:.6f}" for one in self.usd],
            "estimate": not self.measured,
        }


def several(jobs: Sequence[Job], table: PriceTable) -> Several | None:
    """The last training over one instance and the last over several of the same type; None without both."""
    trainings = [job for job in jobs if job.step.startswith("train")]
    for more in reversed([job for job in trainings if job.instance_count > 1]):
        price = table.find(Use.TRAINING, more.instance_type)
        one = next(
            (job for job in reversed(trainings) if job.instance_count == 1 and job.instance_type == more.instance_type),
            None,
        )
        if one is not None and price is not None:
            return Several(one, more, money(price, one.billable), money(price, more.billable))
    return None


def others(job: Job, table: PriceTable) -> list[Other]:
    """The training of one instance on every type that has a price, the cheapest first; an estimate but for its own."""
    own = hardware_of(job.instance_type)
    if own is None or job.instance_count != 1:
        return []
    found = []
    for instance_type in table.items(Use.TRAINING):
        hardware, price = hardware_of(instance_type), table.find(Use.TRAINING, instance_type)
        if hardware is None or price is None or burstable(instance_type):
            continue
        measured = instance_type == job.instance_type
        if measured:
            seconds, billed = (job.seconds, job.seconds), (job.billable, job.billable)
        else:
            seconds = estimated_seconds(job, own.vcpus, hardware.vcpus)
            billed = whole(seconds[0]), whole(seconds[1])
        usd = money(price, billed[0]), money(price, billed[1])
        found.append(Other(instance_type, hardware.vcpus, hardware.gpus, hardware.gpu, seconds, usd, measured))
    return sorted(found, key=lambda other: (sum(other.usd), other.instance_type))


def estimated_seconds(job: Job, own_vcpus: int, vcpus: int) -> tuple[Decimal, Decimal]:
    """The least and the most seconds of a job with another number of processors: of the part in which its script ran,
    all shrinks with them, or nothing."""
    phase = min(job.seconds, job.phase) if job.phase is not None else job.seconds
    scaled = job.seconds - phase + phase * own_vcpus / vcpus
    return min(scaled, job.seconds), max(scaled, job.seconds)
