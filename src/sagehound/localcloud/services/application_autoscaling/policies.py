"""PutScalingPolicy, DescribeScalingPolicies, DeleteScalingPolicy: target tracking makes and deletes its own alarms."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError, validation
from sagehound.localcloud.services.application_autoscaling import paging, policy_checks, table, tracked
from sagehound.localcloud.services.application_autoscaling.dimensions import Dimension, dimension_of
from sagehound.localcloud.services.application_autoscaling.errors import constraint, limit_exceeded, no_such
from sagehound.localcloud.services.application_autoscaling.needs import Alarms
from sagehound.localcloud.services.application_autoscaling.policy_checks import CONFIGURATIONS, STEP, TRACKING
from sagehound.localcloud.services.application_autoscaling.table import POLICY, ScalingTable
from sagehound.localcloud.state.clock import Clock

Record = dict[str, Any]

MOST_POLICIES = 50
"""Of one scalable target."""


class Policies:
    """The scaling policies of all targets."""

    def __init__(self, scaling: ScalingTable, clock: Clock, alarms: Alarms) -> None:
        self._table = scaling
        self._clock = clock
        self._alarms = alarms

    def PutScalingPolicy(self, call: Call, request: Request) -> Response:
        """Create a policy or change it; its ARN stays, and what the request does not name."""
        dimension = dimension_of(request)
        target = self._table.registered(call.region, request)
        call.resource = target["ScalableTargetARN"]
        before = self._table.child(POLICY, call.region, request)
        policy_type = _type(request, before)
        known = before[CONFIGURATIONS[policy_type]] if before else None
        configuration = policy_checks.check_type(dimension, request, policy_type, known)
        self._check(call.region, dimension, target, request["PolicyName"], policy_type, configuration)
        policy: Record = {
            "PolicyName": request["PolicyName"],
            **{member: request[member] for member in table.IDENTITY},
            "PolicyType": policy_type,
            CONFIGURATIONS[policy_type]: configuration,
            "CreationTime": before["CreationTime"] if before else self._clock.now(),
            "uuid": before["uuid"] if before else str(uuid.uuid4()),
            "alarmIds": before["alarmIds"] if before else [str(uuid.uuid4()) for _ in range(3)],
        }
        policy["PolicyARN"] = self._table.arn(call.region, POLICY, policy, policy["uuid"])
        with self._table.store.transaction():
            policy["Alarms"] = self._make_alarms(call.region, dimension, policy, before)
            self._table.put(POLICY, call.region, policy)
        return {"PolicyARN": policy["PolicyARN"], "Alarms": policy["Alarms"]}

    def DescribeScalingPolicies(self, call: Call, request: Request) -> Response:
        """The policies, ten a page, each with its alarms: those of step scaling are whichever call it."""
        found = self._table.matching(POLICY, call.region, request, "PolicyNames")
        answer = paging.page(found, request, "ScalingPolicies", lambda one: table.sorting(POLICY, one), largest=10)
        answer["ScalingPolicies"] = [
            {**table.shown(policy), "Alarms": self._alarms_shown(call.region, policy)}
            for policy in answer["ScalingPolicies"]
        ]
        return answer

    def DeleteScalingPolicy(self, call: Call, request: Request) -> Response:
        """Delete a policy, and the alarms that target tracking has made for it."""
        policy = self._table.child(POLICY, call.region, request)
        if policy is None:
            raise no_such("scaling policy", request, f", policy name: {request['PolicyName']}")
        self.delete(call.region, policy)
        return {}

    def delete(self, region: str, policy: Mapping[str, Any]) -> None:
        """Forget a policy and its own alarms."""
        with self._table.store.transaction():
            self._table.delete(POLICY, region, policy)
            self._alarms.delete(region, [alarm["AlarmName"] for alarm in policy["Alarms"]])

    def by_arn(self, region: str, arn: str) -> Record | None:
        """The policy that an alarm's action names."""
        found = self._table.store.list(POLICY, region)
        return next((policy for policy in found if arn in (policy["PolicyARN"], action_of(policy))), None)

    def _check(
        self,
        region: str,
        dimension: Dimension,
        target: Record,
        name: str,
        policy_type: str,
        configuration: Mapping[str, Any],
    ) -> None:
        others = [one for one in self._table.children(POLICY, region, target) if one["PolicyName"] != name]
        if len(others) >= MOST_POLICIES:
            raise limit_exceeded("scaling policies per scalable target", MOST_POLICIES)
        if policy_type == STEP:
            policy_checks.check_steps(configuration)
            return
        policy_checks.check_tracking(dimension, configuration)
        followed = [one[CONFIGURATIONS[TRACKING]] for one in others if one["PolicyType"] == TRACKING]
        policy_checks.check_single_metric(configuration, followed)

    def _make_alarms(
        self, region: str, dimension: Dimension, policy: Record, before: Record | None
    ) -> list[dict[str, str]]:
        if policy["PolicyType"] != TRACKING:
            return []
        high, low, _ = policy["alarmIds"]
        alarms = tracked.alarms(dimension, policy, action_of(policy), (high, low))
        try:
            made = [{"AlarmName": alarm["AlarmName"], "AlarmARN": self._alarms.put(region, alarm)} for alarm in alarms]
        except AwsError as refusal:
            if refusal.status >= 500:
                raise
            raise validation(f"CloudWatch does not take the alarms of this policy: {refusal.message}") from refusal
        gone = {one["AlarmName"] for one in (before["Alarms"] if before else [])} - {one["AlarmName"] for one in made}
        self._alarms.delete(region, sorted(gone))
        return made

    def _alarms_shown(self, region: str, policy: Record) -> list[dict[str, str]]:
        if policy["PolicyType"] == TRACKING:
            return list(policy["Alarms"])
        calling = self._alarms.with_action(region, policy["PolicyARN"])
        return [{"AlarmName": alarm["AlarmName"], "AlarmARN": alarm["AlarmArn"]} for alarm in calling]


def action_of(policy: Mapping[str, Any]) -> str:
    """The action of target tracking's own alarms."""
    return f"{policy['PolicyARN']}:createdBy/{policy['alarmIds'][2]}"


def _type(request: Request, before: Record | None) -> str:
    if before is None:
        if "PolicyType" not in request:
            raise constraint("null", "policyType", "Member must not be null")
        return str(request["PolicyType"])
    if request.get("PolicyType", before["PolicyType"]) != before["PolicyType"]:
        raise validation(
            f"The type of scaling policy {before['PolicyName']} cannot be changed: it is {before['PolicyType']}."
        )
    return str(before["PolicyType"])
