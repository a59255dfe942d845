"""PublishLayerVersion, GetLayerVersion and ByArn, ListLayers, ListLayerVersions, DeleteLayerVersion."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.services.lambda_ import configuration, paging, records
from sagehound.localcloud.services.lambda_.code_location import CodeLocations
from sagehound.localcloud.services.lambda_.deployment import Deployments
from sagehound.localcloud.services.lambda_.errors import invalid, not_found
from sagehound.localcloud.services.lambda_.layer_table import LayerTable
from sagehound.localcloud.state.clock import Clock

Record = dict[str, Any]

_GIVEN = ("CompatibleRuntimes", "CompatibleArchitectures", "LicenseInfo")
_LISTED = ("LayerVersionArn", "Version", "Description", "CreatedDate", *_GIVEN)


class Layers:
    """Layers: packages that functions have below /opt."""

    def __init__(self, table: LayerTable, deployments: Deployments, locations: CodeLocations, clock: Clock) -> None:
        self._table = table
        self._store = table.store
        self._deployments = deployments
        self._locations = locations
        self._clock = clock

    async def PublishLayerVersion(self, call: Call, request: Request) -> Response:
        """Keep the package under the layer's next number."""
        name = self._name(call, request["LayerName"])
        arn = call.resource = self._table.arn(call.region, name)
        package = await self._deployments.fetch(call, request["Content"])
        with self._store.transaction():
            # Numbers are never given twice, even when all versions of a layer are deleted.
            counter = self._store.get(records.LAYER_NAME, call.region, name) or {"LayerName": name, "NextVersion": 1}
            number = counter["NextVersion"]
            self._store.put(records.LAYER_NAME, call.region, name, {**counter, "NextVersion": number + 1})
            record = {
                "LayerName": name,
                "LayerArn": arn,
                "LayerVersionArn": f"{arn}:{number}",
                "Version": number,
                "Description": request.get("Description", ""),
                "CreatedDate": records.timestamp(self._clock),
                **{member: request[member] for member in _GIVEN if member in request},
                **configuration.with_package(package),
            }
            self._store.put(records.LAYER, call.region, f"{name}:{number}", record)
        return self._told(call, record)

    def GetLayerVersion(self, call: Call, request: Request) -> Response:
        """One version of a layer, with an address from which it can be fetched."""
        name = self._name(call, request["LayerName"])
        return self._told(call, self._find(call, name, request["VersionNumber"]))

    def GetLayerVersionByArn(self, call: Call, request: Request) -> Response:
        """The same by the version's ARN."""
        layer, _, number = request["Arn"].rpartition(":")
        return self._told(call, self._find(call, self._name(call, layer), int(number)))

    def ListLayerVersions(self, call: Call, request: Request) -> Response:
        """The versions of a layer that suit a runtime and an architecture, the newest first, in pages."""
        name = self._name(call, request["LayerName"])
        call.resource = self._table.arn(call.region, name)
        found = [_listed(record) for record in self._versions(call.region, name) if _suits(record, request)]
        return paging.page(found, request, "LayerVersions", lambda record: str(record["Version"]))

    def ListLayers(self, call: Call, request: Request) -> Response:
        """Every layer with its newest version that suits a runtime and an architecture, in pages."""
        found: list[Record] = []
        for counter in self._store.list(records.LAYER_NAME, call.region):
            name = counter["LayerName"]
            newest = next((one for one in self._versions(call.region, name) if _suits(one, request)), None)
            if newest is not None:
                layer = {"LayerName": name, "LayerArn": newest["LayerArn"]}
                found.append({**layer, "LatestMatchingVersion": _listed(newest)})
        return paging.page(found, request, "Layers", lambda layer: str(layer["LayerName"]))

    def DeleteLayerVersion(self, call: Call, request: Request) -> Response:
        """Remove a version; functions that have it keep it, and one that is not there is no error."""
        name, number = self._name(call, request["LayerName"]), request["VersionNumber"]
        _check_number(number)
        call.resource = f"{self._table.arn(call.region, name)}:{number}"
        self._store.delete(records.LAYER, call.region, f"{name}:{number}")
        return {}

    def _name(self, call: Call, text: str) -> str:
        """The name of a layer of this region, given by its name or ARN."""
        name = text.rpartition(":")[2]
        if text.startswith("arn:") and text != self._table.arn(call.region, name):
            raise not_found()
        return name

    def _find(self, call: Call, name: str, number: int) -> Record:
        _check_number(number)
        call.resource = f"{self._table.arn(call.region, name)}:{number}"
        record = self._table.find(call.region, name, number)
        if record is None:
            raise not_found()
        return record

    def _versions(self, region: str, name: str) -> list[Record]:
        found = records.under(self._store, records.LAYER, region, name)
        return sorted(found, key=lambda record: -int(record["Version"]))

    def _told(self, call: Call, record: Record) -> Response:
        content = {
            "Location": self._locations.url(f"{call.account_id}/{record['LayerName']}", record["CodeSha256"]),
            "CodeSha256": record["CodeSha256"],
            "CodeSize": record["CodeSize"],
        }
        return {**record, "Content": content}


def _check_number(number: int) -> None:
    if number < 1:
        raise invalid("Layer Version Cannot be less than 1")


def _suits(record: Record, request: Request) -> bool:
    """A version that names no runtimes or architectures is found by no filter."""
    asked = (("CompatibleRuntime", "CompatibleRuntimes"), ("CompatibleArchitecture", "CompatibleArchitectures"))
    return all(request[one] in record.get(several, []) for one, several in asked if one in request)


def _listed(record: Record) -> Record:
    return {member: record[member] for member in _LISTED if member in record}
