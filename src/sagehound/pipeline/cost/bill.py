"""The bill: usage times price, with what has no price and what is not counted said beside the sum"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sagehound.pipeline.cost.arithmetic import HOUR, MONTH, cents, money
from sagehound.pipeline.cost.timeline import span_words
from sagehound.pipeline.cost.usage import InstanceTraining, Job, Running, Usage, Usages, as_dict, total
from sagehound.pipeline.pricing.prices import Price, PriceTable

_ORDER = ("features", "tune", "train", "notebook", "instance", "endpoint", "function", "scaling", "storage")


@dataclass(frozen=True)
class Line:
    """One line of the bill."""

    usage: Usage
    price: Price | None
    """None where the table has none."""

    @property
    def usd(self) -> Decimal | None:
        """What it costs, exact; None without a price."""
        return None if self.price is None else money(self.price, self.usage.quantity)

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        priced = {"unit": str(self.price.unit), "price_usd": str(self.price.usd)} if self.price else {}
        return {**as_dict(self.usage), **priced, "usd": None if self.usd is None else f"{self.usd:.10f}"}


@dataclass(frozen=True)
class RunningLine:
    """Something that is there now, with what it costs from here on."""

    running: Running
    price: Price | None

    @property
    def what(self) -> str:
        """What it is, with its instance type."""
        item = self.running.item
        return f"{self.running.what}, {item}" if "." in item else self.running.what

    def age(self, now: datetime | None) -> str:
        """How long it has been there; empty where nobody says."""
        since = self.running.since
        return span_words(now - since) if now and since else ""

    def usd(self, seconds: Decimal) -> Decimal | None:
        """What it costs for so many seconds; None without a price."""
        return None if self.price is None else money(self.price, self.running.per_second * seconds)

    @property
    def an_hour(self) -> Decimal | None:
        """What an hour of it costs."""
        return self.usd(HOUR)

    @property
    def a_month(self) -> Decimal | None:
        """What a month (730 hours) of it costs."""
        return self.usd(MONTH)

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "what": self.running.what,
            "resource": self.running.resource,
            "item": self.running.item,
            "since": self.running.since.isoformat() if self.running.since else None,
            "idle": self.running.idle,
            "usd_an_hour": _text(self.an_hour),
            "usd_a_month": _text(self.a_month),
        }


@dataclass(frozen=True)
class Bill:
    """What a run costs, and what goes on costing."""

    lines: list[Line]
    running: list[RunningLine]
    jobs: list[Job]
    not_counted: list[str]
    missing: list[str]
    """What has no price, with the way out."""
    table: PriceTable
    charged: bool
    """Whether somebody is really billed: on AWS, and not in the local cloud."""
    at: datetime | None = None
    clock: str = ""
    """That the cloud's clock was fast, so that its seconds are no real ones."""
    notes: list[str] = field(default_factory=list)
    trainings: list[InstanceTraining] = field(default_factory=list)

    @property
    def usd(self) -> Decimal:
        """The sum of what has a price, exact."""
        return total(line.usd for line in self.lines)

    @property
    def a_month(self) -> Decimal:
        """What a month of all that is there now costs."""
        return total(line.a_month for line in self.running)

    @property
    def an_hour(self) -> Decimal:
        """What an hour of it costs."""
        return total(line.an_hour for line in self.running)

    def steps(self) -> dict[str, Decimal]:
        """Step -> its sum."""
        sums: dict[str, Decimal] = {}
        for line in self.lines:
            sums[line.usage.step] = sums.get(line.usage.step, Decimal(0)) + (line.usd or 0)
        return sums

    def sentence(self) -> str:
        """What it is that the sum means: on AWS a bill, here none."""
        sum_words = dollars(self.usd) + (" for what has a price" if self.missing else "")
        if self.charged:
            return f"{sum_words} so far at on-demand prices; the invoice is AWS's own"
        return f"nothing was charged: on AWS this would have cost {sum_words}"

    def as_dict(self) -> dict[str, Any]:
        """For machines (``--json``); money as texts."""
        return {
            "usd": _text(self.usd),
            "usd_in_cents": str(cents(self.usd)),
            "charged": self.charged,
            "prices": {"region": self.table.region, "dated": self.table.dated, "origin": self.table.origin},
            "clock": self.clock,
            "steps": {step: _text(amount) for step, amount in self.steps().items()},
            "lines": [line.as_dict() for line in self.lines],
            "running": [line.as_dict() for line in self.running],
            "missing": self.missing,
            "not_counted": self.not_counted,
            "notes": self.notes,
        }


def price_usages(
    usages: Usages,
    table: PriceTable,
    *,
    charged: bool,
    at: datetime | None = None,
    clock: str = "",
    notes: Iterable[str] = (),
) -> Bill:
    """Put prices on what was used. What has none stands on the bill without an amount, and is told."""
    lines = [Line(one, table.find(one.use, one.item)) for one in merged(usages.entries)]
    running = [RunningLine(one, table.find(one.use, one.item)) for one in usages.running]
    lacking = [(line.usage.use, line.usage.item) for line in lines if line.price is None]
    lacking += [(line.running.use, line.running.item) for line in running if line.price is None]
    return Bill(
        lines=lines,
        running=running,
        jobs=list(usages.jobs),
        not_counted=list(usages.not_counted),
        missing=[table.why_missing(use, item) for use, item in dict.fromkeys(lacking)],
        table=table,
        charged=charged,
        at=at,
        clock=clock,
        notes=list(notes),
        trainings=list(usages.trainings),
    )


def merged(entries: Iterable[Usage]) -> list[Usage]:
    """The entries in the order of the run, those of one resource and one price as one: a tuning is one line."""
    groups: dict[tuple[str, str, str, str], list[Usage]] = {}
    for one in entries:
        groups.setdefault((one.step, one.resource, str(one.use), one.item), []).append(one)
    found = [_one(group) for group in groups.values()]
    return sorted(found, key=lambda one: _place(one.step))


def _one(group: list[Usage]) -> Usage:
    if len(group) == 1:
        return group[0]
    first = group[0]
    kept = first.what.partition(", ")[2]
    return replace(
        first,
        what=f"{first.resource}, {len(group)} times {kept}",
        quantity=sum((one.quantity for one in group), Decimal(0)),
        seconds=total(one.seconds for one in group),
        count=max(one.count for one in group),
        spot=any(one.spot for one in group),
    )


def _place(step: str) -> int:
    name = step.partition(" ")[0]
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)


def dollars(amount: Decimal | None) -> str:
    """An amount as people read it: to the cent from a dollar on, small ones with the digits that say something."""
    if amount is None:
        return "no price"
    if amount == 0:
        return "$0"
    digits = 2 if amount >= 1 else 4 if amount >= Decimal("0.01") else 6
    if amount < Decimal("0.000001"):
        return "< $0.000001"
    return f"${amount:,.{digits}f}"


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:.6f}"
