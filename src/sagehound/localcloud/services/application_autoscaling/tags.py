"""TagResource, UntagResource, ListTagsForResource: tags of scalable targets; policies and actions have none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import validation
from sagehound.localcloud.services.application_autoscaling.errors import no_resource, too_many_tags
from sagehound.localcloud.services.application_autoscaling.table import TARGET, ScalingTable

MOST_TAGS = 50
_LONGEST_KEY, _LONGEST_VALUE = 128, 256


class Tags:
    """The tags are kept in the target's record."""

    def __init__(self, scaling: ScalingTable) -> None:
        self._table = scaling

    def TagResource(self, call: Call, request: Request) -> Response:
        """Add tags; a key that is there gets the new value."""
        target = self._target(call, request)
        tags = {**target["tags"], **checked(request["Tags"], target["ScalableTargetARN"])}
        if len(tags) > MOST_TAGS:
            raise too_many_tags(target["ScalableTargetARN"], MOST_TAGS)
        self._table.put(TARGET, call.region, {**target, "tags": tags})
        return {}

    def UntagResource(self, call: Call, request: Request) -> Response:
        """Remove tags; a key that is not there is no error."""
        target = self._target(call, request)
        left = {key: value for key, value in target["tags"].items() if key not in request["TagKeys"]}
        self._table.put(TARGET, call.region, {**target, "tags": left})
        return {}

    def ListTagsForResource(self, call: Call, request: Request) -> Response:
        """All tags of a target."""
        return {"Tags": self._target(call, request)["tags"]}

    def resource_tags(self, arn: str) -> dict[str, str]:
        """The tags of a target, for conditions of policies; none when there is no such target."""
        fields = arn.split(":")
        target = self._find(fields[3], arn) if len(fields) == 6 else None
        return {} if target is None else dict(target["tags"])

    def arn_of(self, region: str, request: Mapping[str, Any]) -> str | None:
        """The target that a request names, for policies; None when it is not registered."""
        target = self._table.target(region, request)
        return None if target is None else str(target["ScalableTargetARN"])

    def _target(self, call: Call, request: Request) -> dict[str, Any]:
        call.resource = request["ResourceARN"]
        target = self._find(call.region, call.resource)
        if target is None:
            raise no_resource(call.resource)
        return target

    def _find(self, region: str, arn: str) -> dict[str, Any] | None:
        found = self._table.store.list(TARGET, region)
        return next((target for target in found if target["ScalableTargetARN"] == arn), None)


def checked(tags: dict[str, str], arn: str) -> dict[str, str]:
    """Tags within AWS's limits."""
    if len(tags) > MOST_TAGS:
        raise too_many_tags(arn, MOST_TAGS)
    for key, value in tags.items():
        if key.lower().startswith("aws:"):
            raise validation(f"Tag keys starting with 'aws:' are reserved for system use: {key}.")
        if not 1 <= len(key) <= _LONGEST_KEY or len(value) > _LONGEST_VALUE:
            raise validation(f"A tag key has 1 to 128 characters and a value up to 256: {key[:_LONGEST_KEY]!r}.")
    return dict(tags)
