"""GetMetricStatistics: the statistics of one metric by period."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from sagehound.localcloud.call import Call
from sagehound.localcloud.services.cloudwatch.aggregator import MetricAggregator
from sagehound.localcloud.services.cloudwatch.errors import invalid_combination, invalid_value, missing
from sagehound.localcloud.services.cloudwatch.periods import check_period, check_statistic, first_period
from sagehound.localcloud.services.cloudwatch.statistic_set import StatisticSet
from sagehound.localcloud.services.cloudwatch.tables import Metric, MetricTables, sorted_dimensions
from sagehound.localcloud.state.clock import Clock

MOST_DATAPOINTS = 1440


class MetricStatistics:
    """Reading one metric."""

    def __init__(self, clock: Clock, tables: MetricTables, aggregator: MetricAggregator) -> None:
        self._clock = clock
        self._tables = tables
        self._aggregator = aggregator

    def GetMetricStatistics(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Data points of exactly the metric with these dimensions; units that were reported apart stay apart."""
        statistics, extended = request.get("Statistics", []), request.get("ExtendedStatistics", [])
        if not statistics and not extended:
            raise missing("At least one of the parameters Statistics and ExtendedStatistics must be specified.")
        for name in extended:
            check_statistic("GetMetricStatistics", name)
        period = request["Period"]
        check_period(period)
        start, end = request["StartTime"].timestamp(), request["EndTime"].timestamp()
        if start >= end:
            raise invalid_value("The parameter StartTime must be less than the parameter EndTime.")
        asked = math.ceil((end - start) / period)
        if asked > MOST_DATAPOINTS:
            raise invalid_combination(
                f"You have requested up to {asked:,} datapoints, which exceeds the limit of {MOST_DATAPOINTS:,}."
                " You may reduce the datapoints requested by increasing Period, or decreasing the time range."
            )
        first = first_period(start, period, self._clock.time())
        dimensions = {dimension["Name"]: dimension["Value"] for dimension in request.get("Dimensions", [])}
        self._aggregator.flush()
        points = self._tables.read(
            Metric(call.region, request["Namespace"], request["MetricName"], sorted_dimensions(dimensions)),
            first,
            math.ceil(end),
            period,
            unit=request.get("Unit"),
            units_apart=True,
            distributions=bool(extended),
        )
        datapoints = [_datapoint(*point, statistics, extended) for point in points]
        return {"Label": request["MetricName"], "Datapoints": datapoints}


def _datapoint(
    begin: int, unit: str, values: StatisticSet, statistics: list[str], extended: list[str]
) -> dict[str, Any]:
    datapoint: dict[str, Any] = {"Timestamp": datetime.fromtimestamp(begin, UTC), "Unit": unit}
    datapoint |= {name: values.statistic(name) for name in statistics}
    percentiles = {name: value for name in extended if (value := values.statistic(name)) is not None}
    if percentiles:
        datapoint["ExtendedStatistics"] = percentiles
    return datapoint
