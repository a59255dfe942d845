"""How the trials of a tuning are shown: a live table on a terminal, a line as each ends, or objects for machines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sagehound.pipeline.trials import Trial


@dataclass(frozen=True)
class Standing:
    """The trials of a tuning at one moment."""

    objective: str
    wanted: int
    """How many trials there will be."""
    trials: Sequence[Trial]
    best: str
    """Job name of the best trial so far, or ""."""
    clock: str = ""
    """That the clock of the trials' seconds is fast."""


class TrialLines:
    """A line for each trial that has ended, once."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def new(self, standing: Standing) -> Iterator[str]:
        """Lines for the trials that have ended since the last call."""
        for trial in standing.trials:
            if trial.ended and trial.job_name not in self._told:
                self._told.add(trial.job_name)
                yield _line(trial, standing)


class TrialEvents:
    """An object for each change of a trial."""

    def __init__(self) -> None:
        self._told: dict[str, dict[str, Any]] = {}

    def new(self, standing: Standing) -> Iterator[dict[str, Any]]:
        """Objects for the trials whose status, value or rank has changed since the last call."""
        for trial in standing.trials:
            event = {
                "job_name": trial.job_name,
                "number": trial.number,
                "status": trial.status,
                "hyperparameters": trial.shown,
                "objective": standing.objective,
                "value": trial.value,
                "seconds": trial.seconds,
                "best": trial.job_name == standing.best,
                **({"reason": trial.reason} if trial.reason else {}),
            }
            if self._told.get(trial.job_name) != event:
                self._told[trial.job_name] = event
                yield event


def trial_table(standing: Standing) -> Any:
    """The trials as they stand, as a rich table."""
    from rich.table import Table

    names = sorted({name for trial in standing.trials for name in trial.tuned})
    title = f"{len(standing.trials)} of {standing.wanted} trials"
    table = Table(title=title, caption=standing.clock or None, box=None, pad_edge=False)
    for heading in ("trial", "status", *names, standing.objective, "seconds", ""):
        table.add_column(heading, justify="left" if heading in ("status", "") else "right")
    for trial in standing.trials:
        best = trial.job_name == standing.best
        cells = [str(trial.number), trial.status, *(trial.shown.get(name, "") for name in names)]
        cells += [_number(trial.value, "{:.4f}"), _number(trial.seconds, "{:.1f}")]
        table.add_row(*cells, "best" if best else trial.reason[:60], style="bold" if best else None)
    return table


def _line(trial: Trial, standing: Standing) -> str:
    tried = ", ".join(f"{name} {text}" for name, text in trial.shown.items())
    value = _number(trial.value, f"  {standing.objective} {{:.4f}}")
    seconds = _number(trial.seconds, "  {:.1f} s")
    best = "  best so far" if trial.job_name == standing.best else ""
    reason = f"  {trial.reason.splitlines()[0]}" if trial.status == "Failed" and trial.reason else ""
    return f"{trial.number} of {standing.wanted}  {trial.status}{value}{seconds}  ({tried}){best}{reason}"


def _number(value: float | None, shape: str) -> str:
    return "" if value is None else shape.format(value)
