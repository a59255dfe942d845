"""CreateAlias, GetAlias, ListAliases, UpdateAlias, DeleteAlias: names that lead to one version, or by weight to two."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.services.lambda_ import names, paging, records
from sagehound.localcloud.services.lambda_.errors import conflict, constraint, invalid, not_found, precondition_failed
from sagehound.localcloud.services.lambda_.names import LATEST
from sagehound.localcloud.services.lambda_.table import FunctionTable

Record = dict[str, Any]


class Aliases:
    """The aliases of functions."""

    def __init__(self, table: FunctionTable) -> None:
        self._table = table
        self._store = table.store

    def CreateAlias(self, call: Call, request: Request) -> Response:
        """Store a name for a version that there is."""
        function = self._function(call, request)
        name = request["Name"]
        arn = call.resource = self._table.arn(call.region, function, name)
        record: Record = {
            "AliasArn": arn,
            "Name": name,
            "FunctionVersion": request["FunctionVersion"],
            "Description": request.get("Description", ""),
            "RevisionId": records.revision(),
        }
        self._route(call.region, function, record, request.get("RoutingConfig"))
        if not self._store.add(records.ALIAS, call.region, f"{function}:{name}", record):
            raise conflict(f"Alias already exists: {arn}")
        self._table.changed(call.region, function, name)
        return record

    def GetAlias(self, call: Call, request: Request) -> Response:
        """The alias."""
        return self._alias(call, request)[1]

    def ListAliases(self, call: Call, request: Request) -> Response:
        """The aliases by name, or those that lead to one version, in pages."""
        function = self._function(call, request)
        call.resource = self._table.arn(call.region, function)
        wanted = request.get("FunctionVersion")
        found = [
            alias
            for alias in self._table.aliases(call.region, function)
            if wanted is None or wanted in versions_of(alias)
        ]
        return paging.page(found, request, "Aliases", lambda alias: str(alias["Name"]))

    def UpdateAlias(self, call: Call, request: Request) -> Response:
        """Change what is given; an empty RoutingConfig ends the routing."""
        function, record = self._alias(call, request)
        if request.get("RevisionId", record["RevisionId"]) != record["RevisionId"]:
            raise precondition_failed()
        members = ("FunctionVersion", "Description")
        record = {
            **record,
            **{member: request[member] for member in members if member in request},
            "RevisionId": records.revision(),
        }
        self._route(call.region, function, record, request.get("RoutingConfig", record.get("RoutingConfig")))
        self._store.put(records.ALIAS, call.region, f"{function}:{record['Name']}", record)
        self._table.changed(call.region, function, record["Name"])
        return record

    def DeleteAlias(self, call: Call, request: Request) -> Response:
        """Remove the alias with all that belongs to it; one that is not there is no error."""
        function, _ = names.parse(request["FunctionName"], None, call.region, call.account_id)
        name = request["Name"]
        call.resource = self._table.arn(call.region, function, name)
        with self._store.transaction():
            for kind in records.OF_A_FUNCTION:
                if kind != records.VERSION:
                    self._store.delete(kind, call.region, f"{function}:{name}")
        self._table.changed(call.region, function, name)
        return {}

    def _function(self, call: Call, request: Request) -> str:
        name, _ = names.parse(request["FunctionName"], None, call.region, call.account_id)
        self._table.function(call.region, name)
        return name

    def _alias(self, call: Call, request: Request) -> tuple[str, Record]:
        function = self._function(call, request)
        arn = call.resource = self._table.arn(call.region, function, request["Name"])
        record = self._store.get(records.ALIAS, call.region, f"{function}:{request['Name']}")
        if record is None:
            raise not_found(f"Cannot find alias arn: {arn}")
        return function, record

    def _route(self, region: str, function: str, record: Record, routing: Record | None) -> None:
        """Set where the alias leads, having checked that it can lead there."""
        record.pop("RoutingConfig", None)
        version = record["FunctionVersion"]
        self._table.version(region, function, version)
        weights: dict[str, float] = (routing or {}).get("AdditionalVersionWeights", {})
        if not weights:
            return
        if len(weights) > 1:
            raise invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")
        for other, weight in weights.items():
            self._check_weight(other, weight, version)
            self._table.version(region, function, other)
        record["RoutingConfig"] = {"AdditionalVersionWeights": weights}

    def _check_weight(self, other: str, weight: float, version: str) -> None:
        member = "routingConfig.additionalVersionWeights"
        if other == version:
            raise invalid(
                f"Invalid function version {version}. "
                f"Function version {version} is already included in routing configuration."
            )
        if version == LATEST or other == LATEST:
            raise invalid("$LATEST is not supported for an alias pointing to more than 1 version")
        if not other.isdecimal():
            rule = "Map keys must satisfy constraint: [Member must satisfy regular expression pattern: [0-9]+]"
            raise constraint(f"{{{other}={weight}}}", member, rule)
        if not 0 <= weight <= 1:
            rule = (
                "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, "
                "Member must have value greater than or equal to 0.0]"
            )
            raise constraint(f"{{{other}={weight}}}", member, rule)


def versions_of(alias: Record) -> set[str]:
    """The versions that an alias leads to."""
    return {alias["FunctionVersion"], *alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})}
