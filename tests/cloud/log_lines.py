"""What stands in a log group, for tests that wait for it: the group is made with its first line."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError


def messages_in(logs: Any, group: str, pattern: str = "") -> list[str]:
    """The messages of a group so far; none of one that is not there yet."""
    members = {"filterPattern": pattern} if pattern else {}
    try:
        events = logs.filter_log_events(logGroupName=group, **members)["events"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return []
    return [event["message"] for event in events]
