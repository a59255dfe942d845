"""How a load is shown: a line now and then, one for each activity, a table that fits 80 columns."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import pytest

from sagehound.pipeline.live_table import LiveTable
from sagehound.pipeline.load.standing import Standing
from sagehound.pipeline.load.view import LoadLines, clock_words, load_table
from sagehound.pipeline.progress import LineReporter

ACTIVITY = {"second": 20.4, "description": "Setting desired to 2. [red]", "status": "Successful"}


def standing(second: float, **changes: Any) -> Standing:
    given: dict[str, Any] = {
        "target": "endpoint dogs",
        "duration": 60.0,
        "speed": 60.0,
        "closed": False,
        "asked": 50.0,
        "sent_rate": 50.2,
        "answered_rate": 49.8,
        "sent": 500,
        "answered": 490,
        "in_flight": 8,
        "p50": 12.0,
        "p90": 20.0,
        "p99": 41.0,
        "errors": {"ModelError": 2},
        "late": 0.4,
        "instances": {"current": 1, "desired": 2},
        "concurrency": None,
        "cold_starts": 0,
    }
    return Standing(second=second, **{**given, **changes})


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def drawn(one: Standing) -> str:
    out = io.StringIO()
    table = LiveTable(out)
    table.show(load_table(one))
    table.stop()
    return out.getvalue()


def test_a_line_every_five_seconds_says_all_of_it() -> None:
    lines = LoadLines()
    told = [line for second in range(1, 12) for line in lines.new(standing(second))]
    assert [line.partition(":")[0] for line in told] == ["1 s", "5 s", "10 s"]
    assert told[0] == (
        "1 s: asked 50.0/s, sent 50.2/s, answered 49.8/s; p50 12 p90 20 p99 41 ms; errors ModelError 2; "
        "1 instance, 2 desired"
    )


def test_an_activity_is_told_once_and_again_in_another_load() -> None:
    lines = LoadLines()
    busy = [standing(second, activities=[ACTIVITY]) for second in (21.0, 22.0)]
    told = [line for one in busy for line in lines.new(one) if line.startswith("at ")]
    assert told == ["at 20 s: Setting desired to 2. [red] (Successful)"]
    again = [line for line in lines.new(standing(1.0, activities=[ACTIVITY])) if line.startswith("at ")]
    assert again == told


def test_the_table_fits_a_small_terminal_and_takes_no_markup_from_outside() -> None:
    one = standing(21.0, activities=[ACTIVITY], late=35.0)
    text = drawn(one)
    assert all(len(line) <= 80 for line in text.splitlines())
    for words in ("50.0/s", "8 under way", "p50 12 p90 20 p99 41 ms", "ModelError 2", "1 instance, 2 desired"):
        assert words in text
    assert "Setting desired to 2. [red]" in text
    assert "this program is late: p99 35 ms" in text
    assert "x60" in text


def test_a_function_shows_its_environments_and_a_closed_loop_its_callers() -> None:
    concurrency = {"requested": 2, "available": 1}
    one = standing(3.0, closed=True, asked=4, instances=None, concurrency=concurrency, cold_starts=3, speed=1.0)
    text = drawn(one)
    assert "1 of 2 kept ready, 3 cold starts" in text
    assert "4 callers" in text
    assert "clock" not in text


def test_without_a_terminal_there_are_lines() -> None:
    out = io.StringIO()
    reporter = LineReporter(out, io.StringIO())
    reporter.load(dataclasses.replace(standing(5.0), p50=None))
    assert out.getvalue().split()[:2] == ["load", "5"]
    assert "no answer yet" in out.getvalue()


@pytest.mark.parametrize(("speed", "words"), [(1.0, ""), (60.0, "clock x60"), (0.5, "clock x0.5")])
def test_the_speed_of_the_clock_is_said_where_it_is_not_the_real_one(speed: float, words: str) -> None:
    assert words in clock_words(speed)
    assert bool(clock_words(speed)) == (speed != 1.0)
