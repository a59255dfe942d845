"""CloudWatch's rules for alarms: its documented tables of missing data row by row, and M of N."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagehound.localcloud.scaling.alarm import AlarmRule, evaluate

TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")
KEPT = "(the state before)"
STATES = {"OK": "OK", "ALARM": "ALARM", "INSUF": "INSUFFICIENT_DATA", "RETAIN": KEPT}
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html: five points are retrieved
# for three evaluation periods; 0 is within the threshold, X breaches it, - is missing. The page has changed some of its
# examples over the years: all of them are here.
THREE_OF_THREE = """
0 - X - X | OK OK OK OK
0 - - - - | OK OK OK OK
- - - - - | INSUF RETAIN ALARM OK
0 X X - X | ALARM ALARM ALARM ALARM
- - X - - | ALARM RETAIN ALARM OK
- - - - X | INSUF RETAIN ALARM OK
X - - - - | ALARM RETAIN ALARM OK
"""
TWO_OF_THREE = """
0 - X - X | ALARM ALARM ALARM ALARM
0 0 X 0 X | ALARM ALARM ALARM ALARM
0 - X - - | OK OK ALARM OK
- - - - 0 | OK OK ALARM OK
- - - - X | INSUF RETAIN ALARM OK
"""


def rows(table: str, needed: int) -> list[Any]:
    found = []
    for line in table.strip().splitlines():
        points, states = (part.split() for part in line.split("|"))
        for treatment, state in zip(TREATMENTS, states, strict=True):
            found.append(
                pytest.param(points, needed, treatment, STATES[state], id=f"{needed}-{''.join(points)}-{treatment}")
            )
    return found


def values(points: list[str]) -> list[float | None]:
    return [{"0": 1.0, "X": 9.0, "-": None}[point] for point in points]


def rule(
    needed: int = 3, periods: int = 3, treatment: str = "missing", comparison: str = "GreaterThanThreshold"
) -> AlarmRule:
    return AlarmRule(comparison, 5.0, periods, needed, treatment)


@pytest.mark.parametrize(("points", "needed", "treatment", "state"), rows(THREE_OF_THREE, 3) + rows(TWO_OF_THREE, 2))
@pytest.mark.parametrize("before", ["OK", "ALARM", "INSUFFICIENT_DATA"])
def test_the_documented_tables(points: list[str], needed: int, treatment: str, state: str, before: str) -> None:
    verdict = evaluate(rule(needed, treatment=treatment), values(points), before)
    assert verdict.state == (before if state == KEPT else state)


@pytest.mark.parametrize(("points", "state"), [("---X-", "INSUFFICIENT_DATA"), ("---X0", "OK"), ("--XX-", "ALARM")])
def test_no_premature_alarm(points: str, state: str) -> None:
    """ "The alarm does not go immediately into ALARM state when the data is either - - - - X or - - - X -"."""
    assert evaluate(rule(), values(list(points)), "OK").state == state


def test_the_oldest_points_that_are_not_needed_do_not_count() -> None:
    assert evaluate(rule(), values(list("XX000")), "ALARM").state == "OK"
    assert evaluate(rule(), values(list("XXX000"))[-6:], "ALARM").state == "OK"
    assert evaluate(rule(), values(list("00XXX")), "OK").state == "ALARM"
    assert evaluate(rule(), [9.0] * 40 + values(list("-----")), "OK").state == "INSUFFICIENT_DATA"


@pytest.mark.parametrize(
    ("comparison", "below", "at", "above"),
    [
        ("GreaterThanThreshold", "OK", "OK", "ALARM"),
        ("GreaterThanOrEqualToThreshold", "OK", "ALARM", "ALARM"),
        ("LessThanThreshold", "ALARM", "OK", "OK"),
        ("LessThanOrEqualToThreshold", "ALARM", "ALARM", "OK"),
    ],
)
def test_the_comparisons(comparison: str, below: str, at: str, above: str) -> None:
    alarm = rule(1, 1, comparison=comparison)
    assert [evaluate(alarm, [value], "OK").state for value in (4.9, 5.0, 5.1)] == [below, at, above]


def test_the_reasons_are_aws_s() -> None:
    times = [1577934000.0, 1577934060.0, 1577934120.0]
    crossed = evaluate(rule(2), [9.0, 1.0, 9.5], "OK", times)
    assert crossed.reason == (
        "Threshold Crossed: 2 out of the last 3 datapoints [9.5 (02/01/20 03:02:00), 9.0 (02/01/20 03:00:00)]"
        " were greater than the threshold (5.0) (minimum 2 datapoints for OK -> ALARM transition)."
    )
    assert crossed.reason_data == {
        "version": "1.0",
        "period": 60,
        "recentDatapoints": [9.0, 1.0, 9.5],
        "threshold": 5.0,
    }
    back = evaluate(rule(1, 1), [1.0], "ALARM", [1577934000.0])
    assert back.reason == (
        "Threshold Crossed: 1 out of the last 1 datapoints [1.0 (02/01/20 03:00:00)] was not greater than the threshold"
        " (5.0) (minimum 1 datapoint for ALARM -> OK transition)."
    )
    assert evaluate(rule(), [], "OK").reason == "Insufficient Data: 3 datapoints were unknown."
    assert evaluate(rule(treatment="breaching"), [None] * 5, "OK").reason == (
        "Threshold Crossed: no datapoints were received for 3 periods and 3 missing datapoints were treated as"
        " [Breaching]."
    )
    filled = evaluate(rule(treatment="notBreaching"), [None, None, 9.0], "OK")
    assert filled.reason.endswith("and 2 missing datapoints were treated as [NonBreaching].")


POINTS = st.lists(st.none() | st.floats(0, 10), max_size=12)


@given(POINTS, st.integers(1, 6), st.integers(1, 6), st.sampled_from(TREATMENTS), st.sampled_from(["OK", "ALARM"]))
def test_enough_real_points_never_ask_how_to_treat_missing_ones(
    points: list[float | None], periods: int, needed: int, treatment: str, before: str
) -> None:
    needed = min(needed, periods)
    alarm = rule(needed, periods, treatment)
    real = [value for value in points[-alarm.evaluation_range :] if value is not None][-periods:]
    state = evaluate(alarm, points, before).state
    if len(real) == periods:
        assert state == ("ALARM" if sum(value > 5 for value in real) >= needed else "OK")
    elif treatment == "ignore" and all(value > 5 for value in real) and len(real) < needed:
        assert state == before
    elif treatment in ("breaching", "notBreaching"):
        assert state in ("OK", "ALARM")


@given(POINTS, st.integers(1, 6), st.sampled_from(["missing", "breaching", "notBreaching"]))
def test_higher_values_never_end_an_alarm(points: list[float | None], periods: int, treatment: str) -> None:
    alarm = rule(periods, periods, treatment)
    higher = [None if value is None else value + 5 for value in points]
    if evaluate(alarm, points, "OK").state == "ALARM":
        assert evaluate(alarm, higher, "OK").state == "ALARM"


@given(POINTS, st.integers(1, 20), st.sampled_from(TREATMENTS), st.sampled_from(["OK", "ALARM", "INSUFFICIENT_DATA"]))
def test_a_reason_fits_into_its_member(points: list[float | None], periods: int, treatment: str, before: str) -> None:
    verdict = evaluate(rule(periods, periods, treatment), points, before, [1.7e9] * len(points))
    assert 0 < len(verdict.reason) <= 1023
