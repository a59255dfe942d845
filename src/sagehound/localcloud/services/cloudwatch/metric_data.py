"""GetMetricData: many metrics and expressions over them in one call, page by page."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sagehound.localcloud.call import Call
from sagehound.localcloud.errors import not_implemented
from sagehound.localcloud.services.cloudwatch.aggregator import MetricAggregator
from sagehound.localcloud.services.cloudwatch.errors import invalid_query
from sagehound.localcloud.services.cloudwatch.expression import MOST_COMPUTED, evaluate
from sagehound.localcloud.services.cloudwatch.listing import make_token, parse_token
from sagehound.localcloud.services.cloudwatch.periods import check_period, check_statistic, first_period
from sagehound.localcloud.services.cloudwatch.series import Series, Value, total
from sagehound.localcloud.services.cloudwatch.statistic_set import STATISTICS
from sagehound.localcloud.services.cloudwatch.tables import Metric, MetricTables, sorted_dimensions
from sagehound.localcloud.state.clock import Clock

MOST_QUERIES, MOST_DATAPOINTS = 500, 100_800
_ID = re.compile(r"[a-z]\w*", re.ASCII)
_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")


class MetricData:
    """Reading many metrics."""

    def __init__(self, clock: Clock, tables: MetricTables, aggregator: MetricAggregator) -> None:
        self._clock = clock
        self._tables = tables
        self._aggregator = aggregator

    def GetMetricData(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """The series of each query that returns data, the newest value first unless ScanBy says otherwise."""
        start, end = request["StartTime"].timestamp(), request["EndTime"].timestamp()
        if start >= end:
            raise invalid_query("The parameter StartTime must be less than the parameter EndTime.")
        limit = request.get("MaxDatapoints", MOST_DATAPOINTS)
        if not 0 < limit <= MOST_DATAPOINTS:
            raise invalid_query(f"The parameter MaxDatapoints must be between 1 and {MOST_DATAPOINTS}.")
        queries = checked_queries(request["MetricDataQueries"])
        self._aggregator.flush()

        def read(query: dict[str, Any]) -> Series:
            return self._read(call.region, query["MetricStat"], start, end)

        results = QueryResults(queries, read)
        series = [
            (query, one) for query in queries.values() if query.get("ReturnData", True) for one in results.of(query)
        ]
        newest_first = request.get("ScanBy", "TimestampDescending") == "TimestampDescending"
        return _page(series, newest_first, parse_token(request.get("NextToken")), limit)

    def _read(self, region: str, stat: dict[str, Any], start: float, end: float) -> Series:
        metric, period = stat["Metric"], stat["Period"]
        check_period(period)
        check_statistic("GetMetricData", stat["Stat"])
        if "Namespace" not in metric or "MetricName" not in metric:
            raise invalid_query("A MetricStat needs the Namespace and the MetricName of its metric.")
        dimensions = {dimension["Name"]: dimension["Value"] for dimension in metric.get("Dimensions", [])}
        first = first_period(start, period, self._clock.time())
        points = self._tables.read(
            Metric(region, metric["Namespace"], metric["MetricName"], sorted_dimensions(dimensions)),
            first,
            math.ceil(end),
            period,
            unit=stat.get("Unit"),
            distributions=stat["Stat"] not in STATISTICS,
        )
        values = {
            point.timestamp: value for point in points if (value := point.values.statistic(stat["Stat"])) is not None
        }
        return Series(values, first, math.ceil(end), period)


class QueryResults:
    """The value of each query, computed once and in the order in which expressions need them."""

    def __init__(self, queries: dict[str, dict[str, Any]], read: Callable[[dict[str, Any]], Series]) -> None:
        self._queries = queries
        self._metrics = {name: read(query) for name, query in queries.items() if "MetricStat" in query}
        self._values: dict[str, Value] = dict(self._metrics)
        self._pending: set[str] = set()
        self._computed = 0
        if len({series.period for series in self._metrics.values()}) > 1 and len(self._metrics) < len(queries):
            raise not_implemented("cloudwatch", "GetMetricData with expressions over metrics of different periods")

    def of(self, query: dict[str, Any]) -> list[Series]:
        """The series that a query answers with: one, or those of an array."""
        value = self._value(query["Id"])
        if isinstance(value, float):
            raise invalid_query(f"Error in expression '{query['Id']}': the result must be a time series.")
        return value if isinstance(value, list) else [value]

    def _value(self, name: str) -> Value:
        if name not in self._queries:
            raise invalid_query(f"Error in an expression: undefined metric or expression id '{name}'.")
        if name in self._pending:
            raise invalid_query(f"Error in expression '{name}': it refers to itself.")
        if name not in self._values:
            self._pending.add(name)
            self._values[name] = evaluate(self._queries[name]["Expression"], self._value, self._metrics)
            self._pending.remove(name)
            self._computed += _points(self._values[name])
            if self._computed > MOST_COMPUTED:
                raise invalid_query(f"The expressions have more than {MOST_COMPUTED:,} data points.")
        return self._values[name]


def _points(value: Value) -> int:
    if isinstance(value, list):
        return sum(len(one.values) for one in value)
    return len(value.values) if isinstance(value, Series) else 1


def checked_queries(queries: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The queries by id; ValidationError for what AWS refuses."""
    if not 0 < len(queries) <= MOST_QUERIES:
        raise invalid_query(f"The collection MetricDataQueries must have a size between 1 and {MOST_QUERIES}.")
    found: dict[str, dict[str, Any]] = {}
    for number, query in enumerate(queries, 1):
        where, name = f"MetricDataQueries.member.{number}", query["Id"]
        if not _ID.fullmatch(name):
            raise invalid_query(
                f"The value {name} for parameter {where}.Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$."
            )
        if name in found:
            raise invalid_query(f"The values for parameter id in MetricDataQueries are not unique: {name}.")
        if ("MetricStat" in query) == ("Expression" in query):
            raise invalid_query(f"Exactly one of the parameters MetricStat and Expression of {where} is required.")
        found[name] = query
    return found


