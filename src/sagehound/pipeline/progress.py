"""What a person or a machine sees of a run: one line per step with its time and its result.

People get a line on standard output per finished step, and a bar on standard error while it lasts where
that is a terminal; machines (`--json`) get one JSON object per line.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TextIO

from sagehound.errors import StepFailed
from sagehound.pipeline.live_table import LiveTable
from sagehound.pipeline.load.standing import Standing as LoadStanding
from sagehound.pipeline.load.view import LoadLines, load_table
from sagehound.pipeline.trial_table import Standing, TrialEvents, TrialLines, trial_table


class Step:
    """One step that is under way; ``done`` gives it the result that its line shows."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = "done"
        self.lines: list[str] = []
        self.result: dict[str, Any] = {}

    def done(self, text: str, **result: Any) -> None:
        """Set the sentence for people and the values for machines."""
        self.text = text
        self.result = result


class Reporter(Protocol):
    """Where the steps tell what happens."""

    def step(self, name: str) -> Any:
        """Context manager around a step: yields a Step, and prints its line when the block ends."""

    def note(self, text: str, **details: Any) -> None:
        """Something that the reader should know but that stops nothing; ``details`` are for machines."""

    def progress(self, what: str, done: int, total: int, unit: str) -> None:
        """``done`` of ``total`` (0: unknown) ``unit`` of ``what``; ``unit`` "B" is bytes."""

    def log(self, line: str) -> None:
        """One line of a job's own output."""

    def trials(self, standing: Standing) -> None:
        """The trials of a tuning as they stand now."""

    def load(self, standing: LoadStanding) -> None:
        """A load as it stands now."""


class JsonReporter:
    """One JSON object per line: {"event": "step" | "note" | "log" | "trial" | "error", ...}."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._trials = TrialEvents()

    def emit(self, event: str, **values: Any) -> None:
        """Write one object."""
        self._out.write(json.dumps({"event": event, **values}, ensure_ascii=False, default=str) + "\n")
        self._out.flush()

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Emit ``started``, then ``done`` with the result, or ``failed``."""
        step, began = Step(name), time.monotonic()
        self.emit("step", step=name, status="started")
        try:
            yield step
        except BaseException:
            self.emit("step", step=name, status="failed", seconds=round(time.monotonic() - began, 3))
            raise
        seconds = round(time.monotonic() - began, 3)
        self.emit("step", step=name, status="done", seconds=seconds, text=step.text, result=step.result)

    def note(self, text: str, **details: Any) -> None:
        """Emit the note."""
        self.emit("note", text=text, **details)

    def progress(self, what: str, done: int, total: int, unit: str) -> None:
        """Machines wait for the step's own line."""

    def log(self, line: str) -> None:
        """Emit one line of a job's log."""
        self.emit("log", line=line)

    def trials(self, standing: Standing) -> None:
        """Emit a trial when its status, or that it is the best, has changed."""
        for event in self._trials.new(standing):
            self.emit("trial", **event)

    def load(self, standing: LoadStanding) -> None:
        """Emit how the load stands."""
        self.emit("load", **standing.as_dict())

    def failure(self, error: StepFailed) -> None:
        """Emit the error that ended the run."""
        self.emit("error", **error.as_dict())


class LineReporter:
    """Lines for people, and a bar while a step lasts where standard error is a terminal."""

    def __init__(self, out: TextIO, err: TextIO, verbose: bool = False) -> None:
        self._out, self._err, self._verbose = out, err, verbose
        self._bar: Any = None
        self._tasks: dict[str, Any] = {}
        self._table: LiveTable | None = None
        self._trial_lines = TrialLines()
        self._load_lines = LoadLines()

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Print `name  seconds  result` when the block ends; a failed step prints that it failed, and when."""
        step, began = Step(name), time.monotonic()
        try:
            yield step
        except BaseException:
            self._line(name, time.monotonic() - began, "failed")
            raise
        self._line(name, time.monotonic() - began, step.text)
        for line in step.lines:
            self._print(f"{'':21}{line}")

    def note(self, text: str, **details: Any) -> None:
        """Print the note, indented below its step."""
        self._print(f"{'':10} {'note':>8}  {text}")

    def progress(self, what: str, done: int, total: int, unit: str) -> None:
        """Move the bar of ``what``."""
        shown = f"{done / 1e6:,.1f} MB" if unit == "B" else f"{done:,} {unit}"
        self._move(what, done, total or None, shown)

    def log(self, line: str) -> None:
        """Print a job's line when asked to (--verbose); otherwise the last one stands beside the bar."""
        if self._verbose:
            self._print(f"{'':10} {'|':>8}  {line}")
        else:
            self._move("job", 0, None, line[:80])

    def trials(self, standing: Standing) -> None:
        """Move the table on a terminal; otherwise print a line when a trial has ended."""
        if not self._err.isatty():
            for line in self._trial_lines.new(standing):
                self._print(f"{'':10} {'trial':>8}  {line}")
            return
        self._draw(trial_table(standing))

    def load(self, standing: LoadStanding) -> None:
        """Move the table on a terminal; otherwise print a line every few seconds."""
        if not self._err.isatty():
            for line in self._load_lines.new(standing):
                self._print(f"{'':10} {'load':>8}  {line}")
            return
        self._draw(load_table(standing))

    def _draw(self, table: Any) -> None:
        if self._table is None:
            self._close_bar()
            self._table = LiveTable(self._err)
        self._table.show(table)

    def _move(self, what: str, done: int, total: int | None, shown: str) -> None:
        if not self._err.isatty() or self._table is not None:
            return
        if self._bar is None:
            self._bar = _rich_bar(self._err)
            self._bar.start()
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=total, shown=shown)
        self._bar.update(self._tasks[what], completed=done, total=total, shown=shown)

    def _line(self, name: str, seconds: float, text: str) -> None:
        self._print(f"{name:10} {seconds:6.1f} s  {text}")

    def _print(self, text: str) -> None:
        # A bar or table stands on the terminal's last lines: it makes room and comes back with the next progress.
        self._close_bar()
        self._out.write(text.replace("\n", f"\n{'':21}") + "\n")
        self._out.flush()

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar, self._tasks = None, {}
        if self._table is not None:
            self._table.stop()
            self._table = None


def _rich_bar(err: TextIO) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:>18}"),
        BarColumn(),
        TextColumn("{task.fields[shown]}"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(file=err), transient=True)
