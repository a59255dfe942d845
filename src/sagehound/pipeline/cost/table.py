"""The bill in a terminal: one table of what was used, one of what goes on costing, and the comparisons"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from sagehound.pipeline.cost.bill import Bill, dollars
from sagehound.pipeline.cost.comparisons import ESTIMATED, Other
from sagehound.pipeline.cost.summary import CostSummary
from sagehound.pipeline.cost.ways import Ways
from sagehound.pipeline.report.comparison import speed_words
from sagehound.pipeline.report.words import MISSING
from sagehound.pipeline.report.words import seconds as seconds_words

if TYPE_CHECKING:
    from rich.table import Table

_WIDTH = 160
_LEAST = 96
_SHOWN = 8
"""So many of the other types a terminal shows: the cheapest, and the one that was measured."""


def bill_lines(summary: CostSummary, columns: int | None = None, *, brief: bool = False) -> list[str]:
    """Everything that a terminal of so many columns shows, as lines of text; None: lines of any length.

    ``brief`` leaves out other instance types and what is not counted.
    """
    if columns is None:
        return list(_lines(summary, _WIDTH, brief=brief))
    width = max(_LEAST, columns)
    return [part for line in _lines(summary, min(_WIDTH, width), brief=brief) for part in _wrapped(line, width)]


def _wrapped(line: str, width: int) -> list[str]:
    return [line] if len(line) <= width else textwrap.wrap(line, width, subsequent_indent="  ")


def _lines(summary: CostSummary, width: int, *, brief: bool) -> Iterator[str]:
    bill = summary.bill
    if bill.clock:
        yield bill.clock
    yield from _drawn(bill_table(bill), width)
    yield from (f"no price: {one}" for one in bill.missing)
    if bill.running:
        yield from _drawn(running_table(bill), width)
    if summary.ways:
        yield from _drawn(ways_table(summary.ways), width)
        yield from summary.ways.sentences()
    if summary.several:
        one, more = summary.several.one, summary.several.more
        yield (
            f"{more.instance_count} instances cost {dollars(summary.several.more_usd)}, and one "
            f"{dollars(summary.several.one_usd)}: {summary.several.bill_ratio:.1f} x the bill, "
            f"{speed_words(float(summary.several.time_ratio))} ({seconds_words(float(more.seconds))} s against "
            f"{seconds_words(float(one.seconds))} s)"
        )
    if brief:
        yield f"prices: {bill.table.region}, {bill.table.dated}, {bill.table.origin}"
        yield "other instance types, and what is not counted: `sagehound cost`, or the report"
        return
    if summary.others:
        yield from _drawn(others_table(summary), width)
        if len(summary.others) > _SHOWN:
            yield f"{len(summary.others) - _SHOWN} dearer types are in the report, and in --json"
        yield ESTIMATED
    yield from bill.notes
    yield from (f"not counted: {one}" for one in bill.not_counted)
    yield f"prices: {bill.table.region}, {bill.table.dated}, {bill.table.origin}"


def bill_table(bill: Bill) -> Table:
    """Step, what, seconds, billable seconds, price, money; the sum below."""
    from rich.text import Text

    table = _table(dollars(bill.usd))
    for line in bill.lines:
        usage = line.usage
        table.add_row(
            usage.step,
            # Text, not str: a name is no markup of the terminal's.
            Text(usage.what),
            _seconds(usage.seconds),
            _seconds(usage.billable_seconds),
            line.price.words() if line.price else "no price",
            dollars(line.usd),
        )
    return table


def running_table(bill: Bill) -> Table:
    """What is there now, and what an hour and a month of it cost."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_footer=True, pad_edge=False)
    table.add_column("what is there now", footer="together", overflow="fold")
    table.add_column("there for")
    table.add_column("idle")
    table.add_column("an hour", justify="right", no_wrap=True, footer=dollars(bill.an_hour))
    table.add_column("a month", justify="right", no_wrap=True, footer=dollars(bill.a_month))
    for line in bill.running:
        table.add_row(
            Text(line.what), line.age(bill.at), line.running.idle, dollars(line.an_hour), dollars(line.a_month)
        )
    return table


def ways_table(ways: Ways) -> Table:
    """The last training in each way that it was done in, and the same seconds in the others."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("EC2 or SageMaker")
    table.add_column("type", no_wrap=True)
    for head in ("script s", "seconds", "billable s", "$ an hour", "money"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for way in ways.found:
        table.add_row(
            way.what,
            Text(way.instance_type),
            _seconds(way.phase),
            _seconds(way.seconds),
            _seconds(way.billable),
            way.price.number if way.price else "no price",
            dollars(way.usd),
            "measured" if way.measured else "same seconds",
        )
    return table


def others_table(summary: CostSummary) -> Table:
    """The same training on other types."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("the same training on")
    table.add_column("processors", justify="right", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    table.add_column("money", justify="right", no_wrap=True)
    table.add_column("")
    for other in _shown(summary.others):
        gpus = f"{other.gpus} x {other.gpu}" if other.gpus else ""
        how = "measured" if other.measured else "estimated" + (f", {gpus} not counted" if gpus else "")
        seconds = between(_seconds(other.seconds[0]), _seconds(other.seconds[1]))
        usd = between(dollars(other.usd[0]), dollars(other.usd[1]))
        table.add_row(other.instance_type, str(other.vcpus), seconds, usd, how)
    return table


def _table(total: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, show_footer=True, pad_edge=False)
    table.add_column("step", footer="together")
    table.add_column("what", overflow="fold")
    table.add_column("seconds", justify="right", no_wrap=True)
    table.add_column("billable s", justify="right", no_wrap=True)
    table.add_column("price, $", justify="right", no_wrap=True)
    table.add_column("money", justify="right", no_wrap=True, footer=total)
    return table


def _seconds(value: Decimal | None) -> str:
    return MISSING if value is None else seconds_words(float(value))


def _shown(found: list[Other]) -> list[Other]:
    return [other for place, other in enumerate(found) if place < _SHOWN or other.measured]


def between(least: str, most: str) -> str:
    """``12 to 40``, or one of them where both are the same."""
    return least if least == most else f"{least} to {most}"


def _drawn(table: Table, width: int) -> list[str]:
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=width, force_jupyter=False, force_terminal=False).print(table)
    return [line.rstrip() for line in out.getvalue().splitlines() if line.strip()]
