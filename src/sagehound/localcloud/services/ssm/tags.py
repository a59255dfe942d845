"""AddTagsToResource, RemoveTagsFromResource, ListTagsForResource: tags of parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError, validation
from sagehound.localcloud.services.ssm.parameter_table import ParameterTable

MOST_TAGS = 50


class Tags:
    """The tags are kept with the latest version of the parameter."""

    def __init__(self, table: ParameterTable) -> None:
        self._table = table

    def AddTagsToResource(self, call: Call, request: Request) -> Response:
        """Add tags; a key that is there gets the new value."""
        record = self._parameter(call, request)
        added = checked(request["Tags"])
        if len({**record["Tags"], **added}) > MOST_TAGS:
            raise _too_many()
        self._table.change_tags(call.region, record, {**record["Tags"], **added})
        return {}

    def RemoveTagsFromResource(self, call: Call, request: Request) -> Response:
        """Remove keys; one that is not there is no error."""
        record = self._parameter(call, request)
        left = {key: value for key, value in record["Tags"].items() if key not in request["TagKeys"]}
        self._table.change_tags(call.region, record, left)
        return {}

    def ListTagsForResource(self, call: Call, request: Request) -> Response:
        """All tags of a parameter."""
        tags = self._parameter(call, request)["Tags"]
        return {"TagList": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def of(self, region: str, arn: str) -> Mapping[str, str]:
        """The tags of a parameter by its ARN, for policies; none when there is no such parameter."""
        path = arn.partition(":parameter")[2]
        record = self._table.find(region, path.removeprefix("/")) or self._table.find(region, path)
        return {} if record is None else record["Tags"]

    def _parameter(self, call: Call, request: Request) -> dict[str, Any]:
        if request["ResourceType"] != "Parameter":
            message = f"The local cloud has tags of parameters, not of resource type {request['ResourceType']}."
            raise AwsError("InvalidResourceType", message)
        name = self._table.named(call.region, request["ResourceId"]).name
        call.resource = self._table.arn(call.region, name)
        record = self._table.find(call.region, name)
        if record is None:
            message = f"The resource ID is not valid: there is no parameter {name}."
            raise AwsError("InvalidResourceId", message)
        return record


def checked(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Tags as a mapping, within AWS's limits."""
    found: dict[str, str] = {}
    for tag in tags:
        if tag["Key"].lower().startswith("aws:"):
            raise validation(f"Tag keys starting with 'aws:' are reserved for system use: {tag['Key']}.")
        if tag["Key"] in found:
            raise validation(f"Duplicate tag key: {tag['Key']}.")
        found[tag["Key"]] = tag["Value"]
    if len(found) > MOST_TAGS:
        raise _too_many()
    return found


def _too_many() -> AwsError:
    return AwsError("TooManyTagsError", f"A resource can have at most {MOST_TAGS} tags.")
