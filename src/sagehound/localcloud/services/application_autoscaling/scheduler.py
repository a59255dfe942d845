"""The loop that runs scheduled actions when they are due, by the clock of the cloud."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from contextlib import suppress
from typing import Any

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.scaling.combine import with_schedule
from sagehound.localcloud.scaling.decision import Capacity
from sagehound.localcloud.services.application_autoscaling import schedule
from sagehound.localcloud.services.application_autoscaling.activity_table import SUCCESSFUL, Activity, ActivityTable
from sagehound.localcloud.services.application_autoscaling.controller import Controller
from sagehound.localcloud.services.application_autoscaling.table import SCHEDULED, TARGET, ScalingTable
from sagehound.localcloud.state.clock import Clock

logger = logging.getLogger(__name__)

Record = dict[str, Any]
RETRY = 60.0
"""Seconds until what could not be written (a full disk) is tried again."""


class Scheduler:
    """Waits for the earliest action. What was due while the server was down runs once when it is back."""

    def __init__(self, scaling: ScalingTable, activities: ActivityTable, clock: Clock, controller: Controller) -> None:
        self._table = scaling
        self._activities = activities
        self._clock = clock
        self._controller = controller
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Go on with the schedules. A fast clock was ahead before the restart; nothing has run later than now."""
        now = self._clock.time()
        for region, action in self._actions():
            if action["last"] > now:
                self._table.put(SCHEDULED, region, {**action, "last": now})
        self._task = asyncio.create_task(self._run(), name="scheduled-scaling")

    async def stop(self) -> None:
        """End the loop."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def wake(self) -> None:
        """There is an action that the loop may not be waiting for."""
        self._woken.set()

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            try:
                earliest = self._run_due()
            except sqlite3.OperationalError as error:
                logger.warning("scheduled actions do not run yet: %s", error)
                earliest = self._clock.time() + RETRY
            wait = None if earliest is None else max(0.0, earliest - self._clock.time()) / self._clock.speed
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._woken.wait()

    def _run_due(self) -> float | None:
        """Run what is due; when the next action will be, None when none will."""
        coming: list[float] = []
        for region, action in self._actions():
            now = self._clock.time()
            when = _due(action)
            if when is not None and when <= now:
                action = {**action, "last": now}
                with self._table.store.transaction():
                    self._table.put(SCHEDULED, region, action)
                    target = self._set_bounds(region, action)
                if target is not None:
                    self._enforce(region, target)
                when = _due(action)
            if when is not None:
                coming.append(when)
        return min(coming, default=None)

    def _set_bounds(self, region: str, action: Record) -> Record | None:
        """Give the target its new bounds and tell so; None when scheduled scaling is suspended."""
        target = self._table.registered(region, action)
        if target["SuspendedState"]["ScheduledScalingSuspended"]:
            return None
        asked = action["ScalableTargetAction"]
        before = Capacity(0, 0, target["MinCapacity"], target["MaxCapacity"])
        bounds = with_schedule(before, asked.get("MinCapacity"), asked.get("MaxCapacity"))
        target = {**target, "MinCapacity": bounds.minimum, "MaxCapacity": bounds.maximum}
        self._table.put(TARGET, region, target)
        named = (("min", asked.get("MinCapacity")), ("max", asked.get("MaxCapacity")))
        what = " and ".join(f"{word} capacity to {value}" for word, value in named if value is not None)
        now = self._clock.time()
        self._activities.add(
            Activity(
                region,
                target["ServiceNamespace"],
                target["ResourceId"],
                target["ScalableDimension"],
                f"Setting {what}",
                f"scheduled action name {action['ScheduledActionName']} was triggered",
                now,
                SUCCESSFUL,
                ended=now,
                message=f"Successfully set {what}",
            )
        )
        return target

    def _enforce(self, region: str, target: Record) -> None:
        try:
            self._controller.enforce_bounds(region, target)
        except AwsError as gone:
            logger.info("the bounds of %s are set, but its capacity is not: %s", target["ResourceId"], gone)

    def _actions(self) -> list[tuple[str, Record]]:
        found = []
        for region, name in self._table.regions(SCHEDULED):
            action = self._table.store.get(SCHEDULED, region, name)
            if action is not None:
                found.append((region, action))
        return found


def _due(action: Record) -> float | None:
    return schedule.due(
        schedule.parse(action["Schedule"], action.get("Timezone")),
        action["last"],
        action["CreationTime"].timestamp(),
        action.get("StartTime"),
        action.get("EndTime"),
    )
