"""CreateFunction, GetFunction, GetFunctionConfiguration, ListFunctions, DeleteFunction."""

from __future__ import annotations

import uuid
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.services.lambda_ import checks, configuration, names, paging, records
from sagehound.localcloud.services.lambda_.code_location import CodeLocations
from sagehound.localcloud.services.lambda_.errors import conflict, constraint, invalid
from sagehound.localcloud.services.lambda_.parts import Parts
from sagehound.localcloud.services.lambda_.versions import Versions

Record = dict[str, Any]


class Functions:
    """Functions as a whole."""

    def __init__(self, parts: Parts, versions: Versions, locations: CodeLocations) -> None:
        self._parts = parts
        self._table = parts.table
        self._store = parts.table.store
        self._versions = versions
        self._locations = locations

    async def CreateFunction(self, call: Call, request: Request) -> Response:
        """Keep the code, store the function as Pending and begin to make it ready."""
        region = call.region
        name = self._new_name(call, request["FunctionName"])
        arn = call.resource = self._table.arn(region, name)
        checks.check_new(request)
        self._check_free(region, name)
        checks.check_role(self._parts.roles, request["Role"])
        package = await self._parts.deployments.fetch(call, request["Code"])
        layers = self._parts.layers.used(region, request.get("Layers", []), package.UnzippedSize)
        function = {"FunctionName": name, "FunctionId": uuid.uuid4().hex, "NextVersion": 1}
        function["Tags"] = request.get("Tags", {})
        record = configuration.new(request, name, arn, package, layers, records.timestamp(self._parts.clock))
        published = None
        with self._store.transaction():
            # Another request may have taken the name while the code was read.
            self._check_free(region, name)
            self._table.put_function(region, function)
            record = self._table.put_version(region, record)
            if request.get("Publish"):
                published = self._versions.publish(region, record, None)
        self._parts.activation.begin(region, record)
        if published is None:
            return record
        self._parts.activation.begin(region, published)
        # Created and published, the version is told under the function's own ARN.
        return configuration.told(published, arn)

    def GetFunction(self, call: Call, request: Request) -> Response:
        """The configuration, tags and reserved concurrency, and an address from which the code can be fetched."""
        record, arn = self._asked(call, request)
        function = self._table.function(call.region, record["FunctionName"])
        location = self._locations.url(f"{call.account_id}/{record['FunctionName']}", record["CodeSha256"])
        answer = {
            "Configuration": configuration.told(record, arn),
            "Code": {"RepositoryType": "S3", "Location": location},
        }
        if function["Tags"]:
            answer["Tags"] = function["Tags"]
        if "ReservedConcurrentExecutions" in function:
            answer["Concurrency"] = {"ReservedConcurrentExecutions": function["ReservedConcurrentExecutions"]}
        return answer

    def GetFunctionConfiguration(self, call: Call, request: Request) -> Response:
        """The configuration of a version, by number, by alias, or of $LATEST."""
        record, arn = self._asked(call, request)
        return configuration.told(record, arn)

    def ListFunctions(self, call: Call, request: Request) -> Response:
        """Every function's $LATEST by name, or with FunctionVersion ALL every version, in pages."""
        if request.get("MasterRegion", "ALL") != "ALL":
            # Replicas of functions in other regions are Lambda@Edge's; there are none.
            return {"Functions": []}
        functions = self._store.list(records.FUNCTION, call.region)
        found: list[Record] = []
        for name in (function["FunctionName"] for function in functions):
            if request.get("FunctionVersion") == "ALL":
                of_function = self._table.versions(call.region, name)
            else:
                of_function = [self._table.version(call.region, name)]
            for record in of_function:
                qualifier = record["Version"] if "FunctionVersion" in request else None
                found.append(configuration.listed(record, self._table.arn(call.region, name, qualifier)))
        return paging.page(found, request, "Functions", lambda record: str(record["FunctionArn"]))

    def DeleteFunction(self, call: Call, request: Request) -> Response:
        """Delete the function with all that belongs to it, or one published version."""
        name, qualifier = names.parse(request["FunctionName"], request.get("Qualifier"), call.region, call.account_id)
        call.resource = self._table.arn(call.region, name, qualifier)
        self._table.function(call.region, name)
        if qualifier is not None:
            self._versions.delete(call.region, name, qualifier)
        else:
            with self._store.transaction():
                self._store.delete(records.FUNCTION, call.region, name)
                for kind in records.OF_A_FUNCTION:
                    records.remove_under(self._store, kind, call.region, name)
            self._table.changed(call.region, name, None)
        return {"StatusCode": 204}

    def _asked(self, call: Call, request: Request) -> tuple[Record, str]:
        """The version that a request means, and the ARN under which it is told."""
        target = self._table.resolve(call.region, request["FunctionName"], request.get("Qualifier"))
        call.resource = target.arn
        version = target.versions[0][0]
        return self._table.version(call.region, target.name, version), target.arn

    def _new_name(self, call: Call, text: str) -> str:
        name, qualifier = names.parse(text, None, call.region, call.account_id)
        if qualifier is not None:
            raise invalid(f"The name of a new function has no qualifier: {text}")
        if len(name) > checks.MAX_NAME:
            raise constraint(name, "functionName", f"Member must have length less than or equal to {checks.MAX_NAME}")
        return name

    def _check_free(self, region: str, name: str) -> None:
        if self._store.get(records.FUNCTION, region, name) is not None:
            raise conflict(f"Function already exist: {name}")
