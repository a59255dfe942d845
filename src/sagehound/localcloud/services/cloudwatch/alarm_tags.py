"""TagResource, UntagResource and ListTagsForResource: the tags of alarms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sagehound.localcloud.call import Call
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.cloudwatch.alarm_table import Alarm, AlarmTable
from sagehound.localcloud.services.cloudwatch.errors import invalid_value
from sagehound.localcloud.state import arns

MOST_TAGS = 50


class AlarmTags:
    """Tags by ARN."""

    def __init__(self, table: AlarmTable) -> None:
        self._table = table

    def TagResource(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Add tags; a key that is there gets the new value."""
        alarm = self._alarm(call, request)
        self._table.put(replace(alarm, tags=checked({**alarm.tags, **_pairs(request["Tags"])})))
        return {}

    def UntagResource(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Remove keys; one that is not there is no error."""
        alarm = self._alarm(call, request)
        left = {key: value for key, value in alarm.tags.items() if key not in request["TagKeys"]}
        self._table.put(replace(alarm, tags=left))
        return {}

    def ListTagsForResource(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """The tags in the order of their keys."""
        tags = self._alarm(call, request).tags
        return {"Tags": [{"Key": key, "Value": tags[key]} for key in sorted(tags)]}

    def of_arn(self, arn: str) -> Alarm | None:
        """The alarm that an ARN names."""
        try:
            parsed = arns.parse(arn)
        except ValueError:
            return None
        kind, _, name = parsed.resource.partition(":")
        return self._table.get(parsed.region, name) if (parsed.service, kind) == ("cloudwatch", "alarm") else None

    def _alarm(self, call: Call, request: dict[str, Any]) -> Alarm:
        call.resource = request["ResourceARN"]
        alarm = self.of_arn(request["ResourceARN"])
        if alarm is None or alarm.region != call.region:
            raise AwsError("ResourceNotFoundException", f"Unknown resource: {request['ResourceARN']}", 404)
        return alarm


def tags_of(tags: list[dict[str, str]]) -> dict[str, str]:
    """The tags of a request."""
    return checked(_pairs(tags))


def checked(tags: dict[str, str]) -> dict[str, str]:
    """The same tags, refused where AWS refuses them."""
    reserved = [key for key in tags if key.lower().startswith("aws:")]
    if reserved:
        raise invalid_value(f"Tag keys starting with 'aws:' are reserved for system use: {', '.join(reserved)}.")
    if len(tags) > MOST_TAGS:
        raise invalid_value(f"The number of tags exceeds the limit of {MOST_TAGS}.")
    return tags


def _pairs(tags: list[dict[str, str]]) -> dict[str, str]:
    found = {tag["Key"]: tag["Value"] for tag in tags}
    if len(found) < len(tags):
        raise invalid_value("Duplicate tag keys found.")
    return found
