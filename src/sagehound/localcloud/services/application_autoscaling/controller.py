"""The control loop of scaling: alarms call, pure functions decide, activities tell what was done and what was not."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.scaling.combine import combine
from sagehound.localcloud.scaling.decision import (
    Capacity,
    LastActivities,
    NotScaledReason,
    cause_of_alarm,
    unscalable,
)
from sagehound.localcloud.services.application_autoscaling import activity_table as status
from sagehound.localcloud.services.application_autoscaling.activity_table import Activity, ActivityTable
from sagehound.localcloud.services.application_autoscaling.changes import Change, Changes
from sagehound.localcloud.services.application_autoscaling.needs import AlarmEvent, Scalable
from sagehound.localcloud.services.application_autoscaling.policies import Policies
from sagehound.localcloud.services.application_autoscaling.policy_checks import TRACKING
from sagehound.localcloud.services.application_autoscaling.table import POLICY, ScalingTable
from sagehound.localcloud.services.application_autoscaling.votes import Votes
from sagehound.localcloud.state.clock import Clock

logger = logging.getLogger(__name__)

Record = dict[str, Any]
_ATTEMPT = "Attempting to scale due to alarm triggered"


@dataclass(frozen=True, slots=True)
class _Boot:
    """When this server began, by a clock that may have been ahead in its life before: what it did then is not later."""

    at: float
    last_activity: int


class Controller:
    """Decides for one target at a time, on the event loop, so nothing changes between a decision and its activity."""

    def __init__(
        self,
        scaling: ScalingTable,
        activities: ActivityTable,
        clock: Clock,
        scalables: Mapping[str, Scalable],
        policies: Policies,
        votes: Votes,
        changes: Changes,
    ) -> None:
        self._table = scaling
        self._activities = activities
        self._clock = clock
        self._scalables = scalables
        self._policies = policies
        self._votes = votes
        self._changes = changes
        self._boot = _Boot(clock.time(), activities.last_number())

    def alarm(self, event: AlarmEvent) -> None:
        """An alarm calls a policy: all of the target's policies are asked, and at most one change is begun."""
        policy = self._policies.by_arn(event.region, event.action_arn)
        if policy is None or event.state != "ALARM":
            return
        target = self._table.registered(event.region, policy)
        try:
            self._scalables[target["ScalableDimension"]].check(event.region, target["ResourceId"])
            capacity = self._changes.capacity(event.region, target)
        except AwsError as refusal:
            cause = cause_of_alarm(event.name, policy["PolicyName"])
            reason = NotScaledReason("TargetServicePutResourceAsUnscalable")
            self._not_scaled(event.region, target, cause, reason, refusal.message)
            return
        self._decide(event, policy, target, capacity)

    def _decide(self, event: AlarmEvent, policy: Record, target: Record, capacity: Capacity) -> None:
        region, now = event.region, self._clock.time()
        last = self._last(region, target)
        policies = self._table.children(POLICY, region, target)
        votes = [
            self._votes.tracking(region, one, capacity, last, now) for one in policies if one["PolicyType"] == TRACKING
        ]
        if policy["PolicyType"] != TRACKING:
            votes.append(self._votes.step(region, policy, event.name, capacity, last, now))
        combined = combine(capacity, votes, policy["PolicyName"])
        decision = combined.decision
        winner = next((one for one in policies if one["PolicyName"] == combined.policy), policy)
        logger.debug("%s of %s: %s", event.name, target["ResourceId"], decision.cause)
        if decision.desired is None or decision.desired == capacity.desired:
            if decision.not_scaled is not None:
                cause = cause_of_alarm(event.name, policy["PolicyName"])
                self._not_scaled(region, target, cause, decision.not_scaled, decision.cause)
            return
        out = decision.desired > capacity.desired
        if target["SuspendedState"]["DynamicScalingOutSuspended" if out else "DynamicScalingInSuspended"]:
            return
        alarm = event.name if winner["PolicyName"] == policy["PolicyName"] else _alarm_of(winner, out)
        cause = cause_of_alarm(alarm, winner["PolicyName"])
        change = Change(capacity.desired, decision.desired, cause, winner["PolicyName"], decision.cause)
        refusal = self._changes.begin(region, target, change)
        if refusal is not None:
            told = unscalable(capacity, refusal.message)
            assert told.not_scaled is not None
            self._not_scaled(region, target, cause, told.not_scaled, told.cause)

    def _last(self, region: str, target: Record) -> LastActivities:
        """What cooldowns count from: the ends of the last changes that policies brought about."""
        out = self._activities.last_by_policy(target, region, out=True)
        inwards = self._activities.last_by_policy(target, region, out=False)
        newer = out is not None and inwards is not None and out.number > inwards.number
        return LastActivities(self._ended(out), self._ended(inwards), out.added if out else 0, newer)

    def _ended(self, activity: Activity | None) -> float | None:
        if activity is None or activity.ended is None:
            return None
        return min(activity.ended, self._boot.at) if activity.number <= self._boot.last_activity else activity.ended

    def _not_scaled(self, region: str, target: Record, cause: str, reason: NotScaledReason, details: str) -> None:
        """An activity that says why not; the same again tells nothing new as long as nothing changes."""
        reasons = [reason.members()]
        told = self._activities.last_told(target, region, cause)
        if told is not None and list(told.reasons) == reasons:
            return
        now = self._clock.time()
        self._activities.add(
            Activity.of(
                region,
                target,
                _ATTEMPT,
                cause,
                now,
                status.FAILED,
                ended=now,
                details=details,
                reasons=reasons,
            )
        )


def _alarm_of(policy: Record, out: bool) -> str:
    """The alarm of target tracking that is behind a decision: the high one scales out, the low one in."""
    kind = "-AlarmHigh-" if out else "-AlarmLow-"
    return next((alarm["AlarmName"] for alarm in policy["Alarms"] if kind in alarm["AlarmName"]), "")
