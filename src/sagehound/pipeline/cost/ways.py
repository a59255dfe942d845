"""Ways to train: a training job, an EC2 instance, a notebook instance; what each took, and what it would have cost"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sagehound.pipeline.cost.arithmetic import EC2_MINIMUM, ec2_seconds, money, whole
from sagehound.pipeline.cost.bill import dollars
from sagehound.pipeline.cost.usage import InstanceTraining, Job, total
from sagehound.pipeline.pricing.prices import Price, PriceTable, Use

_JOB, _INSTANCE, _FEATURES = "training job", "EC2 instance", "features job"
_NAMES = {Use.TRAINING: _JOB, Use.EC2: _INSTANCE, Use.NOTEBOOK: "notebook instance"}
_PLACES = {Use.TRAINING: "in a training job", Use.NOTEBOOK: "on a notebook instance"}


@dataclass(frozen=True)
class Way:
    """One way to do the training: as it was done, or with the seconds of one that was done."""

    what: str
    """training job, features job, EC2 instance, notebook instance."""
    use: Use
    instance_type: str
    name: str
    """The job or the training that was measured; empty where only the price is another."""
    phase: Decimal | None
    """Seconds of the script."""
    seconds: Decimal
    billable: Decimal
    price: Price | None

    @property
    def measured(self) -> bool:
        """Whether it really happened."""
        return bool(self.name)

    @property
    def usd(self) -> Decimal | None:
        """What it cost, or would have; None without a price."""
        return None if self.price is None else money(self.price, self.billable)

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "way": self.what,
            "instance_type": self.instance_type,
            "name": self.name,
            "measured": self.measured,
            "script_seconds": None if self.phase is None else str(self.phase),
            "seconds": str(self.seconds),
            "billable_seconds": str(self.billable),
            "usd_an_hour": None if self.price is None else str(self.price.usd),
            "usd": None if self.usd is None else f"{self.usd:.6f}",
        }


@dataclass(frozen=True)
class Ways:
    """The last training job and the last training on EC2, and the same seconds in other ways."""

    found: list[Way]

    def sentences(self) -> Iterator[str]:
        """What the figures say, and what they do not."""
        by_type: dict[str, dict[Use, Price]] = {}
        for way in self.found:
            if way.price is not None:
                by_type.setdefault(way.instance_type.removeprefix("ml."), {})[way.use] = way.price
        yield from (said for plain, prices in by_type.items() if (said := _an_hour(plain, prices)))
        job, instance, features = self._measured(_JOB), self._measured(_INSTANCE), self._measured(_FEATURES)
        if job and instance and features:
            both, usd = features.seconds + job.seconds, total((features.usd, job.usd))
            yield (
                "the training job read features that the features job had extracted once for all jobs: together they "
                f"took {both:,.0f} s and {dollars(usd)}; the instance did the work of both, in "
                f"{instance.seconds:,.0f} s and for {dollars(instance.usd)}"
            )
        if instance is not None and instance.seconds < EC2_MINIMUM:
            yield f"EC2 bills at least {EC2_MINIMUM} s, and not {instance.seconds:.0f}"
        if job and instance and job.instance_type.removeprefix("ml.") != instance.instance_type:
            yield (
                f"{instance.instance_type} and {job.instance_type} are different machines: their times and amounts "
                "compare two types, an hour of the same type compares the ways"
            )
        yield (
            "the time to set up an EC2 or a notebook instance by hand, and what somebody forgets to stop, come on top; "
            "a training job ends itself"
        )

    def as_dict(self) -> dict[str, Any]:
        """For machines (``--json``)."""
        return {"ways": [way.as_dict() for way in self.found], "sentences": list(self.sentences())}

    def _measured(self, what: str) -> Way | None:
        return next((way for way in self.found if way.measured and way.what == what), None)


def ways_of(plain_type: str) -> list[tuple[Use, str]]:
    """What the same type is called, and priced as, in each way: m5.xlarge on EC2, ml.m5.xlarge in SageMaker."""
    return [(Use.TRAINING, f"ml.{plain_type}"), (Use.EC2, plain_type), (Use.NOTEBOOK, f"ml.{plain_type}")]


def ways(
    job: Job | None, training: InstanceTraining | None, table: PriceTable, features: Job | None = None
) -> Ways | None:
    """A training job over one instance and a training on EC2 beside each other, as far as there are both; and each of
    their types in the other ways, where these have a price. ``features`` is the job that the training job built on."""
    found = []
    if job is not None:
        found.append(_of_job(_JOB, job, table))
    if training is not None:
        kind, price = training.instance_type, table.find(Use.EC2, training.instance_type)
        of_ec2 = training.seconds, training.billable
        found.append(Way(_INSTANCE, Use.EC2, kind, training.name, training.phase, *of_ec2, price))
    trained = list(found)
    if features is not None:
        found.insert(0, _of_job(_FEATURES, features, table))
    known = {(way.use, way.instance_type) for way in found}
    for done in trained:
        # Spot pays fewer seconds than it took, EC2 at least a minute: elsewhere it is the time that counts.
        lasted = max(whole(done.seconds), done.billable if done.use is Use.TRAINING else Decimal(0))
        for use, item in ways_of(done.instance_type.removeprefix("ml.")):
            price = table.find(use, item)
            if (use, item) in known or price is None:
                continue
            known.add((use, item))
            billed = ec2_seconds([lasted]) if use is Use.EC2 else lasted
            found.append(Way(_NAMES[use], use, item, "", None, lasted, billed, price))
    return Ways(found) if len(found) > 1 else None


def _of_job(what: str, job: Job, table: PriceTable) -> Way:
    price = table.find(Use.TRAINING, job.instance_type)
    return Way(what, Use.TRAINING, job.instance_type, job.name, job.phase, job.seconds, job.billable, price)


def _an_hour(plain: str, prices: dict[Use, Price]) -> str:
    """What an hour of one type costs in each way; empty where only one price is known."""
    ec2 = prices.get(Use.EC2)
    managed = {use: price for use, price in prices.items() if use is not Use.EC2}
    if ec2 is None or not managed:
        return ""
    told = " and ".join(f"${price.words()} {_PLACES[use]}" for use, price in managed.items())
    less = round((1 - ec2.usd / next(iter(managed.values())).usd) * 100)
    return f"{plain} costs ${ec2.words()} on EC2; as ml.{plain} {told}: EC2 costs {less} % less"
