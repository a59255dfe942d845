"""Application Auto Scaling: which permission an operation needs, on the scalable target that it names."""

from __future__ import annotations

from sagehound.localcloud.authorization.check import Check, Value, request_tags, tag_keys
from sagehound.localcloud.call import Call, Request
from sagehound.localcloud.state import arns

_PREFIX = "application-autoscaling"


def checks(call: Call, params: Request) -> list[Check]:
    """The permission that a call needs."""
    action = f"{_PREFIX}:{call.operation}"
    keys: dict[str, Value] = request_tags(params.get("Tags")) | tag_keys(params.get("TagKeys"))
    for member, key in (("ServiceNamespace", "service-namespace"), ("ScalableDimension", "scalable-dimension")):
        if member in params:
            keys[f"{_PREFIX}:{key}"] = params[member]
    if "ResourceARN" in params:
        return [Check(action, params["ResourceARN"], keys)]
    if "ResourceId" not in params or call.operation.startswith("Describe"):
        return [Check(action, "*", keys)]
    resource = arns.make(_PREFIX, call.region, call.account_id, f"scalable-target/{params['ResourceId']}")
    return [Check(action, resource, keys)]
