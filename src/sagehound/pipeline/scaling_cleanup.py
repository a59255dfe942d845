"""What is registered for scaling, and its removal: schedules, policies, alarms, scalable targets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from sagehound.pipeline.aws_errors import error_of
from sagehound.pipeline.clients import Clients

_MISSING = ("ObjectNotFoundException", "ResourceNotFoundException", "ResourceNotFound")
_NAMESPACES = ("sagemaker", "lambda")


@dataclass(frozen=True)
class ScalingPlace:
    """Where Application Auto Scaling keeps something: a resource's dimension."""

    namespace: str
    resource_id: str
    dimension: str

    @property
    def members(self) -> dict[str, str]:
        """As requests name it."""
        return {
            "ServiceNamespace": self.namespace,
            "ResourceId": self.resource_id,
            "ScalableDimension": self.dimension,
        }

    @property
    def owner(self) -> str:
        """Name of the endpoint or function that it is about; empty for anything else."""
        kind, _, rest = self.resource_id.partition("/" if self.namespace == "sagemaker" else ":")
        return rest.split("/" if kind == "endpoint" else ":")[0] if kind in ("endpoint", "function") else ""


def scaling_places(clients: Clients) -> Iterator[tuple[ScalingPlace, Callable[[], Mapping[str, str]]]]:
    """Every scalable target of the account's endpoints and functions, and a question for the tags that it has."""
    for namespace in _NAMESPACES:
        for page in clients.autoscaling.get_paginator("describe_scalable_targets").paginate(ServiceNamespace=namespace):
            for target in page["ScalableTargets"]:
                place = ScalingPlace(target["ServiceNamespace"], target["ResourceId"], target["ScalableDimension"])
                yield place, partial(_tags, clients, target)


def remove_scaling(clients: Clients, place: ScalingPlace) -> None:
    """Take away what scales a resource; the capacity stays as it is at that moment."""
    scaling, members = clients.autoscaling, place.members
    for action in scaling.describe_scheduled_actions(**members)["ScheduledActions"]:
        name = action["ScheduledActionName"]
        _unless_missing(partial(scaling.delete_scheduled_action, ScheduledActionName=name, **members))
    policies = scaling.describe_scaling_policies(**members)["ScalingPolicies"]
    for policy in policies:
        _unless_missing(partial(scaling.delete_scaling_policy, PolicyName=policy["PolicyName"], **members))
    _unless_missing(partial(scaling.deregister_scalable_target, **members))
    # The alarms of target tracking go with their policy; those of step policies are somebody's own and stay.
    tracking = [policy for policy in policies if policy["PolicyType"] == "TargetTrackingScaling"]
    alarms = [alarm["AlarmName"] for policy in tracking for alarm in policy.get("Alarms", [])]
    if alarms:
        left = clients.cloudwatch.describe_alarms(AlarmNames=alarms)["MetricAlarms"]
        if left:
            clients.cloudwatch.delete_alarms(AlarmNames=[alarm["AlarmName"] for alarm in left])


def _tags(clients: Clients, target: dict[str, Any]) -> Mapping[str, str]:
    arn = target.get("ScalableTargetARN")
    answer = _unless_missing(partial(clients.autoscaling.list_tags_for_resource, ResourceARN=arn)) if arn else None
    tags: Mapping[str, str] = answer.get("Tags", {}) if answer else {}
    return tags


def _unless_missing(ask: Callable[[], Any]) -> Any:
    from botocore.exceptions import ClientError

    try:
        return ask()
    except ClientError as error:
        if error_of(error)[0] in _MISSING:
            return None
        raise
