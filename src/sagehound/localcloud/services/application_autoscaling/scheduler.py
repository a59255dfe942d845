"""The loop that runs scheduled actions when they are due, by the clock of the cloud."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from contextlib import suppress
from typing import Any, NamedTuple

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.scaling.combine import with_schedule
from sagehound.localcloud.scaling.decision import Capacity
from sagehound.localcloud.services.application_autoscaling import schedule
from sagehound.localcloud.services.application_autoscaling.activity_table import SUCCESSFUL, Activity, ActivityTable
from sagehound.localcloud.services.application_autoscaling.changes import Changes
from sagehound.localcloud.services.application_autoscaling.table import SCHEDULED, TARGET, ScalingTable, sorting
from sagehound.localcloud.state.clock import Clock

logger = logging.getLogger(__name__)

Record = dict[str, Any]
RETRY = 60.0
"""Seconds until what could not be written (a full disk) is tried again."""


class _Moment(NamedTuple):
    """When an action is due, kept as long as it is as it was: to find that out of a cron takes a while."""

    action: Record
    due: float | None


class Scheduler:
    """Waits for the earliest action. What was due while the server was down runs once when it is back."""

    def __init__(self, scaling: ScalingTable, activities: ActivityTable, clock: Clock, changes: Changes) -> None:
        self._table = scaling
        self._activities = activities
        self._clock = clock
        self._changes = changes
        self._moments: dict[tuple[str, str], _Moment] = {}
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Go on with the schedules. A fast clock was ahead before the restart: what recurs has not run later than now,
        and what runs once is not due again."""
        now = self._clock.time()
        for region, action in self._table.everywhere(SCHEDULED):
            if action["last"] > now and not schedule.runs_once(action["Schedule"]):
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
            except sqlite3.Error as error:
                logger.warning("scheduled actions do not run yet: %s", error)
                earliest = self._clock.time() + RETRY
            wait = None if earliest is None else max(0.0, earliest - self._clock.time()) / self._clock.speed
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._woken.wait()

    def _run_due(self) -> float | None:
        """Run what is due; when the next action will be, None when none will. An action that cannot run keeps no other
        from it."""
        moments: dict[tuple[str, str], _Moment] = {}
        for region, action in self._table.everywhere(SCHEDULED):
            key = region, sorting(SCHEDULED, action)
            try:
                moment = self._moments.get(key)
                if moment is None or moment.action != action:
                    moment = _Moment(action, _due(action))
                now = self._clock.time()
                if moment.due is not None and moment.due <= now:
                    moment = self._run_one(region, {**action, "last": now})
                moments[key] = moment
            except sqlite3.Error:
                raise
            except Exception:
                logger.exception("the scheduled action %s does not run; it is tried again", key[1])
                moments[key] = _Moment({}, self._clock.time() + RETRY)
        self._moments = moments
        return min((moment.due for moment in moments.values() if moment.due is not None), default=None)

    def _run_one(self, region: str, action: Record) -> _Moment:
        """Set the bounds as an action says; when it is due again."""
        with self._table.store.transaction():
            self._table.put(SCHEDULED, region, action)
            target = self._set_bounds(region, action)
        if target is not None:
            self._enforce(region, target)
        return _Moment(action, _due(action))

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
            Activity.of(
                region,
                target,
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
            self._changes.enforce_bounds(region, target)
        except AwsError as gone:
            logger.info("the bounds of %s are set, but its capacity is not: %s", target["ResourceId"], gone)


def _due(action: Record) -> float | None:
    return schedule.due(
        schedule.parse(action["Schedule"], action.get("Timezone")),
        action["last"],
        action["CreationTime"].timestamp(),
        action.get("StartTime"),
        action.get("EndTime"),
    )
