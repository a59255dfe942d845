"""The StateReason of an alarm in CloudWatch's words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

_WORDS = {
    "GreaterThanThreshold": "greater than",
    "GreaterThanOrEqualToThreshold": "greater than or equal to",
    "LessThanThreshold": "less than",
    "LessThanOrEqualToThreshold": "less than or equal to",
}
_TREATED = {"breaching": "Breaching", "notBreaching": "NonBreaching", "ignore": "Ignored", "missing": "Missing"}
MOST_LISTED = 5
"""Data points that a reason lists: StateReason holds 1,023 characters."""


class Rule(Protocol):
    """What the text needs to know of an alarm."""

    @property
    def comparison(self) -> str: ...
    @property
    def threshold(self) -> float: ...
    @property
    def evaluation_periods(self) -> int: ...
    @property
    def datapoints_to_alarm(self) -> int: ...
    @property
    def treat_missing(self) -> str: ...
    def breaches(self, value: float) -> bool: ...


def reason_of(alarm: Rule, state: str, before: str, points: Sequence[tuple[float, float | None]], filled: int) -> str:
    """Why the alarm has this state; `points` are (value, when it began) of the points that counted, oldest first."""
    if state == "INSUFFICIENT_DATA":
        return f"Insufficient Data: {_count(filled, 'datapoint')} {_were(filled)} unknown."
    if not points:
        treated = f"{_count(filled, 'missing datapoint')} {_were(filled)} treated as [{_TREATED[alarm.treat_missing]}]"
        return f"Threshold Crossed: no datapoints were received for {_count(filled, 'period')} and {treated}."
    wrong = state == "ALARM"
    chosen = [point for point in points if alarm.breaches(point[0]) == wrong] or list(points)
    listed = ", ".join(_point(*point) for point in reversed(chosen[-MOST_LISTED:]))
    relation = f"{'' if wrong else 'not '}{_WORDS[alarm.comparison]} the threshold ({alarm.threshold})"
    text = (
        f"Threshold Crossed: {len(chosen)} out of the last {len(points)} datapoints [{listed}]"
        f" {_were(len(chosen))} {relation}"
    )
    if filled:
        verb = _were(filled)
        return f"{text} and {_count(filled, 'missing datapoint')} {verb} treated as [{_TREATED[alarm.treat_missing]}]."
    least = alarm.datapoints_to_alarm if wrong else alarm.evaluation_periods - alarm.datapoints_to_alarm + 1
    start = before if before != state else ("OK" if wrong else "ALARM")
    return f"{text} (minimum {_count(least, 'datapoint')} for {start} -> {state} transition)."


def _point(value: float, begin: float | None) -> str:
    if begin is None:
        return str(value)
    return f"{value} ({datetime.fromtimestamp(begin, UTC):%d/%m/%y %H:%M:%S})"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"
