"""Changes of capacity, each a scaling activity that is followed until the resource has got there or will not.

An activity is stored as Pending before the service is asked, so that one which kill -9 interrupts is taken up at the
next start: asked for again if it was not, followed on if it was, and told truthfully if it failed meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.application_autoscaling import activity_table as status
from sagehound.localcloud.services.application_autoscaling.activity_table import Activity, ActivityTable
from sagehound.localcloud.services.application_autoscaling.dimensions import DIMENSIONS
from sagehound.localcloud.services.application_autoscaling.needs import Scalable
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Record


@dataclass(frozen=True, slots=True)
class Change:
    """A capacity that is wanted, why, and for whom: a policy's name, "" for the bounds."""

    before: int
    after: int
    cause: str
    policy: str = ""
    details: str = ""


class Changes:
    """Asks the services for capacities and follows what becomes of it."""

    def __init__(self, activities: ActivityTable, clock: Clock, scalables: Mapping[str, Scalable]) -> None:
        self._activities = activities
        self._clock = clock
        self._scalables = scalables
        self._loop: asyncio.AbstractEventLoop | None = None
        for scalable in scalables.values():
            scalable.add_listener(self._changed)

    def start(self) -> None:
        """Take up what was under way when the server ended, however it ended."""
        self._loop = asyncio.get_running_loop()
        for activity in self._activities.open():
            self._follow(activity)

    def begin(self, region: str, target: Record, change: Change) -> AwsError | None:
        """Set another capacity; what the service answers when it refuses a policy's change now, of which then no
        activity is left. A change of the bounds that is refused while another is under way waits for its end."""
        dimension = DIMENSIONS[target["ScalableDimension"]]
        activity = Activity(
            region,
            target["ServiceNamespace"],
            target["ResourceId"],
            dimension.name,
            f"Setting {dimension.quantity} to {change.after}.",
            change.cause,
            self._clock.time(),
            status.PENDING,
            change.before,
            change.after,
            change.policy,
            details=change.details,
        )
        earlier = self._of_target(activity)
        activity = replace(activity, number=self._activities.add(activity))
        refusal = self._send(activity)
        if refusal is None:
            for one in earlier:
                self._follow(one)
        return refusal

    def _send(self, activity: Activity) -> AwsError | None:
        assert activity.after is not None
        scalable = self._scalables[activity.dimension]
        try:
            scalable.set_desired(activity.region, activity.resource_id, activity.after)
        except AwsError as refusal:
            if not self._in_progress(activity):
                self._end(activity, status.FAILED, f"Failed to set {_what(activity)}. Reason: {refusal.message}")
                return None
            if activity.policy:
                self._activities.remove(activity.number)
                return refusal
            return None  # the end of what is under way brings it here again
        waiting = f"Successfully set {_what(activity)}. Waiting for change to be fulfilled by {activity.namespace}."
        self._activities.update(activity.number, status.IN_PROGRESS, waiting)
        self._follow(replace(activity, status=status.IN_PROGRESS))
        return None

    def _changed(self, region: str, resource_id: str, failure: str) -> None:
        # Not at once: a service may tell of a change before it has returned from being asked for it.
        if self._loop is not None:
            self._loop.call_soon(self._look, region, resource_id, failure)

    def _look(self, region: str, resource_id: str, failure: str) -> None:
        for activity in self._activities.open(region, resource_id):
            self._follow(activity, failure)

    def _follow(self, activity: Activity, failure: str = "") -> None:
        if activity.status == status.PENDING:
            later = [one for one in self._of_target(activity) if one.number > activity.number]
            if later:
                self._end(
                    activity, status.OVERRIDDEN, f"Failed to set {_what(activity)}. A newer activity replaced it."
                )
            else:
                self._send(activity)
            return
        try:
            current, desired, in_progress = self._scalables[activity.dimension].capacity(
                activity.region, activity.resource_id
            )
        except AwsError as gone:
            self._end(activity, status.FAILED, f"Failed to set {_what(activity)}. Reason: {gone.message}")
            return
        done = f"Successfully set {_what(activity)}."
        if desired != activity.after:
            self._end(activity, status.OVERRIDDEN, f"{done} Found it was later changed to {desired}.")
        elif in_progress:
            return
        elif current == activity.after:
            self._end(activity, status.SUCCESSFUL, f"{done} Change successfully fulfilled by {activity.namespace}.")
        else:
            why = f" Reason: {failure}" if failure else ""
            said = f"{done} Change could not be fulfilled by {activity.namespace}: {current} of {desired} serve.{why}"
            self._end(activity, status.UNFULFILLED, said)

    def _end(self, activity: Activity, outcome: str, message: str) -> None:
        self._activities.update(activity.number, outcome, message, max(activity.began, self._clock.time()))

    def _in_progress(self, activity: Activity) -> bool:
        try:
            return self._scalables[activity.dimension].capacity(activity.region, activity.resource_id)[2]
        except AwsError:
            return False  # it is gone: nothing is under way

    def _of_target(self, activity: Activity) -> list[Activity]:
        found = self._activities.open(activity.region, activity.resource_id)
        return [one for one in found if one.dimension == activity.dimension]


def _what(activity: Activity) -> str:
    return f"{DIMENSIONS[activity.dimension].quantity} to {activity.after}"
