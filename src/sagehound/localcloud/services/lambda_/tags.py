"""TagResource, UntagResource, ListTags: tags belong to functions as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.services.lambda_ import checks, names, records
from sagehound.localcloud.services.lambda_.errors import invalid, unsupported
from sagehound.localcloud.services.lambda_.table import FunctionTable

Record = dict[str, Any]


class Tags:
    """The tags of functions."""

    def __init__(self, table: FunctionTable) -> None:
        self._table = table

    def TagResource(self, call: Call, request: Request) -> Response:
        """Add tags; a key that is there gets the new value."""
        function = self._function(call, request)
        if not request["Tags"]:
            raise invalid("An error occurred and the request cannot be processed.")
        self._write(call.region, function, {**function["Tags"], **request["Tags"]})
        return {}

    def UntagResource(self, call: Call, request: Request) -> Response:
        """Remove keys; one that is not there is no error."""
        function = self._function(call, request)
        gone = set(request["TagKeys"])
        rest = {key: value for key, value in function["Tags"].items() if key not in gone}
        self._write(call.region, function, rest)
        return {}

    def ListTags(self, call: Call, request: Request) -> Response:
        """All tags of a function."""
        return {"Tags": self._function(call, request)["Tags"]}

    def resource_tags(self, arn: str, /) -> Mapping[str, str]:
        """The tags of a function by its ARN; none for anything else."""
        fields = arn.split(":")
        if len(fields) != 7 or fields[5] != "function":
            return {}
        function = self._table.store.get(records.FUNCTION, fields[3], fields[6])
        return {} if function is None else function["Tags"]

    def _function(self, call: Call, request: Request) -> Record:
        arn = call.resource = request["Resource"]
        if ":function:" not in arn:
            raise unsupported(f"what {arn} names: only functions are tagged")
        name, qualifier = names.parse(arn, None, call.region, call.account_id)
        if qualifier is not None:
            raise invalid("Tags on function aliases and versions are not supported. Please specify a function ARN.")
        return self._table.function(call.region, name)

    def _write(self, region: str, function: Record, tags: dict[str, str]) -> None:
        checks.check_tags(tags)
        with self._table.store.transaction():
            self._table.put_function(region, {**function, "Tags": tags})
            self._table.touch(region, function["FunctionName"], None)
