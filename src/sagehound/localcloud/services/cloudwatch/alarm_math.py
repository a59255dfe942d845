"""Alarms on metric math: the Metrics of PutMetricAlarm, and the one series of them that is watched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sagehound.localcloud.errors import not_implemented
from sagehound.localcloud.services.cloudwatch.errors import invalid_query
from sagehound.localcloud.services.cloudwatch.metric_data import QueryResults, checked_queries
from sagehound.localcloud.services.cloudwatch.periods import check_statistic
from sagehound.localcloud.services.cloudwatch.series import Series
from sagehound.localcloud.services.cloudwatch.statistic_set import STATISTICS

MOST_METRICS = 10
"""https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Create-alarm-on-metric-math-expression.html"""
_OF_ONE_METRIC = ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Dimensions", "Period", "Unit")


def check_metrics(request: dict[str, Any]) -> None:
    """Refuse Metrics that cannot be watched: ValidationError, or NotImplemented for functions that we do not have."""
    for member in (*_OF_ONE_METRIC, "EvaluateLowSampleCountPercentile"):
        if request.get(member):
            raise invalid_query(f"{member} and Metrics exclude each other.")
    queries = checked_queries(request["Metrics"])
    metrics = [query for query in queries.values() if "MetricStat" in query]
    if not 0 < len(metrics) <= MOST_METRICS:
        raise invalid_query(f"Metrics must name between 1 and {MOST_METRICS} metrics.")
    if sum(query.get("ReturnData", True) for query in queries.values()) != 1:
        raise invalid_query("Exactly one element of the metrics list should return data.")
    if any("AccountId" in query for query in queries.values()):
        raise not_implemented("cloudwatch", "PutMetricAlarm with metrics of other accounts")
    for query in metrics:
        if "Namespace" not in query["MetricStat"]["Metric"] or "MetricName" not in query["MetricStat"]["Metric"]:
            raise invalid_query("A MetricStat needs the Namespace and the MetricName of its metric.")
        check_statistic("PutMetricAlarm", query["MetricStat"]["Stat"])
    if len({query["MetricStat"]["Period"] for query in metrics}) > 1:
        raise invalid_query("All metrics of an alarm must have the same period.")
    period = period_of(request)
    watched(request["Metrics"], lambda _: Series({}, 0, period, period))


def period_of(alarm: dict[str, Any]) -> int:
    """The seconds of one data point: the alarm's own, or those of its metrics."""
    if "Metrics" not in alarm:
        return int(alarm["Period"])
    return next(int(query["MetricStat"]["Period"]) for query in alarm["Metrics"] if "MetricStat" in query)


def metric_of(query: dict[str, Any]) -> dict[str, Any]:
    """The MetricStat of a query as an alarm on that metric would have it."""
    stat, metric = query["MetricStat"], query["MetricStat"]["Metric"]
    named = {
        "Namespace": metric["Namespace"],
        "MetricName": metric["MetricName"],
        "Dimensions": metric.get("Dimensions", []),
        "Period": stat["Period"],
        "Statistic" if stat["Stat"] in STATISTICS else "ExtendedStatistic": stat["Stat"],
    }
    return {**named, "Unit": stat["Unit"]} if "Unit" in stat else named


def watched(metrics: list[dict[str, Any]], read: Callable[[dict[str, Any]], Series]) -> Series:
    """The series of the query that returns data, computed from what `read` finds for the metrics."""
    queries = {query["Id"]: query for query in metrics}
    (query,) = (query for query in metrics if query.get("ReturnData", True))
    series = QueryResults(queries, read).of(query)
    if len(series) != 1:
        raise invalid_query(f"The expression of {query['Id']} must return a single time series.")
    return series[0]
