"""From a request of RunInstances to the records of its instances: everything is checked, nothing is made yet."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.ec2 import catalogue, errors, ids, launch_checks
from sagehound.localcloud.services.ec2.catalogue import Image
from sagehound.localcloud.services.ec2.images import ImageParameters, resolved
from sagehound.localcloud.services.ec2.images import known as known_image
from sagehound.localcloud.services.ec2.key_pairs import KeyPairs
from sagehound.localcloud.services.ec2.network import Network, domain, subnets, vpc_id
from sagehound.localcloud.services.ec2.profiles import Profiles
from sagehound.localcloud.services.ec2.security_groups import GroupTable
from sagehound.localcloud.services.ec2.tags import specified

Record = dict[str, Any]
TAGGED = ("instance", "volume", "network-interface")


@dataclass(frozen=True, slots=True)
class Launch:
    """What all instances of one request share."""

    request: Record
    image_id: str
    image: Image
    described: Record
    kind: Record
    interface: Record
    """As it is asked for; nothing when the request leaves it to EC2."""
    subnet: Record
    group_ids: list[str]
    volume: Record
    user_data: bytes | None
    public_key: str | None
    profile: Record | None
    metadata: Record
    tags: dict[str, dict[str, str]]


class Launches:
    """Reads requests of RunInstances."""

    def __init__(
        self, groups: GroupTable, keys: KeyPairs, network: Network, profiles: Profiles, parameters: ImageParameters
    ) -> None:
        self._groups = groups
        self._keys = keys
        self._network = network
        self._profiles = profiles
        self._parameters = parameters

    def read(self, region: str, request: Record) -> Launch:
        """A request with everything that it names; AwsError for what is not there or does not fit."""
        launch_checks.check_members(request)
        if "ImageId" not in request:
            raise errors.missing("ImageId")
        image_id = resolved(region, request["ImageId"], self._parameters)
        image = known_image(region, image_id)
        described = catalogue.described(image_id, image)
        kind = launch_checks.instance_type(request, image.architecture)
        metadata = {
            "HttpTokens": "required" if image.imds_v2 else "optional",
            "HttpPutResponseHopLimit": 2 if image.imds_v2 else 1,
            "HttpEndpoint": "enabled",
            "HttpProtocolIpv6": "disabled",
            "InstanceMetadataTags": "disabled",
        }
        interface = launch_checks.interface(request)
        placed, groups = _place(request, interface)
        profile = request.get("IamInstanceProfile")
        return Launch(
            request=request,
            image_id=image_id,
            image=image,
            described=described,
            kind=kind,
            interface=interface,
            subnet=self._subnet(region, placed, request.get("Placement", {}).get("AvailabilityZone")),
            group_ids=self._group_ids(region, groups, request.get("SecurityGroups", ())),
            volume=launch_checks.root_volume(request, image, described),
            user_data=launch_checks.user_data(request.get("UserData")),
            public_key=self._keys.public_key(region, request["KeyName"]) if "KeyName" in request else None,
            profile=self._profiles.find(profile) if profile else None,
            metadata=launch_checks.metadata_options(request.get("MetadataOptions", {}), metadata),
            tags=specified(request, *TAGGED),
        )

    def record(self, region: str, launch: Launch, reservation_id: str, index: int, now: datetime) -> Record:
        """The record of one instance, pending; its address is free until the record is kept."""
        request, instance_id, account_id = launch.request, ids.new("i"), self._groups.account_id
        wanted = request.get("PrivateIpAddress") or launch.interface.get("PrivateIpAddress")
        address = self._network.free_address(region, launch.subnet, wanted)
        host = f"ip-{address.replace('.', '-')}.{domain(region)}"
        cpu = launch.kind["VCpuInfo"]
        record: Record = {
            "Region": region,
            "InstanceState": "pending",
            "ReservationId": reservation_id,
            "FirstBootDone": False,
            "DisableApiTermination": bool(request.get("DisableApiTermination", False)),
            "DisableApiStop": bool(request.get("DisableApiStop", False)),
            "InstanceInitiatedShutdownBehavior": request.get("InstanceInitiatedShutdownBehavior", "stop"),
            "GroupIds": launch.group_ids,
            "ImageName": launch.image.name,
            "InstanceId": instance_id,
            "AmiLaunchIndex": index,
            "ImageId": launch.image_id,
            "InstanceType": launch.kind["InstanceType"],
            "LaunchTime": now.replace(microsecond=0),
            "Placement": {
                "AvailabilityZone": launch.subnet["AvailabilityZone"],
                "AvailabilityZoneId": launch.subnet["AvailabilityZoneId"],
                "GroupName": "",
                "Tenancy": "default",
            },
            "Monitoring": {"State": "disabled"},
            "PrivateDnsName": host,
            "PrivateIpAddress": address,
            "PublicDnsName": "",
            "ProductCodes": [],
            "StateTransitionReason": "",
            "SubnetId": launch.subnet["SubnetId"],
            "VpcId": vpc_id(account_id, region),
            "Architecture": launch.image.architecture,
            "ClientToken": request.get("ClientToken", ""),
            "EbsOptimized": bool(request.get("EbsOptimized", False)),
            "EnaSupport": True,
            "Hypervisor": "xen",
            "RootDeviceName": launch.image.root_device,
            "RootDeviceType": "ebs",
            "SourceDestCheck": True,
            "VirtualizationType": "hvm",
            "CpuOptions": {"CoreCount": cpu["DefaultCores"], "ThreadsPerCore": cpu["DefaultThreadsPerCore"]},
            "CapacityReservationSpecification": {
                "CapacityReservationPreference": "open",
                **request.get("CapacityReservationSpecification", {}),
            },
            "HibernationOptions": {"Configured": False},
            "EnclaveOptions": {"Enabled": False},
            "MetadataOptions": launch.metadata,
            "BootMode": launch.described["BootMode"],
            "PlatformDetails": "Linux/UNIX",
            "UsageOperation": "RunInstances",
            "UsageOperationUpdateTime": now.replace(microsecond=0),
            "PrivateDnsNameOptions": {
                **launch.subnet["PrivateDnsNameOptionsOnLaunch"],
                **request.get("PrivateDnsNameOptions", {}),
            },
            "MaintenanceOptions": {"AutoRecovery": "default", **request.get("MaintenanceOptions", {})},
            "Volume": {**launch.volume, "VolumeId": ids.new("vol"), "CreateTime": now.replace(microsecond=0)},
        }
        description = launch.interface.get("Description", "")
        record["NetworkInterfaces"] = [{**_interface(record, account_id), "Description": description}]
        if launch.user_data is not None:
            record["UserData"] = launch.user_data
        if launch.public_key is not None:
            record |= {"KeyName": request["KeyName"], "PublicKey": launch.public_key}
        if launch.profile is not None:
            kept = {**self._profiles.association(launch.profile), "Timestamp": now.replace(microsecond=0)}
            record |= {"IamInstanceProfile": launch.profile, "Profile": kept}
        if launch.kind["BurstablePerformanceSupported"]:
            usual = "standard" if launch.kind["InstanceType"].startswith("t2.") else "unlimited"
            record["CpuCredits"] = request.get("CreditSpecification", {}).get("CpuCredits", usual)
        return record

    def _subnet(self, region: str, subnet_id: str | None, zone: str | None) -> Record:
        known = subnets(self._groups.account_id, region)
        if subnet_id is not None:
            ids.check("subnet", "InvalidSubnetID.Malformed", subnet_id)
            known = [subnet for subnet in known if subnet["SubnetId"] == subnet_id]
            if not known:
                raise errors.not_found("InvalidSubnetID.NotFound", "subnet ID", [subnet_id])
        if zone is not None:
            known = [subnet for subnet in known if subnet["AvailabilityZone"] == zone]
            if not known:
                raise AwsError("InvalidParameterValue", f"Invalid availability zone: [{zone}]")
        return known[0]

    def _group_ids(self, region: str, group_ids: list[str] | None, names: Any) -> list[str]:
        found = [self._groups.get(region, group_id)["GroupId"] for group_id in group_ids or ()]
        found += [self._groups.named(region, name)["GroupId"] for name in names]
        return list(dict.fromkeys(found)) or [self._groups.default_id(region)]


def _place(request: Record, interface: Record) -> tuple[str | None, list[str] | None]:
    """The subnet and the groups, from the request itself or from its one network interface."""
    if not interface:
        return request.get("SubnetId"), request.get("SecurityGroupIds")
    for member in ("SubnetId", "SecurityGroupIds", "SecurityGroups"):
        if request.get(member):
            kind = "subnet ID" if member == "SubnetId" else "security groups"
            raise errors.combination(
                f"Network interfaces and an instance-level {kind} may not be specified on the same request"
            )
    return interface.get("SubnetId"), interface.get("Groups")


def _interface(record: Record, account_id: str) -> Record:
    """The one network interface of an instance, as DescribeInstances has it; its groups are added when it is shown."""
    digits = hashlib.blake2b(record["InstanceId"].encode(), digest_size=5).hexdigest()
    mac = ":".join(["0e", *(digits[at : at + 2] for at in range(0, 10, 2))])
    address, host = record["PrivateIpAddress"], record["PrivateDnsName"]
    return {
        "NetworkInterfaceId": ids.new("eni"),
        "Attachment": {
            "AttachmentId": ids.new("eni-attach"),
            "AttachTime": record["LaunchTime"],
            "DeleteOnTermination": True,
            "DeviceIndex": 0,
            "NetworkCardIndex": 0,
            "Status": "attached",
        },
        "InterfaceType": "interface",
        "Ipv6Addresses": [],
        "MacAddress": mac,
        "OwnerId": account_id,
        "PrivateDnsName": host,
        "PrivateIpAddress": address,
        "PrivateIpAddresses": [{"Primary": True, "PrivateDnsName": host, "PrivateIpAddress": address}],
        "SourceDestCheck": True,
        "Status": "in-use",
        "SubnetId": record["SubnetId"],
        "VpcId": record["VpcId"],
    }
