"""The values that an alarm compares: one for each of its last periods, None where there are no data."""

from __future__ import annotations

from typing import Any, NamedTuple

from sagehound.localcloud.services.cloudwatch.alarm_math import metric_of, period_of, watched
from sagehound.localcloud.services.cloudwatch.series import Series
from sagehound.localcloud.services.cloudwatch.statistic_set import STATISTICS
from sagehound.localcloud.services.cloudwatch.tables import Metric, MetricTables, sorted_dimensions


class AlarmPoint(NamedTuple):
    """One period: when it begins, its value, and how many samples it has."""

    begin: int
    value: float | None
    samples: float


class AlarmPoints:
    """Reads metrics for alarms."""

    def __init__(self, tables: MetricTables) -> None:
        self._tables = tables

    def read(self, region: str, alarm: dict[str, Any], count: int, end: int) -> list[AlarmPoint]:
        """The last `count` periods of an alarm's metric that end at second `end`, oldest first."""
        if "Metrics" in alarm:
            return self._computed(region, alarm, count, end)
        period = alarm["Period"]
        start = end - count * period
        dimensions = {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}
        name = alarm.get("Statistic") or alarm["ExtendedStatistic"]
        points = self._tables.read(
            Metric(region, alarm["Namespace"], alarm["MetricName"], sorted_dimensions(dimensions)),
            start,
            end,
            period,
            unit=alarm.get("Unit"),
            distributions=name not in STATISTICS,
        )
        found = {
            point.timestamp: AlarmPoint(point.timestamp, point.values.statistic(name), point.values.count)
            for point in points
        }
        return [found.get(begin) or AlarmPoint(begin, None, 0.0) for begin in range(start, end, period)]

    def _computed(self, region: str, alarm: dict[str, Any], count: int, end: int) -> list[AlarmPoint]:
        """The points of the query that the alarm watches; how many samples stand behind them is not known."""
        period = period_of(alarm)
        start = end - count * period

        def read(query: dict[str, Any]) -> Series:
            points = self.read(region, metric_of(query), count, end)
            values = {point.begin: point.value for point in points if point.value is not None}
            return Series(values, start, end, period)

        values = watched(alarm["Metrics"], read).values
        return [AlarmPoint(begin, values.get(begin), 0.0) for begin in range(start, end, period)]
