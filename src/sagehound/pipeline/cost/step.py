"""The step that says what a project costs, in a terminal and for machines"""

from __future__ import annotations

import shutil
import sys
from datetime import datetime

from sagehound.pipeline.clients import Clients
from sagehound.pipeline.cost.bill import dollars
from sagehound.pipeline.cost.summarising import Prices, summarise
from sagehound.pipeline.cost.summary import CostSummary
from sagehound.pipeline.cost.table import bill_lines
from sagehound.pipeline.names import Names
from sagehound.pipeline.progress import Step

_INDENT = 21
"""Of what stands below a step."""


def cost(
    clients: Clients,
    names: Names,
    step: Step,
    *,
    prices: Prices | None = None,
    since: datetime | None = None,
    run: str = "",
    columns: int | None = None,
    brief: bool = False,
) -> CostSummary:
    """What the project has cost since then, and what goes on costing; raises StepFailed where AWS refuses.

    ``columns`` is how many the lines may have; None: what the terminal has, any where there is none. ``brief`` leaves
    out other instance types and what is not counted.
    """
    summary = summarise(clients, names, prices=prices, since=since, run=run)
    step.lines = bill_lines(summary, columns or _columns(), brief=brief)
    bill = summary.bill
    going_on = f"; what is there now costs {dollars(bill.an_hour)} an hour, {dollars(bill.a_month)} a month"
    on_aws = going_on if bill.charged else going_on.replace("costs", "would cost")
    step.done(bill.sentence() + (on_aws if bill.running else ""), **summary.as_dict())
    return summary


def _columns() -> int | None:
    """How many columns a terminal has beside the names of the steps; None where nobody looks at one."""
    return shutil.get_terminal_size().columns - _INDENT if sys.stdout.isatty() else None
