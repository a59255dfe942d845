"""PublishVersion, ListVersionsByFunction: what a function is, fixed under a number."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.services.lambda_ import configuration, names, paging, records, status
from sagehound.localcloud.services.lambda_.activation import Activation
from sagehound.localcloud.services.lambda_.aliases import versions_of
from sagehound.localcloud.services.lambda_.errors import conflict, invalid, precondition_failed, unsupported
from sagehound.localcloud.services.lambda_.names import LATEST
from sagehound.localcloud.services.lambda_.table import FunctionTable

Record = dict[str, Any]


class Versions:
    """Published versions of functions."""

    def __init__(self, table: FunctionTable, activation: Activation) -> None:
        self._table = table
        self._store = table.store
        self._activation = activation

    def PublishVersion(self, call: Call, request: Request) -> Response:
        """$LATEST as it is under the next number; the last number again when nothing has changed since."""
        region = call.region
        name, _ = names.parse(request["FunctionName"], None, region, call.account_id)
        call.resource = self._table.arn(region, name)
        if "PublishTo" in request:
            raise unsupported("PublishTo")
        latest = self._table.version(region, name)
        status.check_idle(latest)
        if request.get("RevisionId", latest["RevisionId"]) != latest["RevisionId"]:
            raise precondition_failed()
        wanted, current = request.get("CodeSha256"), latest["CodeSha256"]
        if wanted and wanted != current:
            raise invalid(
                f"CodeSHA256 ({wanted}) is different from current CodeSHA256 in $LATEST ({current}). "
                "Please try again with the CodeSHA256 in $LATEST."
            )
        before = self._last(region, name)
        if before is not None and before["Digest"] == configuration.digest(latest):
            return before
        with self._store.transaction():
            published = self.publish(region, latest, request.get("Description"))
            self._table.touch(region, name, None)
        self._activation.begin(region, published)
        return published

    def ListVersionsByFunction(self, call: Call, request: Request) -> Response:
        """$LATEST and the published versions in order, in pages."""
        name, _ = names.parse(request["FunctionName"], None, call.region, call.account_id)
        call.resource = self._table.arn(call.region, name)
        self._table.function(call.region, name)
        found = [
            configuration.listed(record, self._table.arn(call.region, name, record["Version"]))
            for record in self._table.versions(call.region, name)
        ]
        return paging.page(found, request, "Versions", lambda record: str(record["Version"]))

    def publish(self, region: str, latest: Record, description: str | None) -> Record:
        """Store `latest` under the next number, as Pending; inside the caller's transaction."""
        name = latest["FunctionName"]
        function = self._table.function(region, name)
        number = str(function["NextVersion"])
        record = {key: value for key, value in latest.items() if not key.startswith("LastUpdate") and key != "Serving"}
        record |= {
            "Version": number,
            "FunctionArn": self._table.arn(region, name, number),
            "Description": latest["Description"] if description is None else description,
            "Digest": configuration.digest(latest),
        }
        self._table.put_function(region, {**function, "NextVersion": int(number) + 1})
        return self._table.put_version(region, status.begin_creation(record))

    def delete(self, region: str, name: str, qualifier: str) -> None:
        """Delete one version, unless an alias leads to it; one that is not there is no error."""
        if qualifier == LATEST:
            raise invalid("$LATEST version cannot be deleted without deleting the function.")
        if not names.is_version(qualifier):
            raise invalid("Deletion of aliases is not currently supported. Use the DeleteAlias API to delete an alias.")
        pointing = [alias["Name"] for alias in self._table.aliases(region, name) if qualifier in versions_of(alias)]
        if pointing:
            raise conflict(
                "The following aliases reference this version, so it cannot be deleted: "
                f"[{', '.join(sorted(pointing))}]"
            )
        with self._store.transaction():
            for kind in records.OF_A_FUNCTION:
                self._store.delete(kind, region, f"{name}:{qualifier}")
        self._table.changed(region, name, qualifier)

    def _last(self, region: str, name: str) -> Record | None:
        """The version that was published last, if it is still there."""
        number = self._table.function(region, name)["NextVersion"] - 1
        return self._store.get(records.VERSION, region, f"{name}:{number}")
