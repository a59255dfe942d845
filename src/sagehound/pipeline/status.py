"""What exists of a project in AWS, and what of it costs money for as long as it is there"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from sagehound.pipeline.aws_errors import aws_step
from sagehound.pipeline.belongings.finding import find
from sagehound.pipeline.belongings.thing import Billed, Kind, Scope, Thing, counted
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.cost.arithmetic import HOUR, money
from sagehound.pipeline.cost.bill import RunningLine, dollars
from sagehound.pipeline.cost.summarising import summarise
from sagehound.pipeline.cost.usage import total
from sagehound.pipeline.names import Names
from sagehound.pipeline.pricing.packaged import packaged_prices

NOTHING = "nothing exists and nothing costs"
_SHOWN = 12


@dataclass(frozen=True)
class Standing:
    """What there is now."""

    whose: str
    things: list[Thing]
    costing: list[RunningLine]
    charged: bool
    """Whether somebody is billed for it: on AWS, and not in the local cloud."""
    unseen: list[str]
    """What could not be looked at."""
    unpriced: list[str]
    """What has no price, with the way out."""

    @property
    def nothing(self) -> bool:
        """Whether there is nothing at all: not known where something could not be looked at."""
        return not self.things and not self.costing and not self.unseen

    @property
    def notes(self) -> list[str]:
        """What a person should know beside the list."""
        return [*(f"not looked at: {one}" for one in self.unseen), *self.unpriced]

    @property
    def an_hour(self) -> Decimal:
        """What an hour of all of it costs."""
        return total(one.an_hour for one in self.costing)

    @property
    def a_month(self) -> Decimal:
        """What a month (730 hours) of it costs."""
        return total(one.a_month for one in self.costing)

    def lines(self) -> list[str]:
        """For people."""
        if self.nothing:
            return [f"{NOTHING} of {self.whose}", *self.notes]
        if not self.things and not self.costing:
            return [f"nothing was found of {self.whose}, and not all could be looked at", *self.notes]
        lines = [f"{counted(len(self.things))} of {self.whose}:", *(f"  {line}" for line in _grouped(self.things))]
        if not self.costing:
            return [*lines, "none of it costs by the hour", *self.notes]
        sums = f"{dollars(self.an_hour)} an hour, {dollars(self.a_month)} a month"
        told = f"{sums} for as long as it is there" if self.charged else f"nothing is charged: on AWS {sums}"
        return [*lines, f"costs: {told}", *(f"  {_words(one)}" for one in self.costing), *self.notes]

    def as_dict(self) -> dict[str, Any]:
        """For machines; money as texts."""
        return {
            "nothing": self.nothing,
            "text": self.lines()[0],
            "exists": [thing.as_dict() for thing in self.things],
            "costs": [one.as_dict() for one in self.costing],
            "usd_an_hour": f"{self.an_hour:.6f}",
            "usd_a_month": f"{self.a_month:.6f}",
            "charged": self.charged,
            "notes": self.notes,
        }


def standing(clients: Clients, names: Names, *, everywhere: bool = False) -> Standing:
    """What exists of the project (of every project) and what of it costs money; raises StepFailed."""
    with aws_step("status"):
        found = find(clients, Scope(names, everywhere=everywhere))
        projects = sorted({thing.project for thing in found.things})
        bills = [summarise(clients, _of_project(names, project, found.things)).bill for project in projects]
        costing = [line for bill in bills for line in bill.running]
    lacking = [bill for bill in bills if any(line.price is None for line in bill.running)]
    unpriced = list(dict.fromkeys(one for bill in lacking for one in bill.missing))
    whose = f"any project in {clients.region}" if everywhere else f"project {names.project}"
    return Standing(whose, found.things, costing, clients.place.charged, found.unseen, unpriced)


def exists_in_short(clients: Clients, names: Names) -> list[str]:
    """What there is of the project in a line each, those of the run in ``names`` first; raises StepFailed.

    Quick, since somebody waits who has just pressed Ctrl-C: prices of the package, and no usage is looked up.
    """
    with aws_step("status"):
        things = find(clients, Scope(names)).things
    own = [thing for thing in things if thing.run and thing.run == names.run]
    earlier = [thing for thing in things if thing not in own]
    lines = [f"this run has made {_short(own)}"] if own else []
    if earlier:
        begin = "" if own else "this run has made nothing; "
        lines.append(f"{begin}earlier runs have made {_short(earlier)}")
    hour = total(_an_hour(thing.billed) for thing in things)
    if hour:
        told = ", ".join(
            f"{thing.kind} {thing.name} {dollars(_an_hour(thing.billed))}" for thing in things if thing.billed
        )
        sums = f"{dollars(hour)} an hour while it is there ({told})"
        lines.append(sums if clients.place.charged else f"on AWS it would cost {sums}")
    return lines or [f"{NOTHING} of project {names.project}"]


def _words(line: RunningLine) -> str:
    text = f"{line.what}  {dollars(line.an_hour)} an hour, {dollars(line.a_month)} a month"
    return f"{text}  idle: {line.running.idle}" if line.running.idle else text


def _grouped(things: Sequence[Thing]) -> list[str]:
    """A line a thing; of many of a kind the first ones."""
    kinds: dict[Kind, list[Thing]] = defaultdict(list)
    for thing in things:
        kinds[thing.kind].append(thing)
    lines = []
    for kind, group in kinds.items():
        lines += [one.line() + (f"  run {one.run}" if one.run else "") for one in group[:_SHOWN]]
        if len(group) > _SHOWN:
            lines.append(f"{kind} ... and {len(group) - _SHOWN} more")
    return lines


def _short(things: Sequence[Thing]) -> str:
    """Kinds with the name where there is one of it, with the number where there are several."""
    kinds: dict[Kind, list[str]] = defaultdict(list)
    for thing in things:
        kinds[thing.kind].append(thing.name)
    return ", ".join(
        f"{kind} {names[0]}" if len(names) == 1 else f"{kind} x {len(names)}" for kind, names in kinds.items()
    )


def _an_hour(billed: Billed | None) -> Decimal | None:
    price = packaged_prices().find(billed.use, billed.item) if billed else None
    return money(price, HOUR * billed.count) if price and billed else None


def _of_project(names: Names, project: str, things: Sequence[Thing]) -> Names:
    """The names of another project, as far as its things tell them."""
    if project == names.project:
        return names
    bucket = next((one.name for one in things if one.kind is Kind.BUCKET and one.project == project), names.bucket)
    function = f"{project}-function"
    endpoint = f"{project}-endpoint"
    return replace(names, project=project, bucket=bucket, endpoint=endpoint, function=function, function_role=function)
