"""DescribeVolumes and DescribeNetworkInterfaces: the root volume and the one interface of each instance, read only."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.services.ec2 import errors, ids, selection
from sagehound.localcloud.services.ec2.presentation import Presentation
from sagehound.localcloud.services.ec2.table import InstanceTable

Record = dict[str, Any]
_VOLUME_FILTERS = {
    "attachment.attach-time": "Attachments.AttachTime",
    "attachment.delete-on-termination": "Attachments.DeleteOnTermination",
    "attachment.device": "Attachments.Device",
    "attachment.instance-id": "Attachments.InstanceId",
    "attachment.status": "Attachments.State",
    "availability-zone": "AvailabilityZone",
    "create-time": "CreateTime",
    "encrypted": "Encrypted",
    "size": "Size",
    "snapshot-id": "SnapshotId",
    "status": "State",
    "volume-id": "VolumeId",
    "volume-type": "VolumeType",
}
_INTERFACE_FILTERS = {
    "addresses.private-ip-address": "PrivateIpAddresses.PrivateIpAddress",
    "attachment.attachment-id": "Attachment.AttachmentId",
    "attachment.instance-id": "Attachment.InstanceId",
    "attachment.status": "Attachment.Status",
    "availability-zone": "AvailabilityZone",
    "description": "Description",
    "group-id": "Groups.GroupId",
    "group-name": "Groups.GroupName",
    "interface-type": "InterfaceType",
    "mac-address": "MacAddress",
    "network-interface-id": "NetworkInterfaceId",
    "owner-id": "OwnerId",
    "private-dns-name": "PrivateDnsName",
    "private-ip-address": "PrivateIpAddress",
    "status": "Status",
    "subnet-id": "SubnetId",
    "vpc-id": "VpcId",
}


class Attached:
    """The operations: both are told from the records of instances, so they are there as long as those are."""

    def __init__(self, table: InstanceTable, presentation: Presentation) -> None:
        self._table = table
        self._presentation = presentation

    def exists(self, region: str, resource_id: str) -> bool:
        """Whether an instance has this volume or interface."""
        return any(
            resource_id == record.get("Volume", {}).get("VolumeId")
            or any(resource_id == item["NetworkInterfaceId"] for item in record.get("NetworkInterfaces", ()))
            for record in self._table.all(region)
        )

    def DescribeVolumes(self, call: Call, request: Request) -> Response:
        """The root volumes of instances that are not terminated."""
        found = [self._volume(call.region, item) for item in self._table.all(call.region) if "Volume" in item]
        if wanted := request.get("VolumeIds"):
            ids.check("vol", "InvalidParameterValue", *wanted)
            if absent := [name for name in wanted if name not in [volume["VolumeId"] for volume in found]]:
                raise errors.not_found("InvalidVolume.NotFound", "volume", absent)
            found = [volume for volume in found if volume["VolumeId"] in wanted]
        chosen = selection.select(found, request.get("Filters", ()), _VOLUME_FILTERS)
        shown, token = selection.page(chosen, request, lambda volume: str(volume["VolumeId"]))
        return {"Volumes": shown, **token}

    def DescribeNetworkInterfaces(self, call: Call, request: Request) -> Response:
        """The interfaces of instances that are not terminated."""
        found = [
            self._interface(record, interface)
            for record in self._table.all(call.region)
            for interface in record.get("NetworkInterfaces", ())
        ]
        if wanted := request.get("NetworkInterfaceIds"):
            ids.check("eni", "InvalidNetworkInterfaceId.Malformed", *wanted)
            if absent := [name for name in wanted if name not in [item["NetworkInterfaceId"] for item in found]]:
                raise errors.not_found("InvalidNetworkInterfaceID.NotFound", "networkInterface ID", absent)
            found = [item for item in found if item["NetworkInterfaceId"] in wanted]
        chosen = selection.select(found, request.get("Filters", ()), _INTERFACE_FILTERS)
        shown, token = selection.page(chosen, request, lambda item: str(item["NetworkInterfaceId"]))
        return {"NetworkInterfaces": shown, **token}

    def _volume(self, region: str, record: Record) -> Record:
        volume = record["Volume"]
        attachment = {
            "AttachTime": volume["CreateTime"],
            "DeleteOnTermination": True,
            "Device": record["RootDeviceName"],
            "InstanceId": record["InstanceId"],
            "State": "attached",
            "VolumeId": volume["VolumeId"],
        }
        members = ("VolumeId", "SnapshotId", "VolumeType", "Iops", "Throughput", "CreateTime")
        return {
            **{name: volume[name] for name in members if name in volume},
            "Size": volume["VolumeSize"],
            "State": "in-use",
            "Encrypted": False,
            "MultiAttachEnabled": False,
            "AvailabilityZone": record["Placement"]["AvailabilityZone"],
            "Attachments": [attachment],
            **self._table.tags.shown(region, volume["VolumeId"]),
        }

    def _interface(self, record: Record, interface: Record) -> Record:
        tags = self._table.tags.shown(record["Region"], interface["NetworkInterfaceId"]).get("Tags")
        owner = {"InstanceId": record["InstanceId"], "InstanceOwnerId": self._table.account_id}
        return {
            **interface,
            "Attachment": {**interface["Attachment"], **owner},
            "AvailabilityZone": record["Placement"]["AvailabilityZone"],
            "Groups": self._presentation.groups(record),
            "RequesterManaged": False,
            # Tags are filtered by one name and told by another.
            **({"Tags": tags, "TagSet": tags} if tags else {"TagSet": []}),
        }
