"""DescribeInstances and DescribeInstanceStatus."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.services.ec2 import errors, selection, states
from sagehound.localcloud.services.ec2.machines import Machines
from sagehound.localcloud.services.ec2.presentation import Presentation
from sagehound.localcloud.services.ec2.table import InstanceTable

Record = dict[str, Any]
_FILTERS = {
    "affinity": "Placement.Affinity",
    "architecture": "Architecture",
    "availability-zone": "Placement.AvailabilityZone",
    "availability-zone-id": "Placement.AvailabilityZoneId",
    "block-device-mapping.device-name": "BlockDeviceMappings.DeviceName",
    "block-device-mapping.status": "BlockDeviceMappings.Ebs.Status",
    "block-device-mapping.volume-id": "BlockDeviceMappings.Ebs.VolumeId",
    "client-token": "ClientToken",
    "dns-name": "PublicDnsName",
    "group-id": "SecurityGroups.GroupId",
    "group-name": "SecurityGroups.GroupName",
    "hypervisor": "Hypervisor",
    "iam-instance-profile.arn": "IamInstanceProfile.Arn",
    "iam-instance-profile.id": "IamInstanceProfile.Id",
    "image-id": "ImageId",
    "instance-id": "InstanceId",
    "instance-state-code": "State.Code",
    "instance-state-name": "State.Name",
    "instance-type": "InstanceType",
    "instance.group-id": "SecurityGroups.GroupId",
    "instance.group-name": "SecurityGroups.GroupName",
    "ip-address": "PublicIpAddress",
    "key-name": "KeyName",
    "launch-index": "AmiLaunchIndex",
    "launch-time": "LaunchTime",
    "metadata-options.http-tokens": "MetadataOptions.HttpTokens",
    "metadata-options.http-endpoint": "MetadataOptions.HttpEndpoint",
    "monitoring-state": "Monitoring.State",
    "network-interface.network-interface-id": "NetworkInterfaces.NetworkInterfaceId",
    "network-interface.subnet-id": "NetworkInterfaces.SubnetId",
    "network-interface.vpc-id": "NetworkInterfaces.VpcId",
    "owner-id": "OwnerId",
    "placement-group-name": "Placement.GroupName",
    "platform-details": "PlatformDetails",
    "private-dns-name": "PrivateDnsName",
    "private-ip-address": "PrivateIpAddress",
    "reason": "StateTransitionReason",
    "reservation-id": "ReservationId",
    "root-device-name": "RootDeviceName",
    "root-device-type": "RootDeviceType",
    "state-reason-code": "StateReason.Code",
    "state-reason-message": "StateReason.Message",
    "subnet-id": "SubnetId",
    "tenancy": "Placement.Tenancy",
    "usage-operation": "UsageOperation",
    "virtualization-type": "VirtualizationType",
    "vpc-id": "VpcId",
}
_STATUS_FILTERS = {
    "availability-zone": "AvailabilityZone",
    "instance-state-code": "InstanceState.Code",
    "instance-state-name": "InstanceState.Name",
    "instance-status.status": "InstanceStatus.Status",
    "instance-status.reachability": "InstanceStatus.Details.Status",
    "system-status.status": "SystemStatus.Status",
    "system-status.reachability": "SystemStatus.Details.Status",
}


def _order(record: Record) -> str:
    return f"{record['LaunchTime'].isoformat()}/{record['InstanceId']}"


class Instances:
    """The operations."""

    def __init__(self, table: InstanceTable, machines: Machines, presentation: Presentation) -> None:
        self._table = table
        self._machines = machines
        self._presentation = presentation

    def DescribeInstances(self, call: Call, request: Request) -> Response:
        """All instances or those that are named, filtered, by reservation."""
        records = {record["InstanceId"]: record for record in self._named(call.region, request)}
        beside = {"OwnerId": self._table.account_id}
        shown = [
            {**self._presentation.instance(record), "ReservationId": record["ReservationId"], **beside}
            for record in records.values()
        ]
        found = selection.select(shown, request.get("Filters", ()), _FILTERS)
        chosen, token = selection.page(found, request, _order)
        kept = [records[instance["InstanceId"]] for instance in chosen]
        return {"Reservations": self._presentation.reservations(call.region, kept), **token}

    def DescribeInstanceStatus(self, call: Call, request: Request) -> Response:
        """Whether instances are well: those that run, or all of them."""
        records = self._named(call.region, request)
        if not request.get("IncludeAllInstances"):
            records = [record for record in records if record["InstanceState"] == "running"]
        found = selection.select([self._status(item) for item in records], request.get("Filters", ()), _STATUS_FILTERS)
        shown, token = selection.page(found, request, lambda item: str(item["InstanceId"]))
        return {"InstanceStatuses": shown, **token}

    def _named(self, region: str, request: Request) -> list[Record]:
        if not request.get("InstanceIds"):
            return self._table.all(region)
        if request.get("MaxResults") is not None:
            raise errors.combination("The parameter instancesSet cannot be used with the parameter maxResults")
        return self._table.named(region, request["InstanceIds"])

    def _status(self, record: Record) -> Record:
        """The machine is this one, and well while it answers; the instance is while its first process lives."""
        machine: Record = {"Status": "not-applicable"}
        well = machine
        if record["InstanceState"] == "running":
            machine = {"Status": "ok", "Details": [{"Name": "reachability", "Status": "passed"}]}
            lives = self._machines.is_running(record)
            details = [{"Name": "reachability", "Status": "passed" if lives else "failed"}]
            well = {"Status": "ok" if lives else "impaired", "Details": details}
        return {
            "InstanceId": record["InstanceId"],
            "AvailabilityZone": record["Placement"]["AvailabilityZone"],
            "AvailabilityZoneId": record["Placement"]["AvailabilityZoneId"],
            "InstanceState": states.shown(record["InstanceState"]),
            "InstanceStatus": well,
            "SystemStatus": machine,
        }
