"""What was used: the entries of a bill before anybody has put a price on them"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sagehound.pipeline.names import Names
from sagehound.pipeline.pricing.prices import Use


@dataclass(frozen=True)
class Usage:
    """One entry: a step of the run, what it used, and how much of it as AWS counts."""

    step: str
    """features, tune, train, endpoint, function, notebook, instance, storage, scaling."""
    what: str
    """Which resource, and what of it, as a person reads it."""
    use: Use
    item: str
    """What tells the prices of one use apart: an instance type, a storage class."""
    quantity: Decimal
    """Seconds of what is priced by the hour or the month, GB-seconds, requests: as `arithmetic.money` takes them."""
    seconds: Decimal | None = None
    """Wall clock; None where time is not what counts."""
    count: int = 1
    """Instances (environments) at the same time, at most."""
    resource: str = ""
    """Name of the job, the endpoint, the function ..."""
    spot: bool = False

    @property
    def billable_seconds(self) -> Decimal | None:
        """Seconds that are billed, of all instances together; None where something else is."""
        return self.quantity if self.use in _BY_TIME else None


_BY_TIME = frozenset({Use.TRAINING, Use.HOSTING, Use.NOTEBOOK, Use.EC2, Use.IPV4})


@dataclass(frozen=True)
class Running:
    """Something that is there now and costs money for as long as it is."""

    what: str
    use: Use
    item: str
    per_second: Decimal
    """How much of it a second uses: instances, GB kept ready, GB stored."""
    since: datetime | None = None
    idle: str = ""
    """Why it looks as if nobody needed it; empty where it is used, or where nobody can tell."""
    resource: str = ""


@dataclass(frozen=True)
class Job:
    """A completed training, for comparisons."""

    name: str
    step: str
    instance_type: str
    instance_count: int
    seconds: Decimal
    """TrainingTimeInSeconds."""
    billable: Decimal
    """Of all instances together."""
    phase: Decimal | None
    """Seconds in which the script ran, without downloads and uploads; None where AWS has not said it."""
    features: str = ""
    """Address of the features that it read in place of pictures; empty where it read pictures."""


@dataclass(frozen=True)
class InstanceTraining:
    """A training that an EC2 instance has completed, for comparisons."""

    name: str
    instance_id: str
    """Empty where EC2 has forgotten the instance."""
    instance_type: str
    seconds: Decimal
    """From its launch to its end; from its first command on where EC2 has forgotten it."""
    billable: Decimal
    phase: Decimal | None
    """Seconds in which the script ran, as the instance itself took them."""


@dataclass
class Usages:
    """Everything that was found."""

    entries: list[Usage] = field(default_factory=list)
    running: list[Running] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    trainings: list[InstanceTraining] = field(default_factory=list)
    not_counted: list[str] = field(default_factory=list)
    """What cannot be counted, each in a sentence with its reason."""

    def add(self, *others: Usages) -> None:
        """Take over what others have found."""
        for other in others:
            self.entries += other.entries
            self.running += other.running
            self.jobs += other.jobs
            self.trainings += other.trainings
            self.not_counted += [one for one in other.not_counted if one not in self.not_counted]

    def needed(self) -> list[tuple[Use, str]]:
        """The prices that a bill of this takes."""
        return list(
            dict.fromkeys(
                [*((one.use, one.item) for one in self.entries), *((one.use, one.item) for one in self.running)]
            )
        )


def as_dict(usage: Usage) -> dict[str, Any]:
    """For machines; decimals as texts, which JSON keeps whole."""
    return {
        "step": usage.step,
        "what": usage.what,
        "resource": usage.resource,
        "use": str(usage.use),
        "item": usage.item,
        "quantity": str(usage.quantity),
        "seconds": None if usage.seconds is None else str(usage.seconds),
        "billable_seconds": None if usage.billable_seconds is None else str(usage.billable_seconds),
        "count": usage.count,
        "spot": usage.spot,
    }


def total(values: Iterable[Decimal | None]) -> Decimal:
    """The sum of those that are known."""
    return sum((value for value in values if value is not None), Decimal(0))


def carries(tags: Iterable[Mapping[str, str]], names: Names) -> bool:
    """Whether something is the project's, and where one run is asked for that run's."""
    found = list(tags)
    return all(tag in found for tag in names.tags)


def carries_event(tags: Iterable[Mapping[str, str]], names: Names) -> bool:
    """The same of tags as CloudTrail writes them in requestParameters: key and value."""
    return carries([{"Key": one.get("key", ""), "Value": one.get("value", "")} for one in tags], names)
