"""What RunInstances refuses before anything is made: members that do not go together, and what is not here."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.ec2 import errors, instance_types
from sagehound.localcloud.services.ec2.catalogue import Image

Record = dict[str, Any]
USER_DATA_LIMIT = 16 * 1024
_REFUSED = {
    "InstanceMarketOptions": "spot instances",
    "LaunchTemplate": "launch templates",
    "ElasticGpuSpecification": "elastic GPUs",
    "ElasticInferenceAccelerators": "elastic inference accelerators",
    "LicenseSpecifications": "licenses",
    "KernelId": "kernels of paravirtual images",
    "RamdiskId": "RAM disks of paravirtual images",
    "Ipv6Addresses": "IPv6 addresses",
    "Ipv6AddressCount": "IPv6 addresses",
    "SecondaryInterfaces": "secondary interfaces",
    "CpuOptions": "other numbers of cores than the type's",
    "NetworkPerformanceOptions": "bandwidth weightings",
    "EnablePrimaryIpv6": "IPv6 addresses",
    "Operator": "instances that a service manages",
}
_OF_AN_INTERFACE = ("DeviceIndex", "SubnetId", "Groups", "PrivateIpAddress", "Description", "NetworkCardIndex")
"""Members of a network interface that have an effect."""
_OLDEST = "m1.small"
"""The type of a request that names none, on AWS; it takes no image that there is here."""
_EBS_TYPES = ("gp2", "gp3", "io1", "io2", "standard", "st1", "sc1")
_METADATA = {
    "HttpTokens": ("optional", "required"),
    "HttpEndpoint": ("enabled", "disabled"),
    "HttpProtocolIpv6": ("enabled", "disabled"),
    "InstanceMetadataTags": ("enabled", "disabled"),
}
LARGEST_VOLUME = {"gp2": 16384, "gp3": 65536, "standard": 1024}


def check_members(request: Record) -> None:
    """Members that this cloud has nothing for are refused by name, not ignored."""
    for member, what in _REFUSED.items():
        if request.get(member):
            raise errors.unsupported(what)
    switches = (
        ("Monitoring", "Enabled", "detailed monitoring: it publishes no metrics of instances"),
        ("HibernationOptions", "Configured", "hibernation"),
        ("EnclaveOptions", "Enabled", "enclaves"),
    )
    for member, switch, what in switches:
        if request.get(member, {}).get(switch):
            raise errors.unsupported(what)
    if request.get("CapacityReservationSpecification", {}).get("CapacityReservationTarget"):
        raise errors.unsupported("capacity reservations")
    if request.get("PrivateDnsNameOptions", {}).get("HostnameType", "ip-name") != "ip-name":
        raise errors.unsupported("host names that are not made of the private address")
    placement = request.get("Placement", {})
    if placement.get("Tenancy", "default") != "default":
        raise errors.unsupported("dedicated tenancy")
    for member in ("GroupName", "GroupId", "HostId", "HostResourceGroupArn", "PartitionNumber", "Affinity"):
        if placement.get(member):
            raise errors.unsupported("placement groups and dedicated hosts")
    least, most = request["MinCount"], request["MaxCount"]
    if least < 1:
        raise errors.invalid(least, "minCount", "Expecting a value greater than 0.")
    if most < least:
        raise errors.invalid(most, "maxCount", "maxCount must be equal to or greater than minCount")


def interface(request: Record) -> Record:
    """The one network interface that a request asks for, or nothing; what is not kept of one is refused by name."""
    interfaces = request.get("NetworkInterfaces") or [{}]
    asked: Record = dict(interfaces[0])
    if len(interfaces) > 1 or asked.get("DeviceIndex", 0) != 0:
        raise errors.unsupported("more than one network interface of an instance")
    if asked.pop("NetworkInterfaceId", None):
        raise errors.unsupported("network interfaces that are made apart from their instance")
    if asked.pop("AssociatePublicIpAddress", False):
        raise errors.unsupported("public addresses: an instance is reached from this machine only")
    if asked.pop("DeleteOnTermination", True) is False:
        raise errors.unsupported("network interfaces that outlive their instance")
    if asked.pop("InterfaceType", "interface") != "interface":
        raise errors.unsupported("Elastic Fabric Adapters")
    for member, value in asked.items():
        if value and member not in _OF_AN_INTERFACE:
            raise errors.unsupported(f"{member} of a network interface")
    return asked


def instance_type(request: Record, architecture: str) -> Record:
    """The facts of the type; AwsError where the image does not run on it."""
    name = request.get("InstanceType", _OLDEST)
    if name == _OLDEST:
        message = (
            "Non-Windows instances with a virtualization type of 'hvm' are currently not supported for this instance "
            f"type : {name}"
        )
        raise errors.combination(message)
    record = instance_types.known(name)
    supported = record["ProcessorInfo"]["SupportedArchitectures"]
    if architecture not in supported:
        message = (
            f"The architecture '{','.join(supported)}' of the specified instance type does not match the architecture "
            f"'{architecture}' of the specified AMI. Specify an instance type and an AMI that have matching "
            "architectures, and try again. You can use 'describe-instance-types' or 'describe-images' to discover the "
            "architecture of the instance type or AMI."
        )
        raise AwsError("InvalidParameterValue", message)
    if "CreditSpecification" in request:
        if not record["BurstablePerformanceSupported"]:
            message = f"CreditSpecification is not supported for the {name} instance type."
            raise errors.combination(message)
        if request["CreditSpecification"].get("CpuCredits") not in ("standard", "unlimited"):
            raise errors.invalid(request["CreditSpecification"].get("CpuCredits"), "CpuCredits", "standard, unlimited")
    return record


def user_data(text: str | None) -> bytes | None:
    """UserData with its base64 taken off; None when there is none."""
    if not text:
        return None
    try:
        decoded = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as reason:
        raise AwsError("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.") from reason
    if len(decoded) > USER_DATA_LIMIT:
        raise AwsError("InvalidParameterValue", f"User data is limited to {USER_DATA_LIMIT} bytes")
    return decoded


def metadata_options(given: Record, current: Record) -> Record:
    """MetadataOptions with what a request changes of them."""
    for member, allowed in _METADATA.items():
        if member in given and given[member] not in allowed:
            raise errors.invalid(given[member], member, f"Valid values: {', '.join(allowed)}.")
    if given.get("HttpProtocolIpv6") == "enabled":
        raise errors.unsupported("a metadata service on IPv6")
    hops = given.get("HttpPutResponseHopLimit", 1)
    if not 1 <= hops <= 64:
        raise errors.invalid(hops, "HttpPutResponseHopLimit", "Must be between 1 and 64.")
    return {**current, **given, "State": "applied"}


def root_volume(request: Record, image: Image, described: Record) -> Record:
    """The root volume of a new instance: the image's, with what BlockDeviceMappings say of it."""
    volume: Record = dict(described["BlockDeviceMappings"][0]["Ebs"])
    for mapping in request.get("BlockDeviceMappings", ()):
        name = mapping.get("DeviceName", "")
        if not name:
            raise errors.missing("deviceName")
        if name != image.root_device:
            raise errors.unsupported(
                f"volumes beside the root volume: this image's is {image.root_device}, the request has {name}"
            )
        ebs = mapping.get("Ebs", {})
        if ebs.get("Encrypted") or ebs.get("KmsKeyId"):
            raise errors.unsupported("encrypted volumes: what an instance writes lies plain in the data directory")
        if ebs.get("DeleteOnTermination") is False:
            raise errors.unsupported("volumes that outlive their instance")
        if ebs.get("SnapshotId", volume["SnapshotId"]) != volume["SnapshotId"]:
            raise errors.unsupported("snapshots")
        for member in ("VolumeSize", "VolumeType", "Iops", "Throughput"):
            if member in ebs:
                volume[member] = ebs[member]
    smallest = described["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"]
    if volume["VolumeSize"] < smallest:
        message = (
            f"Volume of size {volume['VolumeSize']}GB is smaller than snapshot '{volume['SnapshotId']}', "
            f"expect size >= {smallest}GB"
        )
        raise AwsError("InvalidBlockDeviceMapping", message)
    if volume["VolumeType"] not in _EBS_TYPES:
        raise errors.invalid(volume["VolumeType"], "volumeType", f"Valid values: {', '.join(_EBS_TYPES)}.")
    if volume["VolumeSize"] > LARGEST_VOLUME.get(volume["VolumeType"], 16384):
        raise errors.invalid(volume["VolumeSize"], "volumeSize", "The volume is too large for its type.")
    return _with_performance(volume)


def _with_performance(volume: Record) -> Record:
    """Iops and Throughput, where the type has them: what is asked for, or what AWS gives."""
    kind, size = volume["VolumeType"], volume["VolumeSize"]
    if "Iops" in volume and kind not in ("gp3", "io1", "io2"):
        raise errors.combination(f"The parameter iops is not supported for {kind} volumes.")
    if "Throughput" in volume and kind != "gp3":
        raise errors.combination(f"The parameter throughput is not supported for {kind} volumes.")
    if kind in ("io1", "io2") and "Iops" not in volume:
        raise errors.missing("iops")
    given = {"gp2": {"Iops": min(max(100, 3 * size), 16000)}, "gp3": {"Iops": 3000, "Throughput": 125}}
    return {**given.get(kind, {}), **volume}
