"""Log groups: create, delete, describe, retention."""

from __future__ import annotations

import asyncio
import base64
import logging
import sqlite3
from typing import Any

from sagehound.localcloud.call import Call
from sagehound.localcloud.errors import AwsError, validation
from sagehound.localcloud.services.logs.errors import already_exists, group_not_found, invalid_parameter
from sagehound.localcloud.services.logs.tables import LogTables
from sagehound.localcloud.state import arns
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Record, Store

logger = logging.getLogger(__name__)

KIND = "logs:group"
DAY = 86_400_000
RETENTION_DAYS = {
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
}  # fmt: skip


class LogGroups:
    """The log groups of every region."""

    def __init__(self, store: Store, clock: Clock, tables: LogTables, account_id: str) -> None:
        self._store = store
        self._clock = clock
        self._tables = tables
        self._account_id = account_id

    def CreateLogGroup(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Make an empty group; a taken name is ResourceAlreadyExistsException."""
        call.resource = self.arn(call.region, request["logGroupName"])
        if not self.add(call.region, request):
            raise already_exists("group")
        return {}

    def DeleteLogGroup(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Remove a group with its streams and events, unless deletion protection is on."""
        name = request["logGroupName"]
        call.resource = self.arn(call.region, name)
        if self.get(call.region, name).get("deletionProtectionEnabled"):
            raise validation(f"The log group {name} is protected from deletion.")
        with self._store.transaction():
            self._tables.delete_streams(call.region, name)
            self._store.delete(KIND, call.region, name)
        return {}

    def DescribeLogGroups(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Groups by name, those with a prefix, a part of the name, a class or listed identifiers; 50 at a time."""
        prefix, part = request.get("logGroupNamePrefix", ""), request.get("logGroupNamePattern", "")
        if prefix and part:
            raise invalid_parameter("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
        wanted = {self.name_of(text) for text in request.get("logGroupIdentifiers", [])}
        after = token_value(request.get("nextToken"))
        found = [
            group
            for group in self._store.list(KIND, call.region)
            if group["logGroupName"].startswith(prefix)
            and part in group["logGroupName"]
            and (not wanted or group["logGroupName"] in wanted)
            and group["logGroupClass"] == request.get("logGroupClass", group["logGroupClass"])
            and group["logGroupName"] > after
        ]
        limit = request.get("limit", 50)
        answer: dict[str, Any] = {"logGroups": [self._described(call.region, group) for group in found[:limit]]}
        if len(found) > limit:
            answer["nextToken"] = token(found[limit - 1]["logGroupName"])
        return answer

    def PutRetentionPolicy(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Keep events for so many days; older ones go at once."""
        if request["retentionInDays"] not in RETENTION_DAYS:
            raise invalid_parameter(
                "1 validation error detected: Value at 'retentionInDays' failed to satisfy constraint: "
                f"Member must satisfy enum value set: {sorted(RETENTION_DAYS)}"
            )
        self.change(call, request["logGroupName"], retentionInDays=request["retentionInDays"])
        self._expire(call.region, self.get(call.region, request["logGroupName"]))
        return {}

    def DeleteRetentionPolicy(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Keep events for ever again."""
        self.change(call, request["logGroupName"], retentionInDays=None)
        return {}

    def PutLogGroupDeletionProtection(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Switch deletion protection on or off."""
        name = self.name_of(request["logGroupIdentifier"])
        self.change(call, name, deletionProtectionEnabled=request["deletionProtectionEnabled"])
        return {}

    def add(self, region: str, request: dict[str, Any]) -> bool:
        """Create a group from CreateLogGroup's members; False when there is one of that name."""
        group = {"logGroupClass": "STANDARD", **request, "creationTime": int(self._clock.time() * 1000)}
        return self._store.add(KIND, region, request["logGroupName"], group)

    def exists(self, region: str, name: str) -> bool:
        """Whether there is a group of that name."""
        return self._store.get(KIND, region, name) is not None

    def get(self, region: str, name: str) -> Record:
        """The group's record; ResourceNotFoundException when there is none."""
        group = self._store.get(KIND, region, name)
        if group is None:
            raise group_not_found()
        return group

    def change(self, call: Call, name: str, **members: Any) -> Record:
        """Set members of a group's record; None removes one."""
        call.resource = self.arn(call.region, name)
        with self._store.transaction():
            group = {**self.get(call.region, name), **members}
            group = {member: value for member, value in group.items() if value is not None}
            self._store.put(KIND, call.region, name, group)
        return group

    def oldest_kept(self, group: Record) -> int:
        """The time in milliseconds before which the events of a group are expired; 0 when it keeps them for ever."""
        days = group.get("retentionInDays")
        return int(self._clock.time() * 1000) - days * DAY if days else 0

    def name_of(self, identifier: str) -> str:
        """The name in a logGroupIdentifier: the name itself, or an ARN with or without its `:*`."""
        if not identifier.startswith("arn:"):
            return identifier
        try:
            kind, _, name = arns.parse(identifier).resource.partition(":")
        except ValueError:
            kind, name = "", ""
        if kind != "log-group" or not name:
            raise invalid_parameter(f"Invalid log group identifier: {identifier}")
        return name.removesuffix(":*")

    def named(self, request: dict[str, Any]) -> str:
        """The group that a request names by logGroupName or by logGroupIdentifier, one of which it must have."""
        names = [request[member] for member in ("logGroupName", "logGroupIdentifier") if member in request]
        if len(names) != 1:
            raise invalid_parameter("Exactly one of logGroupName and logGroupIdentifier must be specified.")
        return self.name_of(names[0])

    def arn(self, region: str, name: str) -> str:
        """The ARN of a group, without the `:*` that older answers carry."""
        return arns.make("logs", region, self._account_id, f"log-group:{name}")

    async def expire_for_ever(self) -> None:
        """Remove expired events now and then every hour."""
        while True:
            try:
                for region, group in self._with_retention():
                    self._expire(region, group)
                    await asyncio.sleep(0)
            except sqlite3.OperationalError as error:
                logger.warning("expired log events are not removed yet: %s", error)
            await self._clock.sleep(3600)

    def _with_retention(self) -> list[tuple[str, Record]]:
        rows = self._store.execute("SELECT DISTINCT region FROM records WHERE kind = ?", (KIND,))
        groups = [(row["region"], group) for row in rows for group in self._store.list(KIND, row["region"])]
        return [(region, group) for region, group in groups if group.get("retentionInDays")]

    def _expire(self, region: str, group: Record) -> None:
        self._tables.expire(region, group["logGroupName"], self.oldest_kept(group))

    def _described(self, region: str, group: Record) -> dict[str, Any]:
        name = group["logGroupName"]
        arn = self.arn(region, name)
        return {
            **{member: value for member, value in group.items() if member != "tags"},
            "arn": f"{arn}:*",
            "logGroupArn": arn,
            "metricFilterCount": 0,
            "storedBytes": self._tables.stored_bytes(region, name),
        }


def token(value: str) -> str:
    """A paging token that says after which name to go on."""
    return base64.urlsafe_b64encode(value.encode()).decode()


def token_value(text: str | None) -> str:
    """The inverse of `token`; '' for no token, InvalidParameterException for one that we did not make."""
    try:
        return base64.b64decode((text or "").encode(), altchars=b"-_", validate=True).decode()
    except ValueError:
        raise AwsError("InvalidParameterException", "The specified nextToken is invalid.") from None
