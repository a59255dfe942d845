"""CloudWatch Logs: which permission an operation needs, on a log group or on a stream of it."""

from __future__ import annotations

from sagehound.localcloud.authorization.check import Check, request_tags, tag_keys
from sagehound.localcloud.call import Call, Request
from sagehound.localcloud.state import arns

_OF_A_STREAM = ("CreateLogStream", "DeleteLogStream", "GetLogEvents", "PutLogEvents")


def checks(call: Call, params: Request) -> list[Check]:
    """The permissions that a call of Logs needs."""
    action = f"logs:{call.operation}"
    if call.operation == "UntagLogGroup":
        keys = tag_keys(params["tags"])
    else:
        keys = request_tags(params.get("tags")) | tag_keys(params.get("tagKeys"))
    if "resourceArn" in params:
        return [Check(action, group_arn(call.region, call.account_id, _name(params["resourceArn"])), keys)]
    group = _name(params.get("logGroupName") or params.get("logGroupIdentifier") or "")
    stream = params.get("logStreamName", "") if call.operation in _OF_A_STREAM else ""
    base = group_arn(call.region, call.account_id, group)
    found = [Check(action, f"{base}:log-stream:{stream}", keys)]
    if call.operation == "CreateLogGroup" and params.get("tags"):
        found.append(Check("logs:TagResource", base, keys))
    return found


def _name(identifier: str) -> str:
    """The group of an ARN. Its region does not count: an operation is about the groups of the region that is asked."""
    if not identifier.startswith("arn:"):
        return identifier
    return identifier.partition(":log-group:")[2].removesuffix(":*")


def group_arn(region: str, account_id: str, group: str) -> str:
    """The ARN of a log group. Where a policy is asked, IAM sees it with `:log-stream:` and a stream or nothing."""
    return arns.make("logs", region, account_id, f"log-group:{group}")
