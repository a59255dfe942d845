"""What a project has registered for scaling, and its removal: schedules, policies, alarms, scalable targets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from sagehound.pipeline.aws_errors import error_of
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.names import Names

_MISSING = ("ObjectNotFoundException", "ResourceNotFoundException", "ResourceNotFound")
_DENIED = ("AccessDeniedException", "AccessDenied")
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


def find_scaling(
    clients: Clients, names: Names, endpoints: Collection[str], functions: Collection[str]
) -> list[ScalingPlace]:
    """The scalable targets of these endpoints and functions, and those that carry the project's tag themselves.

    None for who may not list them: they have made none, and delete the rest.
    """
    owned = {"sagemaker": endpoints, "lambda": functions}
    found = []
    for target in _targets(clients):
        place = ScalingPlace(target["ServiceNamespace"], target["ResourceId"], target["ScalableDimension"])
        if place.owner in owned[place.namespace] or _is_tagged(clients, names, target):
            found.append(place)
    return found


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


def _targets(clients: Clients) -> Iterator[dict[str, Any]]:
    from botocore.exceptions import ClientError

    for namespace in _NAMESPACES:
        pages = clients.autoscaling.get_paginator("describe_scalable_targets").paginate(ServiceNamespace=namespace)
        try:
            found = [target for page in pages for target in page["ScalableTargets"]]
        except ClientError as error:
            if error_of(error)[0] not in _DENIED:
                raise
            return
        yield from found


def _is_tagged(clients: Clients, names: Names, target: dict[str, Any]) -> bool:
    """Whether it was registered for the project: what it scaled may be gone already."""
    arn = target.get("ScalableTargetARN")
    if not arn:
        return False
    answer = _unless_missing(partial(clients.autoscaling.list_tags_for_resource, ResourceARN=arn))
    tag = names.tags[0]
    return bool(answer) and answer.get("Tags", {}).get(tag["Key"]) == tag["Value"]


def _unless_missing(ask: Callable[[], Any]) -> Any:
    from botocore.exceptions import ClientError

    try:
        return ask()
    except ClientError as error:
        if error_of(error)[0] in _MISSING:
            return None
        raise
