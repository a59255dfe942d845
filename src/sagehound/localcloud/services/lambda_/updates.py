"""UpdateFunctionCode, UpdateFunctionConfiguration: $LATEST changed, while what it was goes on serving."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.services.lambda_ import checks, configuration, names, records, status
from sagehound.localcloud.services.lambda_.errors import precondition_failed, unsupported
from sagehound.localcloud.services.lambda_.parts import Parts
from sagehound.localcloud.services.lambda_.versions import Versions

Record = dict[str, Any]


class Updates:
    """Changes of $LATEST."""

    def __init__(self, parts: Parts, versions: Versions) -> None:
        self._parts = parts
        self._table = parts.table
        self._versions = versions

    async def UpdateFunctionCode(self, call: Call, request: Request) -> Response:
        """Begin to replace the code; with DryRun, say what the function would be; with Publish, publish that too."""
        if "PublishTo" in request:
            raise unsupported("PublishTo")
        latest = self._changeable(call, request)
        package = await self._parts.deployments.fetch(call, request)
        # Reading the code took a while: another update may have begun.
        latest = self._changeable(call, request)
        self._parts.layers.used(call.region, _layers(latest), package.UnzippedSize)
        record = {**latest, **configuration.with_package(package)}
        if "Architectures" in request:
            record["Architectures"] = request["Architectures"]
        if request.get("DryRun"):
            return record
        published = None
        with self._table.store.transaction():
            record = self._begin(call.region, latest, record)
            if request.get("Publish"):
                published = self._versions.publish(call.region, record, None)
        self._parts.activation.begin(call.region, record)
        if published is None:
            return record
        self._parts.activation.begin(call.region, published)
        return published

    def UpdateFunctionConfiguration(self, call: Call, request: Request) -> Response:
        """Begin to change the configuration; members that are not given stay."""
        latest = self._changeable(call, request)
        checks.check_configuration(request)
        if "Role" in request:
            checks.check_role(self._parts.roles, request["Role"])
        record = configuration.changed(latest, request)
        if "Layers" in request:
            layers = self._parts.layers.used(call.region, request["Layers"], latest["UnzippedSize"])
            record = configuration.with_layers(record, layers)
        record = self._begin(call.region, latest, record)
        self._parts.activation.begin(call.region, record)
        return record

    def _changeable(self, call: Call, request: Request) -> Record:
        """$LATEST, which nothing else is changing, in the revision that the request is about."""
        name, _ = names.parse(request["FunctionName"], None, call.region, call.account_id)
        call.resource = self._table.arn(call.region, name)
        latest = self._table.version(call.region, name)
        status.check_idle(latest)
        if request.get("RevisionId", latest["RevisionId"]) != latest["RevisionId"]:
            raise precondition_failed()
        return latest

    def _begin(self, region: str, latest: Record, record: Record) -> Record:
        now = records.timestamp(self._parts.clock)
        return self._table.put_version(region, {**status.begin_update(latest, record), "LastModified": now})


def _layers(record: Record) -> list[str]:
    return [layer["Arn"] for layer in record.get("Layers", [])]
