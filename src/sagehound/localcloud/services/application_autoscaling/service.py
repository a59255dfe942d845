"""Application Auto Scaling put together: its operations, and the controller that alarms and the clock call."""

from __future__ import annotations

from sagehound.localcloud.call import Operation, operations_of
from sagehound.localcloud.services.application_autoscaling.activities import Activities
from sagehound.localcloud.services.application_autoscaling.activity_table import ActivityTable
from sagehound.localcloud.services.application_autoscaling.changes import Changes
from sagehound.localcloud.services.application_autoscaling.controller import Controller
from sagehound.localcloud.services.application_autoscaling.needs import Alarms, Scalable
from sagehound.localcloud.services.application_autoscaling.policies import Policies
from sagehound.localcloud.services.application_autoscaling.scheduled import ScheduledActions
from sagehound.localcloud.services.application_autoscaling.scheduler import Scheduler
from sagehound.localcloud.services.application_autoscaling.table import ScalingTable
from sagehound.localcloud.services.application_autoscaling.tags import Tags
from sagehound.localcloud.services.application_autoscaling.targets import Targets
from sagehound.localcloud.services.application_autoscaling.votes import Votes
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store

_POLICIES = "arn:aws:autoscaling:"


class ApplicationAutoScaling:
    """The service as the gateway sees it; `scalables` has a provider for each scalable dimension that there is."""

    name = "application-autoscaling"

    def __init__(
        self,
        store: Store,
        clock: Clock,
        account_id: str,
        *,
        scalables: dict[str, Scalable],
        alarms: Alarms,
    ) -> None:
        scaling, activities = ScalingTable(store, account_id), ActivityTable(store)
        policies = Policies(scaling, clock, alarms)
        self._changes = Changes(activities, clock, scalables)
        votes = Votes(alarms)
        controller = Controller(scaling, activities, clock, scalables, policies, votes, self._changes)
        self._scheduler = Scheduler(scaling, activities, clock, controller)
        self.tags = Tags(scaling)
        self._operations = operations_of(
            Targets(scaling, clock, scalables, policies, controller),
            policies,
            ScheduledActions(scaling, clock, scalables, self._scheduler),
            Activities(activities, clock),
            self.tags,
        )
        alarms.add_action(_POLICIES, controller.alarm)

    @property
    def operations(self) -> dict[str, Operation]:
        """By AWS's names."""
        return self._operations

    async def start(self) -> None:
        """Take up the activities that were in progress, and go on with the schedules."""
        self._changes.start()
        await self._scheduler.start()

    async def stop(self) -> None:
        """End the schedules' loop."""
        await self._scheduler.stop()
