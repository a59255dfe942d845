"""What a person sees: a line per step, a bar on a terminal only; and what a machine reads."""

from __future__ import annotations

import io
import json
import re

import pytest

from sagehound.errors import StepFailed
from sagehound.pipeline.progress import JsonReporter, LineReporter


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def without_times(out: io.StringIO) -> list[str]:
    return [" ".join(re.sub(r" [0-9.]+ s ", " s ", line).split()) for line in out.getvalue().splitlines()]


def test_a_line_per_step_with_time_and_result() -> None:
    out, err = io.StringIO(), io.StringIO()
    reporter = LineReporter(out, err)
    with reporter.step("upload") as step:
        reporter.progress("upload", 3, 10, "pictures")
        reporter.note("one was left out")
        reporter.log("a job's line")
        step.lines = ["and a detail"]
        step.done("10 sent")
    assert without_times(out) == ["note one was left out", "upload s 10 sent", "and a detail"]
    assert err.getvalue() == ""  # no terminal, no bar


def test_a_note_of_several_lines_stays_below_its_step() -> None:
    out = io.StringIO()
    LineReporter(out, io.StringIO()).note("trial 1 failed:\nExitCode 2")
    assert out.getvalue().splitlines()[1] == f"{'':21}ExitCode 2"


def test_a_terminal_gets_a_bar_and_the_results_stay_on_standard_output() -> None:
    out, err = io.StringIO(), Terminal()
    reporter = LineReporter(out, err)
    with reporter.step("upload") as step:
        reporter.progress("upload", 3, 10, "pictures")
        reporter.log("epoch 3")
        step.done("10 sent")
    assert "3 pictures" in err.getvalue()
    assert "epoch 3" in err.getvalue()
    assert without_times(out) == ["upload s 10 sent"]


def test_verbose_shows_the_jobs_lines() -> None:
    out = io.StringIO()
    LineReporter(out, io.StringIO(), verbose=True).log("loss 0.3")
    assert out.getvalue().split() == ["|", "loss", "0.3"]


def test_a_failed_step_is_a_line_too() -> None:
    out, machine = io.StringIO(), io.StringIO()
    for reporter in (LineReporter(out, io.StringIO()), JsonReporter(machine)):
        with pytest.raises(StepFailed), reporter.step("train"):
            raise StepFailed("train", "why", "way out")
    assert without_times(out) == ["train s failed"]
    assert [json.loads(line)["status"] for line in machine.getvalue().splitlines()] == ["started", "failed"]


def test_machines_get_an_object_per_line() -> None:
    out = io.StringIO()
    reporter = JsonReporter(out)
    with reporter.step("deploy") as step:
        reporter.note("ü")
        step.done("ready", endpoint_name="e")
    reporter.failure(StepFailed("invoke", "why", "way out"))
    started, note, done, error = map(json.loads, out.getvalue().splitlines())
    assert (started["step"], started["status"]) == ("deploy", "started")
    assert note == {"event": "note", "text": "ü"}
    assert (done["status"], done["text"], done["result"]) == ("done", "ready", {"endpoint_name": "e"})
    assert error == {"event": "error", "step": "invoke", "cause": "why", "hint": "way out"}
