"""Records of instances as DescribeInstances answers them: with states, groups, tags, volumes and interfaces."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from sagehound.localcloud.services.ec2 import states
from sagehound.localcloud.services.ec2.security_groups import GroupTable
from sagehound.localcloud.services.ec2.table import InstanceTable, instance_members

Record = dict[str, Any]


class Presentation:
    """Reads what belongs to an instance beside its record."""

    def __init__(self, table: InstanceTable, groups: GroupTable) -> None:
        self._table = table
        self._groups = groups

    def group_name(self, region: str, group_id: str) -> str:
        """The name of a security group."""
        return str(self._groups.get(region, group_id)["GroupName"])

    def instance(self, record: Record) -> Record:
        """One instance."""
        region = record["Region"]
        groups = self.groups(record)
        return {
            **instance_members(record),
            "State": states.shown(record["InstanceState"]),
            "SecurityGroups": groups,
            "NetworkInterfaces": [{**interface, "Groups": groups} for interface in record.get("NetworkInterfaces", ())],
            "BlockDeviceMappings": mappings(record),
            **self._table.tags.shown(region, record["InstanceId"]),
        }

    def groups(self, record: Record) -> list[Record]:
        """The security groups of an instance."""
        region = record["Region"]
        return [
            {"GroupId": group_id, "GroupName": self.group_name(region, group_id)} for group_id in record["GroupIds"]
        ]

    def reservations(self, region: str, records: Sequence[Record]) -> list[Record]:
        """Instances by the request that made them."""

        def reservation(record: Record) -> str:
            return str(record["ReservationId"])

        found = []
        for reservation_id, together in groupby(sorted(records, key=reservation), reservation):
            instances = sorted(together, key=lambda record: int(record["AmiLaunchIndex"]))
            found.append(
                {
                    "ReservationId": reservation_id,
                    "OwnerId": self._table.account_id,
                    "Groups": [],
                    "Instances": [self.instance(record) for record in instances],
                }
            )
        return found


def mappings(record: Record) -> list[Record]:
    """BlockDeviceMappings: the root volume, as long as it is there."""
    volume = record.get("Volume")
    if volume is None:
        return []
    ebs = {
        "AttachTime": volume["CreateTime"],
        "DeleteOnTermination": True,
        "Status": "attached",
        "VolumeId": volume["VolumeId"],
    }
    return [{"DeviceName": record["RootDeviceName"], "Ebs": ebs}]
