"""PutScheduledAction, DescribeScheduledActions, DeleteScheduledAction."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import validation
from sagehound.localcloud.services.application_autoscaling import paging, schedule, table
from sagehound.localcloud.services.application_autoscaling.bounds import check_bounds
from sagehound.localcloud.services.application_autoscaling.dimensions import dimension_of
from sagehound.localcloud.services.application_autoscaling.errors import limit_exceeded, no_such
from sagehound.localcloud.services.application_autoscaling.needs import Scalable
from sagehound.localcloud.services.application_autoscaling.scheduler import Scheduler
from sagehound.localcloud.services.application_autoscaling.table import SCHEDULED, ScalingTable
from sagehound.localcloud.state.clock import Clock

Record = dict[str, Any]

MOST_ACTIONS = 200
"""Of one scalable target."""
_KEPT = ("Schedule", "Timezone", "ScalableTargetAction")
"""Members that an update may leave out; StartTime and EndTime are then deleted."""


class ScheduledActions:
    """Bounds that are set at a time."""

    def __init__(
        self, scaling: ScalingTable, clock: Clock, scalables: Mapping[str, Scalable], scheduler: Scheduler
    ) -> None:
        self._table = scaling
        self._clock = clock
        self._scalables = scalables
        self._scheduler = scheduler

    def PutScheduledAction(self, call: Call, request: Request) -> Response:
        """Create an action or change it: "If you don't specify start and end times, the old values are deleted"."""
        dimension_of(request)
        target = self._table.registered(call.region, request)
        call.resource = target["ScalableTargetARN"]
        before = self._table.child(SCHEDULED, call.region, request)
        if before is None and len(self._table.children(SCHEDULED, call.region, target)) >= MOST_ACTIONS:
            raise limit_exceeded("scheduled actions per scalable target", MOST_ACTIONS)
        now = self._clock.now()
        action: Record = {
            **{member: request[member] for member in ("ScheduledActionName", *table.IDENTITY)},
            **{member: before[member] for member in _KEPT if before and member in before},
            **{member: request[member] for member in (*_KEPT, "StartTime", "EndTime") if member in request},
            "CreationTime": before["CreationTime"] if before else now,
            "uuid": before["uuid"] if before else str(uuid.uuid4()),
            "last": now.timestamp(),
        }
        self._check(action)
        action["ScheduledActionARN"] = self._table.arn(call.region, SCHEDULED, action, action["uuid"])
        self._table.put(SCHEDULED, call.region, action)
        self._scheduler.wake()
        return {}

    def DescribeScheduledActions(self, call: Call, request: Request) -> Response:
        """The actions of a namespace."""
        found = self._table.matching(SCHEDULED, call.region, request, "ScheduledActionNames")
        answer = paging.page(found, request, "ScheduledActions", lambda one: table.sorting(SCHEDULED, one))
        answer["ScheduledActions"] = [table.shown(action) for action in answer["ScheduledActions"]]
        return answer

    def DeleteScheduledAction(self, call: Call, request: Request) -> Response:
        """It will not run any more; the bounds stay as they are."""
        action = self._table.child(SCHEDULED, call.region, request)
        if action is None:
            name = f", scheduled action name: {request['ScheduledActionName']}"
            raise no_such("scheduled action", request, name)
        self._table.delete(SCHEDULED, call.region, action)
        return {}

    def _check(self, action: Record) -> None:
        if "Schedule" not in action:
            raise validation("Schedule must be specified for a new scheduled action")
        schedule.parse(action["Schedule"], action.get("Timezone"))
        bounds = action.get("ScalableTargetAction", {})
        minimum, maximum = bounds.get("MinCapacity"), bounds.get("MaxCapacity")
        if minimum is None and maximum is None:
            raise validation("At least one of minimum capacity and maximum capacity should be provided")
        check_bounds(self._scalables[action["ScalableDimension"]], minimum, maximum)
        start, end = action.get("StartTime"), action.get("EndTime")
        if start is not None and end is not None and end <= start:
            raise validation("End time must be later than start time")
