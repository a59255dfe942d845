"""The trials of a tuning as a person and as a machine see them."""

from __future__ import annotations

import dataclasses
import io
import json

from sagehound.pipeline.clients import CloudClock
from sagehound.pipeline.progress import JsonReporter, LineReporter
from sagehound.pipeline.trial_table import Standing
from sagehound.pipeline.trials import Trial, best_of
from tests.pipeline.test_progress import Terminal

RUNNING = Trial(2, "p-hpo-1-002-abcdef01", "InProgress", {"lr": "0.0123456", "batch_size": '"64"'}, None, None, "")
DONE = Trial(1, "p-hpo-1-001-abcdef00", "Completed", {"lr": "0.5", "batch_size": '"32"'}, 0.4321, 3.14, "")
FAILED = Trial(3, "p-hpo-1-003-abcdef02", "Failed", {"lr": "0.9", "batch_size": '"512"'}, None, 1.0, "out of memory\nx")


def standing(*trials: Trial, best: str = DONE.job_name) -> Standing:
    return Standing("validation:loss", 3, trials, best)


def test_the_best_is_chosen_among_those_that_have_a_value() -> None:
    worse = dataclasses.replace(DONE, number=4, job_name="w", value=0.9)
    assert best_of([RUNNING, FAILED], minimize=True) is None
    assert best_of([RUNNING, DONE, worse], minimize=True) is DONE
    assert best_of([RUNNING, DONE, worse], minimize=False) is worse
    assert best_of([dataclasses.replace(DONE, status="Failed")], minimize=True) is None
    zero = dataclasses.replace(DONE, job_name="z", value=0.0)
    assert best_of([DONE, zero], minimize=True) is zero


def test_without_a_terminal_each_trial_is_a_line_when_it_ends() -> None:
    out = io.StringIO()
    reporter = LineReporter(out, io.StringIO())
    reporter.trials(standing(DONE, RUNNING))
    reporter.trials(standing(DONE, RUNNING))
    reporter.trials(standing(DONE, dataclasses.replace(RUNNING, status="Stopped", value=0.5, seconds=2.0), FAILED))
    lines = [" ".join(line.split()) for line in out.getvalue().splitlines()]
    assert lines == [
        "trial 1 of 3 Completed validation:loss 0.4321 3.1 s (batch_size 32, lr 0.5) best so far",
        "trial 2 of 3 Stopped validation:loss 0.5000 2.0 s (batch_size 64, lr 0.01235)",
        "trial 3 of 3 Failed 1.0 s (batch_size 512, lr 0.9) out of memory",
    ]


def test_the_table_says_that_the_clock_of_its_seconds_is_fast() -> None:
    for clock in (CloudClock(60.0), CloudClock()):
        err = Terminal()
        reporter = LineReporter(io.StringIO(), err)
        with reporter.step("tune"):
            reporter.trials(dataclasses.replace(standing(DONE), clock=clock.sentence()))
        assert ("clock x60" in err.getvalue()) == clock.fast


def test_a_terminal_gets_a_table_that_stays() -> None:
    out, err = io.StringIO(), Terminal()
    reporter = LineReporter(out, err)
    with reporter.step("tune") as step:
        reporter.trials(standing(RUNNING, best=""))
        reporter.log("a line of a job does not disturb the table")
        reporter.trials(standing(DONE, RUNNING, FAILED))
        step.done("p-hpo-1")
    table = err.getvalue()
    for text in ("batch_size", "validation:loss", "0.4321", "0.01235", "best", "out of memory", "3 of 3 trials"):
        assert text in table
    assert "p-hpo-1" in out.getvalue()
    assert "0.4321" not in out.getvalue()


def test_machines_get_an_object_for_each_change() -> None:
    out = io.StringIO()
    reporter = JsonReporter(out)
    reporter.trials(standing(RUNNING, best=""))
    reporter.trials(standing(RUNNING, best=""))
    ended = dataclasses.replace(RUNNING, status="Completed", value=0.1, seconds=2.0)
    reporter.trials(standing(ended, best=ended.job_name))
    first, second = map(json.loads, out.getvalue().splitlines())
    assert (first["event"], first["status"], first["best"]) == ("trial", "InProgress", False)
    assert first["hyperparameters"] == {"batch_size": "64", "lr": "0.01235"}
    assert (second["status"], second["value"], second["best"]) == ("Completed", 0.1, True)
    assert second["number"] == 2
