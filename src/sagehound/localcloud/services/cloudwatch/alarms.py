"""Alarms: made, changed, set and deleted; what Application Auto Scaling asks of CloudWatch is here too."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import datetime
from typing import Any

from sagehound.localcloud.call import Call, Operation, operations_of
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.cloudwatch.aggregator import MetricAggregator
from sagehound.localcloud.services.cloudwatch.alarm_actions import AlarmActions, Callback
from sagehound.localcloud.services.cloudwatch.alarm_checks import configuration_of
from sagehound.localcloud.services.cloudwatch.alarm_history import AlarmHistory, configured
from sagehound.localcloud.services.cloudwatch.alarm_listing import AlarmListing, has_action
from sagehound.localcloud.services.cloudwatch.alarm_loop import AlarmLoop
from sagehound.localcloud.services.cloudwatch.alarm_math import period_of
from sagehound.localcloud.services.cloudwatch.alarm_points import AlarmPoints
from sagehound.localcloud.services.cloudwatch.alarm_states import AlarmStates
from sagehound.localcloud.services.cloudwatch.alarm_table import Alarm, AlarmTable
from sagehound.localcloud.services.cloudwatch.alarm_tags import AlarmTags, tags_of
from sagehound.localcloud.services.cloudwatch.tables import MetricTables
from sagehound.localcloud.state import arns
from sagehound.localcloud.state.clock import Clock

MOST_ALARMS = 5000
"""https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html: a region's, by default."""
_STATE = ("StateValue", "StateReason", "StateReasonData", "StateUpdatedTimestamp", "StateTransitionedTimestamp")


class Alarms:
    """The metric alarms of all regions, and the loop that evaluates them."""

    def __init__(self, clock: Clock, account_id: str, tables: MetricTables, aggregator: MetricAggregator) -> None:
        self._clock = clock
        self._account_id = account_id
        self._table = AlarmTable(tables.store)
        self._actions = AlarmActions()
        self._points = AlarmPoints(tables)
        self._aggregator = aggregator
        self._states = AlarmStates(clock, self._table, self._points, self._actions)
        self._loop = AlarmLoop(clock, self._table, self._states, aggregator)
        self._tags = AlarmTags(self._table)
        self._task: asyncio.Task[None] | None = None

    @property
    def operations(self) -> dict[str, Operation]:
        """The operations by AWS's names."""
        return operations_of(self, AlarmListing(self._table), AlarmHistory(self._table), self._tags)

    async def start(self) -> None:
        """Go on with evaluating, once every service that the actions reach has started."""
        self._task = asyncio.create_task(self._loop.run())

    async def stop(self) -> None:
        """End the loop: no action is carried out any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def add_action(self, prefix: str, callback: Callback) -> None:
        """Call back for actions whose ARN begins with `prefix`, while an alarm is in the state that has them."""
        self._actions.add(prefix, callback)

    def put(self, region: str, alarm: dict[str, Any]) -> str:
        """Create an alarm or replace its configuration (PutMetricAlarm's members); its ARN. A state stays."""
        configuration = configuration_of(alarm)
        name = configuration["AlarmName"]
        before = self._table.get(region, name)
        if before is None and self._table.count(region) >= MOST_ALARMS:
            raise AwsError("LimitExceeded", f"The maximum limit of {MOST_ALARMS} alarms exceeded.")
        now = self._clock.now()
        arn = arns.make("cloudwatch", region, self._account_id, f"alarm:{name}")
        metric = {"AlarmArn": arn, "AlarmConfigurationUpdatedTimestamp": now, **configuration}
        metric |= (
            _new_state(now) if before is None else {key: before.metric[key] for key in _STATE if key in before.metric}
        )
        tags = tags_of(alarm.get("Tags", [])) if before is None else before.tags
        after = Alarm(region, metric, tags)
        self._table.put(after, [configured(after, "Create" if before is None else "Update", now.timestamp())])
        self._loop.wake()
        return arn

    def delete(self, region: str, names: list[str]) -> None:
        """Delete alarms; those that are not there any more are no error."""
        now = self._clock.time()
        found = [alarm for name in dict.fromkeys(names) if (alarm := self._table.get(region, name)) is not None]
        self._table.delete([(alarm, configured(alarm, "Delete", now)) for alarm in found])

    def describe(self, region: str, name: str) -> dict[str, Any] | None:
        """An alarm as DescribeAlarms shows it; None when there is none."""
        alarm = self._table.get(region, name)
        return None if alarm is None else dict(alarm.metric)

    def values(self, region: str, name: str, count: int, now: float) -> list[float | None] | None:
        """An alarm's metric in its last `count` periods that have ended, oldest first; None when there is no alarm."""
        alarm = self._table.get(region, name)
        if alarm is None:
            return None
        self._aggregator.flush()
        period = period_of(alarm.metric)
        return [point.value for point in self._points.read(region, alarm.metric, count, int(now // period) * period)]

    def with_action(self, region: str, prefix: str) -> list[dict[str, Any]]:
        """The alarms that have an action whose ARN begins with `prefix`, ordered by name."""
        return [dict(alarm.metric) for alarm in self._table.of_region(region) if has_action(alarm, prefix)]

    def resource_tags(self, arn: str) -> dict[str, str]:
        """The tags of an alarm, for conditions of policies."""
        alarm = self._tags.of_arn(arn)
        return {} if alarm is None else dict(alarm.tags)

    def PutMetricAlarm(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """A new alarm begins with INSUFFICIENT_DATA; of one that is there all but the state and tags is replaced."""
        call.resource = self.put(call.region, request)
        return {}

    def DeleteAlarms(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """All of the named alarms, or none of them if one does not exist."""
        unknown = [name for name in request["AlarmNames"] if self._table.get(call.region, name) is None]
        if unknown:
            raise AwsError("ResourceNotFound", f"Unknown alarms: {', '.join(unknown)}", 404)
        self.delete(call.region, request["AlarmNames"])
        return {}

    def SetAlarmState(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Set a state and carry out its actions; the next evaluation sets it anew."""
        alarm = self._table.get(call.region, request["AlarmName"])
        if alarm is None:
            raise AwsError("ResourceNotFound", f"Alarm {request['AlarmName']} does not exist.", 404)
        call.resource = alarm.arn
        data = request.get("StateReasonData")
        if data is not None and not _is_json(data):
            raise AwsError("InvalidFormat", "StateReasonData is not valid JSON.")
        self._states.change(alarm, request["StateValue"], request["StateReason"], data, None)
        return {}

    def EnableAlarmActions(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """From now on the alarms act again."""
        return self._enable(call, request, True)

    def DisableAlarmActions(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """The alarms change their states without acting."""
        return self._enable(call, request, False)

    def _enable(self, call: Call, request: dict[str, Any], enabled: bool) -> dict[str, Any]:
        now = self._clock.now()
        changed = []
        for name in dict.fromkeys(request["AlarmNames"]):
            alarm = self._table.get(call.region, name)
            if alarm is not None and alarm.metric["ActionsEnabled"] != enabled:
                metric = {**alarm.metric, "ActionsEnabled": enabled, "AlarmConfigurationUpdatedTimestamp": now}
                after = replace(alarm, metric=metric)
                changed.append((after, [configured(after, "Update", now.timestamp())]))
        self._table.put_all(changed)
        return {}


def _new_state(now: datetime) -> dict[str, Any]:
    return {
        "StateValue": "INSUFFICIENT_DATA",
        "StateReason": "Unchecked: Initial alarm creation",
        "StateUpdatedTimestamp": now,
        "StateTransitionedTimestamp": now,
    }


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
