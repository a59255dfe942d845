"""The records of instances: the members of DescribeInstances' Instance, and beside them what only this cloud knows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sagehound.localcloud.services.ec2 import errors, ids
from sagehound.localcloud.services.ec2.tags import TagTable
from sagehound.localcloud.state import arns
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store

KIND = "ec2-instance"
CONSOLE = "ec2-console"
"""What a terminated instance has left: its console."""
TOKENS = "ec2-client-token"
"""Which reservation a ClientToken has made."""
REMEMBERED = timedelta(hours=1)
"""How long a terminated instance is told of."""
Record = dict[str, Any]
_OWN = (
    "Region",
    "InstanceState",
    "ReservationId",
    "UserData",
    "PublicKey",
    "Volume",
    "Handle",
    "FirstBootDone",
    "Forced",
    "TerminatedAt",
    "DisableApiTermination",
    "DisableApiStop",
    "InstanceInitiatedShutdownBehavior",
    "CpuCredits",
    "Profile",
    "GroupIds",
    "ImageName",
)
"""Members of a record that are no members of an Instance."""


class InstanceTable:
    """Instances by region and id; those that ended over an hour ago are forgotten."""

    def __init__(self, store: Store, clock: Clock, account_id: str, tags: TagTable) -> None:
        self._store = store
        self._clock = clock
        self.account_id = account_id
        self.tags = tags

    def all(self, region: str | None = None) -> list[Record]:
        """Every instance of a region, or of all."""
        now = self._clock.now()
        found = []
        for record in self._store.list(KIND, region):
            ended = record.get("TerminatedAt")
            if ended is not None and ended + REMEMBERED < now:
                self._forget(record)
            else:
                found.append(record)
        return found

    def find(self, region: str, instance_id: str) -> Record | None:
        """An instance; None when there is none, or none any more."""
        record = self._store.get(KIND, region, instance_id)
        if record is None or ("TerminatedAt" in record and record["TerminatedAt"] + REMEMBERED < self._clock.now()):
            return None
        return record

    def get(self, region: str, instance_id: str) -> Record:
        """An instance; AwsError when there is none."""
        return self.named(region, [instance_id])[0]

    def named(self, region: str, instance_ids: Sequence[str]) -> list[Record]:
        """These instances, each once; AwsError that names those that there are not."""
        ids.check("i", "InvalidInstanceID.Malformed", *instance_ids)
        wanted = list(dict.fromkeys(instance_ids))
        found = [self.find(region, instance_id) for instance_id in wanted]
        absent = [instance_id for instance_id, record in zip(wanted, found, strict=True) if record is None]
        if absent:
            raise errors.not_found("InvalidInstanceID.NotFound", "instance ID", absent)
        return [record for record in found if record is not None]

    def put(self, record: Record) -> None:
        """Keep an instance."""
        self._store.put(KIND, record["Region"], record["InstanceId"], record)

    def put_all(self, records: Sequence[Record]) -> None:
        """Keep several: all of them or none."""
        with self._store.transaction():
            for record in records:
                self.put(record)

    def terminate(self, record: Record) -> None:
        """Keep an instance that has ended for good; the tags of its volume and its interface go with these."""
        before = self.find(record["Region"], record["InstanceId"]) or {}
        with self._store.transaction():
            for resource_id in attached_ids(before).values():
                self.tags.remove(record["Region"], resource_id)
            self.put(record)

    def keep_console(self, record: Record, output: bytes, updated: datetime) -> None:
        """Keep the console of an instance that is going, as long as it is told of; the first one that is kept stays."""
        self._store.add(CONSOLE, record["Region"], record["InstanceId"], {"Output": output, "Timestamp": updated})

    def kept_console(self, record: Record) -> tuple[bytes, datetime] | None:
        """The console of an instance that is gone, and when it was written last."""
        kept = self._store.get(CONSOLE, record["Region"], record["InstanceId"])
        return None if kept is None else (bytes(kept["Output"]), kept["Timestamp"])

    def associated(self, region: str, association_id: str) -> Record | None:
        """The instance that has its profile by this association; a terminated one has none."""
        found = (record for record in self.all(region) if "Profile" in record)
        return next((record for record in found if record["Profile"]["AssociationId"] == association_id), None)

    def arn(self, record: Record) -> str:
        """The ARN of an instance."""
        return arns.make("ec2", record["Region"], self.account_id, f"instance/{record['InstanceId']}")

    def addresses(self, region: str) -> set[str]:
        """The private addresses that instances hold."""
        return {record["PrivateIpAddress"] for record in self.all(region) if "PrivateIpAddress" in record}

    def groups_in_use(self, region: str) -> set[str]:
        """The security groups of instances that are there."""
        alive = (record for record in self.all(region) if record["InstanceState"] != "terminated")
        return {group_id for record in alive for group_id in record["GroupIds"]}

    def _forget(self, record: Record) -> None:
        with self._store.transaction():
            for kind in (KIND, CONSOLE):
                self._store.delete(kind, record["Region"], record["InstanceId"])
            self._store.delete(TOKENS, record["Region"], record.get("ClientToken", ""))
            self.tags.remove(record["Region"], record["InstanceId"])


def attached_ids(record: Record) -> dict[str, str]:
    """The ids of the volume and of the interface that come and go with an instance, by resource type."""
    found = {"volume": record["Volume"]["VolumeId"]} if "Volume" in record else {}
    for interface in record.get("NetworkInterfaces", ()):
        found["network-interface"] = interface["NetworkInterfaceId"]
    return found


def instance_members(record: Record) -> Record:
    """The record without what is this cloud's own."""
    return {name: value for name, value in record.items() if name not in _OWN}
