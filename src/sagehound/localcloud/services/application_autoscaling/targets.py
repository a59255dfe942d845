"""RegisterScalableTarget, DescribeScalableTargets, DeregisterScalableTarget."""

from __future__ import annotations

import logging
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError, validation
from sagehound.localcloud.services.application_autoscaling import paging, table
from sagehound.localcloud.services.application_autoscaling.activity_table import ActivityTable
from sagehound.localcloud.services.application_autoscaling.bounds import check_bounds
from sagehound.localcloud.services.application_autoscaling.changes import Changes
from sagehound.localcloud.services.application_autoscaling.dimensions import DIMENSIONS, Dimension, dimension_of
from sagehound.localcloud.services.application_autoscaling.errors import limit_exceeded, no_such
from sagehound.localcloud.services.application_autoscaling.needs import Scalable
from sagehound.localcloud.services.application_autoscaling.policies import Policies
from sagehound.localcloud.services.application_autoscaling.table import POLICY, SCHEDULED, TARGET, ScalingTable
from sagehound.localcloud.services.application_autoscaling.tags import checked
from sagehound.localcloud.state.clock import Clock

logger = logging.getLogger(__name__)

Record = dict[str, Any]

MOST_TARGETS = 500
"""Of one resource type in a region."""
_SUSPENSIONS = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")


class Targets:
    """The resources that are scaled, each with its bounds."""

    def __init__(
        self,
        scaling: ScalingTable,
        activities: ActivityTable,
        clock: Clock,
        scalables: dict[str, Scalable],
        policies: Policies,
        changes: Changes,
    ) -> None:
        self._table = scaling
        self._activities = activities
        self._clock = clock
        self._scalables = scalables
        self._policies = policies
        self._changes = changes

    def start(self) -> None:
        """A server that was killed may have set bounds and not enforced them, or not have seen a deletion's end."""
        for target in self._table.store.list(TARGET):
            region = target["ScalableTargetARN"].split(":")[3]
            try:
                self._changes.enforce_bounds(region, target)
            except AwsError as gone:
                logger.info("the bounds of %s are not enforced: %s", target["ResourceId"], gone)
                self.deregister_gone(region, target["ResourceId"])

    def is_target(self, region: str, resource_id: str) -> bool:
        """Whether a resource is registered."""
        return any(target["ResourceId"] == resource_id for target in self._table.store.list(TARGET, region))

    def deregister_gone(self, region: str, resource_id: str) -> None:
        """Forget the targets of a resource that is deleted, "without notifying you", where AWS does so."""
        for target in self._table.store.list(TARGET, region):
            dimension = DIMENSIONS[target["ScalableDimension"]]
            if target["ResourceId"] == resource_id and dimension.goes_with_resource:
                try:
                    self._changes.capacity(region, target)
                except AwsError:
                    self._deregister(region, target)

    def RegisterScalableTarget(self, call: Call, request: Request) -> Response:
        """Register a target or change what is said of it; a capacity that is outside of the bounds follows at once."""
        dimension = dimension_of(request)
        before = self._table.target(call.region, request)
        target = self._registered(call.region, dimension, request) if before is None else _updated(before, request)
        scalable = self._scalables[dimension.name]
        check_bounds(scalable, target.get("MinCapacity"), target.get("MaxCapacity"))
        scalable.check(call.region, request["ResourceId"])
        call.resource = target["ScalableTargetARN"]
        self._table.put(TARGET, call.region, target)
        self._changes.enforce_bounds(call.region, target)
        return {"ScalableTargetARN": target["ScalableTargetARN"]}

    def DescribeScalableTargets(self, call: Call, request: Request) -> Response:
        """The targets of a namespace."""
        found = self._table.matching(TARGET, call.region, request, "ResourceIds")
        answer = paging.page(found, request, "ScalableTargets", lambda one: table.sorting(TARGET, one))
        answer["ScalableTargets"] = [table.shown(target) for target in answer["ScalableTargets"]]
        return answer

    def DeregisterScalableTarget(self, call: Call, request: Request) -> Response:
        """Forget a target with its policies, their alarms and its scheduled actions; its capacity stays."""
        target = self._table.target(call.region, request)
        if target is None:
            raise no_such("scalable target", request)
        call.resource = target["ScalableTargetARN"]
        self._deregister(call.region, target)
        return {}

    def _deregister(self, region: str, target: Record) -> None:
        with self._table.store.transaction():
            for policy in self._table.children(POLICY, region, target):
                self._policies.delete(region, policy)
            for action in self._table.children(SCHEDULED, region, target):
                self._table.delete(SCHEDULED, region, action)
            self._table.delete(TARGET, region, target)
        self._changes.follow(region, target["ResourceId"])

    def _registered(self, region: str, dimension: Dimension, request: Request) -> Record:
        missing = [member for member in ("MinCapacity", "MaxCapacity") if member not in request]
        if missing:
            raise validation(f"{' and '.join(missing)} must be specified to register a new scalable target.")
        there = [one for one in self._table.store.list(TARGET, region) if one["ScalableDimension"] == dimension.name]
        if len(there) >= MOST_TARGETS:
            raise limit_exceeded("scalable targets per resource type", MOST_TARGETS)
        arn = self._table.target_arn(region)
        return {
            **{member: request[member] for member in table.IDENTITY},
            "MinCapacity": request["MinCapacity"],
            "MaxCapacity": request["MaxCapacity"],
            "RoleARN": dimension.role_arn(self._table.account_id),
            "CreationTime": self._clock.now(),
            "SuspendedState": dict.fromkeys(_SUSPENSIONS, False) | request.get("SuspendedState", {}),
            "ScalableTargetARN": arn,
            "activitiesBefore": self._activities.last_number(),
            "tags": checked(request.get("Tags", {}), arn),
        }


def _updated(before: Record, request: Request) -> Record:
    if request.get("Tags"):
        raise validation(
            "The scalable target that you tried to tag already exists. To update tags on an existing scalable target, "
            "use the TagResource API."
        )
    bounds: Record = {member: request[member] for member in ("MinCapacity", "MaxCapacity") if member in request}
    suspended = before["SuspendedState"] | request.get("SuspendedState", {})
    return {**before, **bounds, "SuspendedState": suspended}
