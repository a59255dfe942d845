"""STS: who may assume which role; who am I needs no permission."""

from __future__ import annotations

from sagehound.localcloud.authorization.check import Check, Value, request_tags
from sagehound.localcloud.call import Call, Request

_NOTHING = ("GetCallerIdentity", "GetSessionToken")


def checks(call: Call, params: Request) -> list[Check]:
    """The permissions that a call of STS needs; the role's trust policy is asked as the policy of the resource."""
    if call.operation in _NOTHING:
        return []
    if call.operation != "AssumeRole":
        return [Check(f"sts:{call.operation}")]
    keys: dict[str, Value] = {"sts:rolesessionname": params["RoleSessionName"], **request_tags(params.get("Tags"))}
    for member in ("ExternalId", "SourceIdentity"):
        if member in params:
            keys[f"sts:{member.lower()}"] = params[member]
    if params.get("TransitiveTagKeys"):
        keys["sts:transitivetagkeys"] = params["TransitiveTagKeys"]
    actions = ["sts:AssumeRole"]
    if params.get("Tags"):
        actions.append("sts:TagSession")
    if "SourceIdentity" in params:
        actions.append("sts:SetSourceIdentity")
    return [Check(action, params["RoleArn"], keys) for action in actions]
