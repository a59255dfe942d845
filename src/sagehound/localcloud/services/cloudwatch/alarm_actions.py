"""What an alarm does in a state: actions that another service carries out, told in the history if nobody does."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from sagehound.localcloud.services.cloudwatch.alarm_checks import ACTIONS
from sagehound.localcloud.services.cloudwatch.alarm_history import acted
from sagehound.localcloud.services.cloudwatch.alarm_table import Alarm, Item

logger = logging.getLogger(__name__)


class AlarmEvent(NamedTuple):
    """An alarm calls an action: at the change to a state, and again at each evaluation that finds it still there."""

    region: str
    name: str
    arn: str
    action_arn: str
    state: str
    previous: str
    reason: str
    metric_value: float | None
    at: datetime


Callback = Callable[[AlarmEvent], None]


class AlarmActions:
    """Who carries out which actions, by how their ARNs begin. Others (SNS, EC2, Lambda, Systems Manager) are kept, and
    the history says that they were not carried out: this cloud sends nothing."""

    def __init__(self) -> None:
        self._callbacks: dict[str, Callback] = {}

    def add(self, prefix: str, callback: Callback) -> None:
        """Actions whose ARN begins with `prefix` call back."""
        self._callbacks[prefix] = callback

    def changed(self, alarm: Alarm, previous: str, value: float | None, at: datetime) -> list[Item]:
        """Carry out the actions of a state that the alarm has just come to; what the history tells of them."""
        return [
            acted(action, alarm, at.timestamp(), self._carry_out(alarm, action, previous, value, at))
            for action in _actions(alarm)
        ]

    def lasting(self, alarm: Alarm, value: float | None, at: datetime) -> list[Item]:
        """Carry out again what is carried out as long as the state lasts: "for Amazon EC2 Auto Scaling actions, the
        alarm continues to invoke the action for every period that the alarm remains in the new state". The history
        tells of failures only."""
        items = []
        for action in _actions(alarm):
            if self._callback(action) is not None:
                error = self._carry_out(alarm, action, alarm.state, value, at)
                if error:
                    items.append(acted(action, alarm, at.timestamp(), error))
        return items

    def _carry_out(self, alarm: Alarm, action: str, previous: str, value: float | None, at: datetime) -> str:
        """Why it failed; "" when it did not."""
        callback = self._callback(action)
        if callback is None:
            return f"Nothing was sent: the local cloud has no {action.split(':')[2] or 'such'} action."
        reason = str(alarm.metric["StateReason"])
        event = AlarmEvent(alarm.region, alarm.name, alarm.arn, action, alarm.state, previous, reason, value, at)
        try:
            callback(event)
        except Exception as error:  # whatever an action does wrong, the other alarms are evaluated
            logger.exception("the action %s of alarm %s failed", action, alarm.name)
            return f"{type(error).__name__}: {error}"[:1000]
        return ""

    def _callback(self, action: str) -> Callback | None:
        return next((callback for prefix, callback in self._callbacks.items() if action.startswith(prefix)), None)


def _actions(alarm: Alarm) -> list[str]:
    return list(alarm.metric[ACTIONS[alarm.state]]) if alarm.metric["ActionsEnabled"] else []
