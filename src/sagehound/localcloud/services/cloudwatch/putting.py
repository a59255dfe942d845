"""PutMetricData: a request's data checked in AWS's words and made into statistic sets."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from sagehound.localcloud.call import Call
from sagehound.localcloud.services.cloudwatch.errors import invalid_combination, invalid_value, missing
from sagehound.localcloud.services.cloudwatch.statistic_set import StatisticSet
from sagehound.localcloud.services.cloudwatch.tables import DAY, HOUR, Datum, MetricTables, sorted_dimensions
from sagehound.localcloud.state.clock import Clock

MOST_DATA, MOST_VALUES = 1000, 150
_LARGEST = 2.0**360


class MetricWriting:
    """What clients report."""

    def __init__(self, clock: Clock, tables: MetricTables) -> None:
        self._clock = clock
        self._tables = tables

    def PutMetricData(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Keep the data at their minute, or at their second with a StorageResolution of 1; durable when answered."""
        namespace = request["Namespace"]
        if namespace.startswith("AWS/"):
            raise invalid_value(f"The value {namespace} for parameter Namespace is invalid.")
        data = [*request.get("MetricData", [])]
        for entity in request.get("EntityMetricData", []):
            data += entity.get("MetricData", [])
        if not data:
            raise missing("The parameter MetricData is required.")
        if len(data) > MOST_DATA:
            raise invalid_value(f"The collection MetricData must not have a size greater than {MOST_DATA}.")
        read = [self._datum(item, f"MetricData.member.{number}") for number, item in enumerate(data, 1)]
        self._tables.add(call.region, namespace, read)
        return {}

    def _datum(self, item: dict[str, Any], where: str) -> Datum:
        if "MetricName" not in item:
            raise missing(f"The parameter {where}.MetricName is required.")
        dimensions = {dimension["Name"]: dimension["Value"] for dimension in item.get("Dimensions", [])}
        if len(dimensions) != len(item.get("Dimensions", [])):
            raise invalid_value(f"The parameter {where}.Dimensions names a dimension twice.")
        resolution = item.get("StorageResolution", 60)
        if resolution not in (1, 60):
            raise invalid_value(f"The parameter {where}.StorageResolution must be 1 or 60.")
        moment = self._moment(item.get("Timestamp"), where) // resolution * resolution
        values = _values(item, where)
        return Datum(item["MetricName"], sorted_dimensions(dimensions), moment, item.get("Unit", "None"), values)

    def _moment(self, timestamp: datetime | None, where: str) -> int:
        now = self._clock.time()
        moment = now if timestamp is None else timestamp.timestamp()
        if not now - 14 * DAY <= moment <= now + 2 * HOUR:
            raise invalid_value(
                f"The parameter {where}.Timestamp must specify a time no more than two weeks in the past"
                " and no more than two hours in the future."
            )
        return int(moment)


def _values(item: dict[str, Any], where: str) -> StatisticSet:
    given = [name for name in ("Value", "Values", "StatisticValues") if name in item]
    if len(given) > 1:
        raise invalid_combination(
            f"The parameters {where}.{given[0]} and {where}.{given[1]} are mutually exclusive"
            " and you have specified both."
        )
    if not given:
        raise missing(f"At least one of the parameters Value, Values and StatisticValues of {where} is required.")
    if given == ["Value"]:
        return StatisticSet.of(_number(item["Value"], f"{where}.Value"))
    if given == ["StatisticValues"]:
        return _statistic_values(item["StatisticValues"], f"{where}.StatisticValues")
    return _counted_values(item, where)


def _counted_values(item: dict[str, Any], where: str) -> StatisticSet:
    values, counts = item["Values"], item.get("Counts", [1.0] * len(item["Values"]))
    if not values:
        raise missing(f"The parameter {where}.Values is required.")
    if len(values) > MOST_VALUES:
        raise invalid_value(f"The collection {where}.Values must not have a size greater than {MOST_VALUES}.")
    if len(values) != len(counts):
        raise invalid_value(f"The parameters {where}.Values and {where}.Counts must be of the same size.")
    total: StatisticSet | None = None
    for number, (value, count) in enumerate(zip(values, counts, strict=True), 1):
        if _number(count, f"{where}.Counts.member.{number}") <= 0:
            raise invalid_value(f"The value {count} for parameter {where}.Counts.member.{number} is invalid.")
        one = StatisticSet.of(_number(value, f"{where}.Values.member.{number}"), count)
        if total is None:
            total = one
        else:
            total.add(one)
    assert total is not None
    return total


def _statistic_values(item: dict[str, Any], where: str) -> StatisticSet:
    count, total, least, greatest = (
        _number(item[name], f"{where}.{name}") for name in ("SampleCount", "Sum", "Minimum", "Maximum")
    )
    if count <= 0:
        raise invalid_value(f"The value {count} for parameter {where}.SampleCount is invalid.")
    if least > greatest:
        raise invalid_value(f"The parameter {where}.Maximum must be greater than {where}.Minimum.")
    # AWS knows percentiles of a statistic set only where all its values must be the same.
    return StatisticSet(count, total, least, greatest, {least: count} if least == greatest else None)


def _number(value: float, where: str) -> float:
    if not math.isfinite(value) or abs(value) > _LARGEST:
        raise invalid_value(f"The value {value} for parameter {where} is invalid.")
    return float(value)
