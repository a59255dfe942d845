"""Application Auto Scaling put together: its operations, and the controller that alarms and the clock call."""

from __future__ import annotations

import asyncio

from sagehound.localcloud.call import Operation, operations_of
from sagehound.localcloud.services.application_autoscaling.activities import Activities
from sagehound.localcloud.services.application_autoscaling.activity_table import ActivityTable
from sagehound.localcloud.services.application_autoscaling.changes import Changes
from sagehound.localcloud.services.application_autoscaling.controller import Controller
from sagehound.localcloud.services.application_autoscaling.needs import AlarmEvent, Alarms, Scalable
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
        self._changes = Changes(scaling, activities, clock, scalables)
        votes = Votes(alarms)
        self._controller = Controller(scaling, activities, clock, scalables, policies, votes, self._changes)
        self._scheduler = Scheduler(scaling, activities, clock, self._changes)
        self._targets = Targets(scaling, activities, clock, scalables, policies, self._changes)
        self._running = False
        self.tags = Tags(scaling)
        self._operations = operations_of(
            self._targets,
            policies,
            ScheduledActions(scaling, clock, scalables, self._scheduler),
            Activities(activities, clock),
            self.tags,
        )
        alarms.add_action(_POLICIES, self._alarm)
        for scalable in scalables.values():
            scalable.add_listener(self._changed)

    @property
    def operations(self) -> dict[str, Operation]:
        """By AWS's names."""
        return self._operations

    def is_target(self, region: str, resource_id: str) -> bool:
        """Whether a resource is registered as a scalable target."""
        return self._targets.is_target(region, resource_id)

    async def start(self) -> None:
        """Take up the activities that were in progress, bring capacities into bounds, go on with the schedules."""
        self._running = True
        self._changes.start()
        self._targets.start()
        await self._scheduler.start()

    async def stop(self) -> None:
        """End the schedules' loop, and follow alarms and changes no more."""
        self._running = False
        await self._scheduler.stop()

    def _alarm(self, event: AlarmEvent) -> None:
        # Outside of start and stop the services that would be scaled are not up.
        if self._running:
            self._controller.alarm(event)

    def _changed(self, region: str, resource_id: str, failure: str) -> None:
        # Not at once: a service may tell of a change before it has returned from being asked for it.
        asyncio.get_running_loop().call_soon(self._follow, region, resource_id, failure)

    def _follow(self, region: str, resource_id: str, failure: str) -> None:
        if self._running:
            self._changes.follow(region, resource_id, failure)
            self._targets.deregister_gone(region, resource_id)
