"""The values that an alarm compares: one for each of its last periods, None where there are no data."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from sagehound.localcloud.services.cloudwatch.alarm_math import metric_of, period_of, watched
from sagehound.localcloud.services.cloudwatch.periods import by_period
from sagehound.localcloud.services.cloudwatch.series import Series
from sagehound.localcloud.services.cloudwatch.statistic_set import StatisticSet
from sagehound.localcloud.services.cloudwatch.tables import MetricTables, sorted_dimensions

_SQL = (
    "SELECT (timestamp - :start) / :period AS place, sum(count) AS count, sum(sum) AS sum, min(minimum) AS minimum,"
    " max(maximum) AS maximum FROM metric_data WHERE timestamp >= :start AND timestamp < :end"
    " AND (:unit IS NULL OR unit = :unit) AND metric = (SELECT id FROM metrics WHERE region = :region"
    " AND namespace = :namespace AND name = :name AND dimensions = :dimensions) GROUP BY place"
)


class AlarmPoint(NamedTuple):
    """One period: when it begins, its value, and how many samples it has."""

    begin: int
    value: float | None
    samples: float


class AlarmPoints:
    """Reads metrics for alarms. The statistics are added up in SQLite; only percentiles need the distributions."""

    def __init__(self, tables: MetricTables) -> None:
        self._tables = tables

    def read(self, region: str, alarm: dict[str, Any], count: int, end: int) -> list[AlarmPoint]:
        """The last `count` periods of an alarm's metric that end at second `end`, oldest first."""
        if "Metrics" in alarm:
            return self._computed(region, alarm, count, end)
        period = alarm["Period"]
        start = end - count * period
        dimensions = {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}
        if "Statistic" in alarm:
            found = self._totals(region, alarm, dimensions, start, end)
            name = alarm["Statistic"]
        else:
            found = self._distributions(region, alarm, dimensions, start, end)
            name = alarm["ExtendedStatistic"]
        points = []
        for place in range(count):
            values = found.get(place)
            value, samples = (values.statistic(name), values.count) if values is not None else (None, 0.0)
            points.append(AlarmPoint(start + place * period, value, samples))
        return points

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

    def _totals(
        self, region: str, alarm: dict[str, Any], dimensions: dict[str, str], start: int, end: int
    ) -> dict[int, StatisticSet]:
        parameters = {
            "start": start,
            "end": end,
            "period": alarm["Period"],
            "unit": alarm.get("Unit"),
            "region": region,
            "namespace": alarm["Namespace"],
            "name": alarm["MetricName"],
            "dimensions": json.dumps(sorted_dimensions(dimensions)),
        }
        rows = self._tables.store.execute(_SQL, parameters)
        return {
            row["place"]: StatisticSet(row["count"], row["sum"], row["minimum"], row["maximum"], None) for row in rows
        }

    def _distributions(
        self, region: str, alarm: dict[str, Any], dimensions: dict[str, str], start: int, end: int
    ) -> dict[int, StatisticSet]:
        key = sorted_dimensions(dimensions)
        points = self._tables.read(region, alarm["Namespace"], alarm["MetricName"], key, start, end)
        points = [point for point in points if point.unit == alarm.get("Unit", point.unit)]
        found = by_period(points, start, alarm["Period"], by_unit=False)
        return {(begin - start) // alarm["Period"]: values for (begin, _), values in found.items()}
