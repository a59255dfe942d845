"""Systems Manager: which permission an operation needs, on the parameters that it names."""

from __future__ import annotations

from sagehound.localcloud.authorization.check import Check, request_tags
from sagehound.localcloud.call import Call, Request
from sagehound.localcloud.state import arns


def checks(call: Call, params: Request) -> list[Check]:
    """The permission that a call needs; DescribeParameters has no resource."""
    action, keys = f"ssm:{call.operation}", request_tags(params.get("Tags"))
    names = params.get("Names") or [params[member] for member in ("Name", "Path") if member in params]
    if not names:
        return [Check(action, "*", keys)]
    return [
        Check(action, arns.make("ssm", call.region, call.account_id, f"parameter/{name.lstrip('/')}"), keys)
        for name in names
    ]
