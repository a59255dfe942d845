"""DescribeAlarms and DescribeAlarmsForMetric."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from sagehound.localcloud.call import Call
from sagehound.localcloud.errors import AwsError, not_implemented
from sagehound.localcloud.services.cloudwatch.alarm_checks import ACTIONS
from sagehound.localcloud.services.cloudwatch.alarm_table import Alarm, AlarmTable
from sagehound.localcloud.services.cloudwatch.errors import invalid_query

PAGE = 50


class AlarmListing:
    """The alarms of a region."""

    def __init__(self, table: AlarmTable) -> None:
        self._table = table

    def DescribeAlarms(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Alarms by names or prefix, state and the beginning of their actions, ordered by name, page by page."""
        for member in ("ChildrenOfAlarmName", "ParentsOfAlarmName"):
            if member in request:
                raise not_implemented("cloudwatch", f"DescribeAlarms with {member} (composite alarms)")
        if "AlarmNames" in request and "AlarmNamePrefix" in request:
            raise invalid_query("AlarmNamePrefix and AlarmNames cannot be specified at the same time.")
        if "MetricAlarm" not in request.get("AlarmTypes", ["MetricAlarm"]):
            return {"MetricAlarms": [], "CompositeAlarms": []}
        after = _name_of(request["NextToken"]) if "NextToken" in request else ""
        found = [alarm for alarm in self._named(call.region, request) if alarm.name > after and _fits(alarm, request)]
        limit = request.get("MaxRecords", PAGE)
        answer: dict[str, Any] = {"MetricAlarms": [alarm.metric for alarm in found[:limit]], "CompositeAlarms": []}
        if len(found) > limit:
            answer["NextToken"] = base64.b64encode(found[limit - 1].name.encode()).decode()
        return answer

    def DescribeAlarmsForMetric(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """The alarms of exactly this metric, with this statistic, period and unit where they are given."""
        dimensions = _key(request.get("Dimensions", []))
        found = [
            alarm.metric
            for alarm in self._table.of_region(call.region)
            if _key(alarm.metric["Dimensions"]) == dimensions
            and all(
                alarm.metric.get(member) == request[member]
                for member in ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Period", "Unit")
                if member in request
            )
        ]
        return {"MetricAlarms": found}

    def _named(self, region: str, request: dict[str, Any]) -> Iterable[Alarm]:
        if "AlarmNames" not in request:
            return self._table.of_region(region)
        named = (self._table.get(region, name) for name in sorted(set(request["AlarmNames"])))
        return [alarm for alarm in named if alarm is not None]


def has_action(alarm: Alarm, prefix: str) -> bool:
    """Whether any action of the alarm, in whatever state, begins with `prefix`."""
    return any(action.startswith(prefix) for member in ACTIONS.values() for action in alarm.metric[member])


def _fits(alarm: Alarm, request: dict[str, Any]) -> bool:
    return (
        alarm.name.startswith(request.get("AlarmNamePrefix", ""))
        and alarm.state == request.get("StateValue", alarm.state)
        and ("ActionPrefix" not in request or has_action(alarm, request["ActionPrefix"]))
    )


def _key(dimensions: list[dict[str, str]]) -> list[tuple[str, str]]:
    return sorted((dimension["Name"], dimension["Value"]) for dimension in dimensions)


def _name_of(token: str) -> str:
    try:
        return base64.b64decode(token, validate=True).decode()
    except ValueError:
        raise AwsError("InvalidNextToken", "The next token specified is invalid.") from None
