"""The history of alarms: its items in CloudWatch's words, and DescribeAlarmHistory."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sagehound.localcloud.call import Call
from sagehound.localcloud.services.cloudwatch.alarm_table import Alarm, AlarmTable, HistoryRow, Item
from sagehound.localcloud.services.cloudwatch.listing import make_token, parse_token
from sagehound.localcloud.services.cloudwatch.tables import DAY

HISTORY_KEPT = 30 * DAY
"""https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html: 30 days."""
PAGE = 100
_NAMING = ("alarmName", "alarmArn", "namespace", "metricName")
_MOST_DATA, _MOST_SUMMARY = 4095, 255


def configured(alarm: Alarm, kind: str, at: float) -> Item:
    """The configuration was written: `kind` is Create, Update or Delete."""
    verb = {"Create": "created", "Update": "updated", "Delete": "deleted"}[kind]
    body = {_camel(name): _plain(value) for name, value in alarm.metric.items()}
    data = {"version": "1.0", "type": kind, f"{verb}Alarm": body}
    return (at, "ConfigurationUpdate", _summary(f'Alarm "{alarm.name}" {verb}'), _dump(data))


def changed(before: Alarm, after: Alarm, at: float) -> Item:
    """The state is another."""
    data = {"version": "1.0", "oldState": _state(before), "newState": _state(after)}
    return (at, "StateUpdate", f"Alarm updated from {before.state} to {after.state}", _dump(data))


def acted(action: str, alarm: Alarm, at: float, error: str = "") -> Item:
    """An action was carried out, or why it was not."""
    data = {
        "actionState": "Failed" if error else "Succeeded",
        "stateUpdateTimestamp": round(alarm.metric["StateUpdatedTimestamp"].timestamp() * 1000),
        "notificationResource": action,
        "stateValue": alarm.state,
    }
    verb = "Failed to execute" if error else "Successfully executed"
    return (at, "Action", _summary(f"{verb} action {action}"), _dump({**data, "error": error} if error else data))


class AlarmHistory:
    """Reading the history."""

    def __init__(self, table: AlarmTable) -> None:
        self._table = table

    def DescribeAlarmHistory(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """What happened to one alarm, deleted ones too, or to all; the newest first unless ScanBy says otherwise."""
        if "MetricAlarm" not in request.get("AlarmTypes", ["MetricAlarm"]):
            return {"AlarmHistoryItems": []}
        filters = {
            "name": request.get("AlarmName"),
            "type": request.get("HistoryItemType"),
            "since": _seconds(request.get("StartDate")),
            "until": _seconds(request.get("EndDate")),
            "after": parse_token(request["NextToken"]) if "NextToken" in request else None,
        }
        limit = request.get("MaxRecords", PAGE)
        ascending = request.get("ScanBy", "TimestampDescending") == "TimestampAscending"
        found = self._table.history(call.region, filters, ascending, limit + 1)
        answer: dict[str, Any] = {"AlarmHistoryItems": [_item(row) for row in found[:limit]]}
        return {**answer, "NextToken": make_token(found[limit - 1].id)} if len(found) > limit else answer


def stamp(moment: datetime) -> str:
    """A time as CloudWatch writes it inside JSON."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"


def _item(row: HistoryRow) -> dict[str, Any]:
    return {
        "AlarmName": row.name,
        "AlarmType": "MetricAlarm",
        "Timestamp": datetime.fromtimestamp(round(row.at, 3), UTC),
        "HistoryItemType": row.type,
        "HistorySummary": row.summary,
        "HistoryData": row.data,
    }


def _state(alarm: Alarm) -> dict[str, Any]:
    state = {"stateValue": alarm.state, "stateReason": alarm.metric["StateReason"]}
    data = alarm.metric.get("StateReasonData")
    return {**state, "stateReasonData": json.loads(data)} if data else state


def _camel(name: str) -> str:
    return "okActions" if name == "OKActions" else name[0].lower() + name[1:]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, list):
        return [
            {_camel(name): part for name, part in item.items()} if isinstance(item, dict) else item for item in value
        ]
    return value


def _dump(data: dict[str, Any]) -> str:
    """HistoryData holds 4,095 characters: the data points of a reason, and a long configuration, give way to them."""
    text = json.dumps(data, separators=(",", ":"))
    if len(text) <= _MOST_DATA:
        return text
    for state in ("oldState", "newState"):
        data.get(state, {}).pop("stateReasonData", None)
    for name in ("createdAlarm", "updatedAlarm", "deletedAlarm"):
        if name in data:
            data[name] = {key: value for key, value in data[name].items() if key in _NAMING}
    return json.dumps(data, separators=(",", ":"))


def _summary(text: str) -> str:
    return text if len(text) <= _MOST_SUMMARY else text[: _MOST_SUMMARY - 3] + "..."


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
