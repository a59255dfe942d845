"""CloudWatch: its actions have no resources; PutMetricData has a namespace."""

from __future__ import annotations

from sagehound.localcloud.authorization.check import Check
from sagehound.localcloud.call import Call, Request
from sagehound.localcloud.state import arns

_ALARMS = ("DeleteAlarms", "DisableAlarmActions", "EnableAlarmActions", "PutMetricAlarm", "SetAlarmState")


def checks(call: Call, params: Request) -> list[Check]:
    """The permission that a call of CloudWatch needs."""
    action = f"cloudwatch:{call.operation}"
    if call.operation == "PutMetricData":
        return [Check(action, "*", {"cloudwatch:namespace": params["Namespace"]})]
    if call.operation in _ALARMS:
        names = params.get("AlarmNames") or [params["AlarmName"]]
        return [Check(action, arns.make("cloudwatch", call.region, call.account_id, f"alarm:{name}")) for name in names]
    return [Check(action)]
