"""The report in short, for its caller: where it lies, the figures of each job, its findings, and a terminal's table"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sagehound.pipeline.cost.summary import CostSummary
from sagehound.pipeline.report.findings import Finding
from sagehound.pipeline.report.function import FunctionReport
from sagehound.pipeline.report.jobs import JobReport
from sagehound.pipeline.report.words import MISSING, figure, percent, seconds

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class ReportSummary:
    """The report in short."""

    path: Path
    rows: list[JobReport]
    findings: list[Finding]
    function: FunctionReport | None = None
    clock: str = ""
    """That the clock of the jobs' times was fast."""
    cost: CostSummary | None = None

    @property
    def billable_seconds(self) -> float:
        """Of all jobs together."""
        return sum(row.billable_seconds or 0.0 for row in self.rows)

    def as_dict(self) -> dict[str, Any]:
        """For machines (``--json``)."""
        return {
            "path": str(self.path),
            "billable_seconds": self.billable_seconds,
            "clock": self.clock,
            "jobs": [row.as_dict() for row in self.rows],
            "findings": [finding.as_dict() for finding in self.findings],
            "function": self.function.as_dict() if self.function else None,
            "cost": self.cost.as_dict() if self.cost else None,
        }


def report_table(summary: ReportSummary) -> Table:
    """One row a job, for the terminal; the last one holds the billable seconds of all."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_footer=True, pad_edge=False)
    table.add_column("job", footer="together")
    table.add_column("instances", footer="")
    table.add_column("seconds", justify="right")
    table.add_column("billable s", justify="right", footer=seconds(summary.billable_seconds))
    for heading in ("val loss", "val top-1", "test loss", "test top-1", "test top-5"):
        table.add_column(heading, justify="right")
    for row in summary.rows:
        values = row.figures
        # Text, not str: a name is no markup of the terminal's.
        role = Text(row.role if row.status == "Completed" else f"{row.role} ({row.status})")
        table.add_row(
            role,
            Text(f"{row.instance_count} x {row.instance_type}" if row.instance_count else MISSING),
            seconds(row.seconds),
            seconds(row.billable_seconds),
            figure(values.get("validation:loss")),
            percent(values.get("validation:accuracy")),
            figure(values.get("test:loss")),
            percent(values.get("test:accuracy")),
            percent(values.get("test:top5")),
        )
    return table
