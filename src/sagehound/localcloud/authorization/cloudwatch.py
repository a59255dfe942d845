"""CloudWatch: which permission an operation needs, on the alarms that it names; metrics have no resources."""

from __future__ import annotations

from sagehound.localcloud.authorization.check import Check, Value, request_tags, tag_keys
from sagehound.localcloud.call import Call, Request
from sagehound.localcloud.state import arns

_ALARMS = (
    "DeleteAlarms",
    "DescribeAlarmHistory",
    "DescribeAlarms",
    "DisableAlarmActions",
    "EnableAlarmActions",
    "PutMetricAlarm",
    "SetAlarmState",
)
_EVERY_ALARM = "*"


def checks(call: Call, params: Request) -> list[Check]:
    """The permissions that a call of CloudWatch needs."""
    action = f"cloudwatch:{call.operation}"
    if call.operation == "PutMetricData":
        return [Check(action, "*", {"cloudwatch:namespace": params["Namespace"]})]
    if call.operation in _ALARMS:
        names = params.get("AlarmNames") or [params.get("AlarmName") or _EVERY_ALARM]
        keys: dict[str, Value] = (
            {**_put_keys(params), **request_tags(params.get("Tags"))} if call.operation == "PutMetricAlarm" else {}
        )
        return [Check(action, _alarm(call, name), keys) for name in names]
    if "ResourceARN" in params:
        keys = request_tags(params.get("Tags")) | tag_keys(params.get("TagKeys"))
        return [Check(action, params["ResourceARN"], keys)]
    return [Check(action)]


def _alarm(call: Call, name: str) -> str:
    return arns.make("cloudwatch", call.region, call.account_id, f"alarm:{name}")


def _put_keys(params: Request) -> dict[str, Value]:
    """cloudwatch:AlarmActions: everything that the alarm may do."""
    members = ("OKActions", "AlarmActions", "InsufficientDataActions")
    actions = [action for member in members for action in params.get(member, [])]
    return {"cloudwatch:alarmactions": actions} if actions else {}
