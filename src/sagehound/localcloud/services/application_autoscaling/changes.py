"""Changes of capacity, each a scaling activity that is followed until the resource has got there or will not.

An activity is stored as Pending before the service is asked, so that one which kill -9 interrupts is taken up at the
next start: asked for again if it was not, followed on if it was, and told truthfully if it failed meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.scaling.combine import within_bounds
from sagehound.localcloud.scaling.decision import Capacity
from sagehound.localcloud.services.application_autoscaling import activity_table as status
from sagehound.localcloud.services.application_autoscaling.activity_table import Activity, ActivityTable
from sagehound.localcloud.services.application_autoscaling.dimensions import DIMENSIONS
from sagehound.localcloud.services.application_autoscaling.needs import Scalable
from sagehound.localcloud.services.application_autoscaling.table import ScalingTable
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

    def __init__(
        self, scaling: ScalingTable, activities: ActivityTable, clock: Clock, scalables: Mapping[str, Scalable]
    ) -> None:
        self._table = scaling
        self._activities = activities
        self._clock = clock
        self._scalables = scalables

    def start(self) -> None:
        """Take up what was under way when the server ended, however it ended."""
        for activity in self._activities.open():
            self._follow(activity)

    def follow(self, region: str, resource_id: str, failure: str = "") -> None:
        """A resource has changed, or what is wanted of it: how far its activities are."""
        for activity in self._activities.open(region, resource_id):
            self._follow(activity, failure)

    def capacity(self, region: str, target: Record) -> Capacity:
        """A target's capacity with its bounds; AwsError when the resource is gone."""
        current, desired, in_progress = self._scalables[target["ScalableDimension"]].capacity(
            region, target["ResourceId"]
        )
        return Capacity(current, desired, target["MinCapacity"], target["MaxCapacity"], in_progress)

    def enforce_bounds(self, region: str, target: Record) -> None:
        """Bring a capacity that is outside of the bounds into them at once, as AWS does when they are set."""
        # What earlier bounds asked for and did not get yet may be wanted no more.
        self.follow(region, target["ResourceId"])
        capacity = self.capacity(region, target)
        wanted = within_bounds(capacity)
        waiting = self._open(region, target["ResourceId"], target["ScalableDimension"])
        if wanted.desired is not None and wanted.desired not in [activity.after for activity in waiting]:
            self.begin(region, target, Change(capacity.desired, wanted.desired, wanted.cause))

    def begin(self, region: str, target: Record, change: Change) -> AwsError | None:
        """Set another capacity; what the service answers when it refuses a policy's change now, of which then no
        activity is left. A change of the bounds that is refused while another is under way waits for its end."""
        dimension = DIMENSIONS[target["ScalableDimension"]]
        earlier = self._open(region, target["ResourceId"], dimension.name)
        activity = Activity.of(
            region,
            target,
            f"Setting {dimension.quantity} to {change.after}.",
            change.cause,
            self._clock.time(),
            status.PENDING,
            before=_measured_at(change, earlier),
            after=change.after,
            policy=change.policy,
            details=change.details,
        )
        activity = replace(activity, number=self._activities.add(activity))
        refusal = self._send(activity)
        if refusal is not None and change.policy:
            self._activities.remove(activity.number)
            return refusal
        for one in earlier:
            self._follow(one)
        return None

    def _send(self, activity: Activity) -> AwsError | None:
        """Ask the service; its answer when that is no because another change is under way."""
        assert activity.after is not None
        scalable = self._scalables[activity.dimension]
        try:
            scalable.set_desired(activity.region, activity.resource_id, activity.after)
        except AwsError as refusal:
            if self._in_progress(activity):
                return refusal
            self._end(activity, status.FAILED, f"Failed to set {_what(activity)}. Reason: {refusal.message}")
            return None
        self._follow(self._was_set(activity))
        return None

    def _was_set(self, activity: Activity) -> Activity:
        waiting = f"Successfully set {_what(activity)}. Waiting for change to be fulfilled by {activity.namespace}."
        self._activities.update(activity.number, status.IN_PROGRESS, waiting)
        return replace(activity, status=status.IN_PROGRESS)

    def _follow(self, activity: Activity, failure: str = "") -> None:
        try:
            current, desired, in_progress = self._scalables[activity.dimension].capacity(
                activity.region, activity.resource_id
            )
        except AwsError as gone:
            self._end(activity, status.FAILED, f"Failed to set {_what(activity)}. Reason: {gone.message}")
            return
        if activity.status == status.PENDING:
            if desired != activity.after:
                self._take_up(activity)
                return
            activity = self._was_set(activity)  # and the server was killed before it could write so
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

    def _take_up(self, activity: Activity) -> None:
        """Ask for what could not be asked for when it was wanted, unless the bounds have changed since."""
        not_set = f"Failed to set {_what(activity)}."
        waiting = self._open(activity.region, activity.resource_id, activity.dimension)
        if any(one.number > activity.number for one in waiting):
            self._end(activity, status.OVERRIDDEN, f"{not_set} A newer activity replaced it.")
            return
        target = self._table.target(activity.region, activity.shown())
        if target is not None and self._is_wanted(activity, target):
            refusal = self._send(activity)
            if refusal is not None and activity.policy:
                self._end(activity, status.FAILED, f"{not_set} Reason: {refusal.message}")
            return  # one for the bounds waits: the end of what is under way brings it here again
        self._end(activity, status.OVERRIDDEN, f"{not_set} The scalable target does not ask for it any more.")
        if target is not None:
            self.enforce_bounds(activity.region, target)

    def _is_wanted(self, activity: Activity, target: Record) -> bool:
        assert activity.after is not None
        if activity.policy:
            return bool(target["MinCapacity"] <= activity.after <= target["MaxCapacity"])
        return within_bounds(self.capacity(activity.region, target)).desired == activity.after

    def _end(self, activity: Activity, outcome: str, message: str) -> None:
        self._activities.update(activity.number, outcome, message, max(activity.began, self._clock.time()))

    def _in_progress(self, activity: Activity) -> bool:
        try:
            return self._scalables[activity.dimension].capacity(activity.region, activity.resource_id)[2]
        except AwsError:
            return False  # it is gone: nothing is under way

    def _open(self, region: str, resource_id: str, dimension: str) -> list[Activity]:
        return [one for one in self._activities.open(region, resource_id) if one.dimension == dimension]


def _measured_at(change: Change, earlier: Sequence[Activity]) -> int:
    """The capacity before a change. Metrics were not measured yet at what a scale-out still in progress adds, so all
    that a further one makes of it counts as added together."""
    growing = [
        one.before for one in earlier if one.status == status.IN_PROGRESS and one.before is not None and one.added > 0
    ]
    return min([change.before, *growing]) if change.after > change.before else change.before


def _what(activity: Activity) -> str:
    return f"{DIMENSIONS[activity.dimension].quantity} to {activity.after}"