def _page(series: list[tuple[dict[str, Any], Series]], newest_first: bool, skip: int, limit: int) -> dict[str, Any]:
    """At most `limit` data points behind the first `skip` of all series one after the other."""
    results = []
    place = 0
    more = False
    for query, one in series:
        times = sorted(one.values, reverse=newest_first)
        begin = min(max(0, skip - place), len(times))
        end = min(max(0, skip + limit - place), len(times))
        place += len(times)
        more = more or end < len(times)
        if skip and begin == len(times):
            continue  # this series was all on an earlier page
        results.append(
            {
                "Id": query["Id"],
                "Label": _label(query, one),
                "Timestamps": [datetime.fromtimestamp(time, UTC) for time in times[begin:end]],
                "Values": [one.values[time] for time in times[begin:end]],
                "StatusCode": "Complete" if end == len(times) else "PartialData",
            }
        )
    answer: dict[str, Any] = {"MetricDataResults": results, "Messages": []}
    return {**answer, "NextToken": make_token(skip + limit)} if more else answer


def _label(query: dict[str, Any], series: Series) -> str:
    default = query["MetricStat"]["Metric"]["MetricName"] if "MetricStat" in query else query["Id"]
    values = [series.values[time] for time in sorted(series.values)]
    known: dict[str, Callable[[], object]] = {
        "LABEL": lambda: default,
        "MIN": lambda: min(values),
        "MAX": lambda: max(values),
        "AVG": lambda: total(values) / len(values),
        "SUM": lambda: total(values),
        "FIRST": lambda: values[0],
        "LAST": lambda: values[-1],
    }

    def replaced(match: re.Match[str]) -> str:
        if match[1] not in known:
            raise not_implemented("cloudwatch", f"GetMetricData with {match[0]} in a label")
        return str(known[match[1]]()) if values or match[1] == "LABEL" else "--"

    return _PLACEHOLDER.sub(replaced, query.get("Label", default))
