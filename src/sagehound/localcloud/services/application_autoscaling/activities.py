"""DescribeScalingActivities: what was scaled in the last six weeks, and on request what was not, and why."""

from __future__ import annotations

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.services.application_autoscaling import paging
from sagehound.localcloud.services.application_autoscaling.activity_table import KEPT, ActivityTable
from sagehound.localcloud.state.clock import Clock


class Activities:
    """Reads the activities; those of targets that are deregistered too."""

    def __init__(self, activities: ActivityTable, clock: Clock) -> None:
        self._activities = activities
        self._clock = clock

    def DescribeScalingActivities(self, call: Call, request: Request) -> Response:
        """The newest first."""
        found = self._activities.numbers(call.region, request, self._clock.time() - KEPT)
        numbered = [{"number": number} for number in found]
        answer = paging.page(numbered, request, "ScalingActivities", lambda one: -one["number"])
        answer["ScalingActivities"] = [self._activities.get(**one).shown() for one in answer["ScalingActivities"]]
        return answer
