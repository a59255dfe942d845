"""What else it could have cost: EC2 against SageMaker, one instance against several, other types as an estimate"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sagehound.pipeline.cost.arithmetic import EC2_MINIMUM, ec2_seconds, money, whole
from sagehound.pipeline.cost.usage import Job
from sagehound.pipeline.pricing.hardware import burstable, hardware_of
from sagehound.pipeline.pricing.prices import PriceTable, Use

ESTIMATED = (
    "Estimates, not measurements, between two bounds: the script's own seconds, as this run measured them, shrink (or "
    "grow) with the number of virtual processors, or they do not change at all; downloads and uploads stay as they "
    "were. GPUs are not counted: a script that uses one is faster there, one that does not pays for it all the same."
)


@dataclass(frozen=True)
class SameType:
    """The seconds of a training on SageMaker and on EC2, for the same kind of machine."""

    job: Job
    sagemaker_hour: Decimal
    ec2_hour: Decimal
    sagemaker: Decimal
    ec2: Decimal

    @property
    def cheaper(self) -> int:
        """By how many per cent EC2 is cheaper by the hour."""
        return round((1 - self.ec2_hour / self.sagemaker_hour) * 100)

    def sentence(self) -> str:
        """ml.m5.xlarge against m5.xlarge in words."""
        plain = self.job.instance_type.removeprefix("ml.")
        each = self.job.billable / self.job.instance_count
        minimum = f" (EC2 bills at least {EC2_MINIMUM} s, and not {each:.0f})" if each < EC2_MINIMUM else ""
        return (
            f"an hour on EC2 ({plain}) costs {self.cheaper} % less than on {self.job.instance_type}{minimum}; "
            "the time to start it and to set it up, and what you forget to stop, come on top"
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


def same_type(job: Job, table: PriceTable) -> SameType | None:
    """EC2 against SageMaker for a job's type; None where one of the prices is unknown."""
    here = table.find(Use.TRAINING, job.instance_type)
    there = table.find(Use.EC2, job.instance_type.removeprefix("ml."))
    if here is None or there is None:
        return None
    seconds = ec2_seconds([job.billable / job.instance_count]) * job.instance_count
    return SameType(job, here.usd, there.usd, money(here, job.billable), money(there, seconds))


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


def as_dict(found: SameType | Several | None) -> dict[str, Any] | None:
    """A comparison for machines."""
    if found is None:
        return None
    if isinstance(found, SameType):
        return {
            "job": found.job.name,
            "sagemaker_usd_an_hour": str(found.sagemaker_hour),
            "ec2_usd_an_hour": str(found.ec2_hour),
            "sagemaker_usd": f"{found.sagemaker:.6f}",
            "ec2_usd": f"{found.ec2:.6f}",
            "ec2_cheaper_percent": found.cheaper,
        }
    return {
        "one": found.one.name,
        "several": found.more.name,
        "instances": found.more.instance_count,
        "one_usd": f"{found.one_usd:.6f}",
        "several_usd": f"{found.more_usd:.6f}",
        "bill_ratio": round(float(found.bill_ratio), 3),
        "time_ratio": round(float(found.time_ratio), 3),
    }
