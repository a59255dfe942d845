"""Whether an alarm is OK, in ALARM or without data: CloudWatch's rules for M out of N and for missing data points.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html and, for the tables that
tests/scaling/test_alarm.py goes through row by row,
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sagehound.localcloud.scaling.reason import reason_of

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"
MISSING, IGNORE, BREACHING, NOT_BREACHING = "missing", "ignore", "breaching", "notBreaching"
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
FURTHER_POINTS = 2
"""How many points further back than EvaluationPeriods are looked at. AWS's examples have 5 for 3; the exact number,
which depends on the period and the resolution, is not published."""


@dataclass(frozen=True, slots=True)
class AlarmRule:
    """What an alarm compares: `datapoints_to_alarm` (M) of `evaluation_periods` (N) points of `period` seconds."""

    comparison: str
    threshold: float
    evaluation_periods: int
    datapoints_to_alarm: int
    treat_missing: str = MISSING
    period: int = 60

    @property
    def evaluation_range(self) -> int:
        """How many points an evaluation looks at: more than N, so that a gap is bridged by older real points."""
        return self.evaluation_periods + FURTHER_POINTS

    def breaches(self, value: float) -> bool:
        """Whether a data point is on the wrong side of the threshold."""
        return COMPARISONS[self.comparison](value, self.threshold)


@dataclass(frozen=True, slots=True)
class AlarmVerdict:
    """The state that an evaluation gives, why, and StateReasonData as far as the points tell it."""

    state: str
    reason: str
    reason_data: dict[str, Any]


def evaluate(
    alarm: AlarmRule, points: Sequence[float | None], before: str, times: Sequence[float] = ()
) -> AlarmVerdict:
    """The verdict over the last points of a metric, oldest first, None where a period has no data.

    `before` is the state so far. `times` (when each point began, seconds since 1970) is for the reason's text only.
    Points further back than the evaluation range are not looked at.
    """
    reach = list(points)[-alarm.evaluation_range :]
    begins = list(times)[-len(reach) :] if reach else []
    real = [(place, value) for place, value in enumerate(reach) if value is not None][-alarm.evaluation_periods :]
    filled = alarm.evaluation_periods - len(real)
    state = _state(alarm, len(reach), real, filled, before)
    stamps = [begins[place] if len(begins) == len(reach) else None for place, _ in real]
    values = [value for _, value in real]
    reason = reason_of(alarm, state, before, list(zip(values, stamps, strict=True)), filled)
    data = {
        "version": "1.0",
        "period": alarm.period,
        "recentDatapoints": values,
        "threshold": alarm.threshold,
    }
    return AlarmVerdict(state, reason, data)


def _state(alarm: AlarmRule, reach: int, real: list[tuple[int, float]], filled: int, before: str) -> str:
    """Real points count first; missing ones are filled in "only as few times as possible"."""
    breaching = [place for place, value in real if alarm.breaches(value)]
    if len(breaching) >= alarm.datapoints_to_alarm:
        return ALARM
    if filled <= 0 or alarm.treat_missing == NOT_BREACHING:
        return OK
    if alarm.treat_missing == BREACHING:
        return ALARM if len(breaching) + filled >= alarm.datapoints_to_alarm else OK
    if len(breaching) < len(real):
        return OK  # a real point within the threshold speaks for the missing ones
    if alarm.treat_missing == IGNORE:
        return before
    # "Alarms are designed to always go into ALARM state when the oldest available breaching datapoint [...] is at least
    # as old as the value of Datapoints to Alarm, and all other more recent data points are breaching or missing."
    if breaching and reach - breaching[0] >= alarm.datapoints_to_alarm:
        return ALARM
    return INSUFFICIENT_DATA
