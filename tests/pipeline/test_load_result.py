"""The result of a load: its rate, its words where something was cut off, and files that are none."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from sagehound.errors import StepFailed
from sagehound.pipeline.load.result import Capacity, LoadResult
from sagehound.pipeline.load.words import lines_of, sentence_of
from tests.pipeline.test_load_report import a_result

GENERATOR = {"kept_up": True, "reasons": [], "held_back": 0, "not_sent": 0, "unanswered": 0}
CAPACITY = Capacity(30.0, 10.0, 3, "ml.m5.large", 400.0, 500.0, 0.05)


def answered(counts: list[int], **changes: Any) -> LoadResult:
    """A load of ten seconds with so many good answers in each second."""
    some = a_result(answered=sum(counts), errors={}, generator=GENERATOR, error_words={}, **changes)
    plan = some.plan | {"duration": 10.0}
    seconds = [one | {"answered": count} for one, count in zip(some.seconds * 2, counts, strict=False)]
    return dataclasses.replace(some, plan=plan, seconds=seconds, activities=[])


def test_answers_that_come_after_the_load_took_that_time_too() -> None:
    late = answered([50] * 20, elapsed=20.0)
    assert late.rate == 50
    assert "1,000 answered, 50.0 a second" in sentence_of(late)
    assert answered([100] * 10, elapsed=10.0).rate == 100


def test_a_request_that_nobody_answers_makes_the_others_no_slower() -> None:
    assert answered([100] * 10 + [0] * 60, elapsed=70.0).rate == 100


def test_an_interrupted_load_has_the_rate_of_its_own_time() -> None:
    assert answered([100] * 4, elapsed=4.0, ended="interrupted").rate == 100
    assert answered([100, 0, 0, 0], elapsed=4.0, ended="interrupted").rate == 25


def test_what_was_under_way_at_ctrl_c_is_said() -> None:
    cut = answered([100] * 4, elapsed=4.0, ended="interrupted")
    assert lines_of(cut) == ["interrupted after 4 s; this is what was measured so far"]
    cut.generator = GENERATOR | {"unanswered": 1_020, "not_sent": 3}
    first, second = lines_of(cut)
    assert first.endswith("with 1,020 under way, which count as what they had waited")
    assert "3 requests that were due were never sent" in second
    assert second.endswith("they are in no percentile")


def test_a_whole_result_is_read_back(tmp_path: Path) -> None:
    for one in (a_result(generator=GENERATOR, capacity=CAPACITY), answered([1], percentiles={})):
        one.write(tmp_path / "x.json")
        assert LoadResult.read(tmp_path / "x.json") == one


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("target.kind", None, "target has no kind"),
        ("plan.duration", "long", "plan.duration is of another kind: long"),
        ("percentiles.mean", None, "percentiles has no mean"),
        ("seconds", [{"second": 0}], r"seconds\[0\] has no sent"),
        ("seconds", {}, "seconds is of another kind"),
        ("errors", {"timeout": "3"}, "timeout is of another kind: 3"),
        ("instances", [[]], r"instances\[0\] is of another kind"),
        ("generator", {}, "generator has no reasons"),
        ("capacity.per_instance", None, "capacity has no per_instance"),
        ("percentiles", {}, "a capacity and no percentiles"),
        ("invented", 3, "invented"),
    ],
)
def test_a_file_with_a_part_that_is_wrong_is_refused_naming_it(
    tmp_path: Path, path: str, value: Any, words: str
) -> None:
    file = tmp_path / "x.json"
    a_result(generator=GENERATOR, capacity=CAPACITY).write(file)
    content = part = json.loads(file.read_text())
    *outer, name = path.split(".")
    for one in outer:
        part = part[one]
    if value is None:
        del part[name]
    else:
        part[name] = value
    file.write_text(json.dumps(content))
    with pytest.raises(StepFailed, match=words):
        LoadResult.read(file)
