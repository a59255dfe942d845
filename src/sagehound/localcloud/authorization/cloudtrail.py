"""CloudTrail: LookupEvents and the other reading of events have no resources; trails have ARNs."""

from __future__ import annotations

from sagehound.localcloud.authorization.check import Check
from sagehound.localcloud.call import Call, Request
from sagehound.localcloud.state import arns


def checks(call: Call, params: Request) -> list[Check]:
    """The permission that a call of CloudTrail needs."""
    action, name = f"cloudtrail:{call.operation}", params.get("Name") or params.get("TrailName")
    if not name:
        return [Check(action)]
    trail = name if name.startswith("arn:") else arns.make("cloudtrail", call.region, call.account_id, f"trail/{name}")
    return [Check(action, trail)]
