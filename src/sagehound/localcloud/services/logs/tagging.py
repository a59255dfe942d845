"""Tags of log groups, by ARN and in the older form by name."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.call import Call
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.logs.groups import LogGroups

MOST_TAGS = 50


class LogTags:
    """Tags are kept in the group's record."""

    def __init__(self, groups: LogGroups) -> None:
        self._groups = groups

    def TagResource(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Set tags of the group of an ARN; at most 50 together."""
        return self._tag(call, self._groups.name_of(request["resourceArn"]), request["tags"])

    def UntagResource(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Remove tags of the group of an ARN."""
        return self._untag(call, self._groups.name_of(request["resourceArn"]), request["tagKeys"])

    def ListTagsForResource(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """The tags of the group of an ARN."""
        return self._list(call, self._groups.name_of(request["resourceArn"]))

    def TagLogGroup(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """TagResource by name."""
        return self._tag(call, request["logGroupName"], request["tags"])

    def UntagLogGroup(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """UntagResource by name."""
        return self._untag(call, request["logGroupName"], request["tags"])

    def ListTagsLogGroup(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """ListTagsForResource by name."""
        return self._list(call, request["logGroupName"])

    def _tag(self, call: Call, name: str, tags: dict[str, str]) -> dict[str, Any]:
        merged = {**self._groups.get(call.region, name).get("tags", {}), **tags}
        if len(merged) > MOST_TAGS:
            raise AwsError("TooManyTagsException", "A resource can have no more than 50 tags.")
        self._groups.change(call, name, tags=merged)
        return {}

    def _untag(self, call: Call, name: str, keys: list[str]) -> dict[str, Any]:
        tags = self._groups.get(call.region, name).get("tags", {})
        self._groups.change(call, name, tags={key: value for key, value in tags.items() if key not in keys})
        return {}

    def _list(self, call: Call, name: str) -> dict[str, Any]:
        call.resource = self._groups.arn(call.region, name)
        return {"tags": self._groups.get(call.region, name).get("tags", {})}
