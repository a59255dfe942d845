"""The state of an alarm: evaluated from its metric, or set by hand; written, told in the history, and acted upon."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sagehound.localcloud.scaling.alarm import evaluate
from sagehound.localcloud.services.cloudwatch.alarm_actions import AlarmActions
from sagehound.localcloud.services.cloudwatch.alarm_history import changed, stamp
from sagehound.localcloud.services.cloudwatch.alarm_points import AlarmPoint, AlarmPoints
from sagehound.localcloud.services.cloudwatch.alarm_table import Alarm, AlarmTable
from sagehound.localcloud.services.cloudwatch.statistic_set import percentile_rank
from sagehound.localcloud.state.clock import Clock

MOST_REASON, MOST_REASON_DATA = 1023, 4000


class AlarmStates:
    """Moves alarms from state to state."""

    def __init__(self, clock: Clock, table: AlarmTable, points: AlarmPoints, actions: AlarmActions) -> None:
        self._clock = clock
        self._table = table
        self._points = points
        self._actions = actions

    def evaluate(self, alarm: Alarm, end: int) -> None:
        """Compare the periods that end at second `end` with the threshold. The state is durable before any action."""
        rule = alarm.rule
        points = self._points.read(alarm.region, alarm.metric, rule.evaluation_range, end)
        value = next((point.value for point in reversed(points) if point.value is not None), None)
        values = [point.value for point in points]
        verdict = evaluate(rule, values, alarm.state, [point.begin for point in points])
        if verdict.state == alarm.state or _too_few_samples(alarm.metric, points[-rule.evaluation_periods :]):
            self._table.tell(alarm, self._actions.lasting(alarm, value, self._clock.now()))
            return
        data = self._reason_data(alarm, verdict.reason_data, points)
        self.change(alarm, verdict.state, verdict.reason, data, value)

    def change(self, alarm: Alarm, state: str, reason: str, data: str | None, value: float | None) -> None:
        """Bring an alarm into a state and carry out what it does there."""
        now = self._clock.now()
        metric = {**alarm.metric, "StateValue": state, "StateReason": reason[:MOST_REASON], "StateReasonData": data}
        if data is None:
            del metric["StateReasonData"]
        metric["StateUpdatedTimestamp"] = now
        if state == alarm.state:
            self._table.put(replace(alarm, metric=metric))
            return
        after = replace(alarm, metric={**metric, "StateTransitionedTimestamp": now})
        self._table.put(after, [changed(alarm, after, now.timestamp())])
        self._table.tell(after, self._actions.changed(after, alarm.state, value, now))

    def _reason_data(self, alarm: Alarm, known: dict[str, Any], points: list[AlarmPoint]) -> str:
        """StateReasonData: what was asked, and the points that had data; fewer of them if they do not fit."""
        there = [point for point in points if point.value is not None][-alarm.rule.evaluation_periods :]
        data: dict[str, Any] = {"version": "1.0", "queryDate": stamp(self._clock.now())}
        if there:
            data["startDate"] = stamp(datetime.fromtimestamp(there[0].begin, UTC))
        for member, key in (("Statistic", "statistic"), ("ExtendedStatistic", "statistic"), ("Unit", "unit")):
            data |= {key: alarm.metric[member]} if member in alarm.metric else {}
        data |= known
        data["evaluatedDatapoints"] = [
            {
                "timestamp": stamp(datetime.fromtimestamp(point.begin, UTC)),
                "sampleCount": point.samples,
                "value": point.value,
            }
            for point in reversed(there)
        ]
        while len(text := json.dumps(data, separators=(",", ":"))) > MOST_REASON_DATA:
            longest = "evaluatedDatapoints" if data["evaluatedDatapoints"] else "recentDatapoints"
            data[longest] = data[longest][: len(data[longest]) // 2]
        return text


def _too_few_samples(metric: dict[str, Any], points: list[AlarmPoint]) -> bool:
    """Whether EvaluateLowSampleCountPercentile says to leave the state alone: fewer than 10/(1-p) samples, or 10/p for
    percentiles below the median, in the evaluated periods. Without any, missing data decide."""
    if metric.get("EvaluateLowSampleCountPercentile") != "ignore":
        return False
    samples = sum(point.samples for point in points)
    share = (percentile_rank(metric["ExtendedStatistic"]) or 0.0) / 100
    rarer = share if share < 0.5 else 1 - share
    return samples > 0 and samples * rarer < 10
