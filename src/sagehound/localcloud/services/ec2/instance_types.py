"""DescribeInstanceTypes and DescribeInstanceTypeOfferings: what AWS says of the types in use, from a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.ec2 import errors, selection
from sagehound.localcloud.services.ec2.regions import zones

Record = dict[str, Any]
_FILTERS = {
    "instance-type": "InstanceType",
    "auto-recovery-supported": "AutoRecoverySupported",
    "bare-metal": "BareMetal",
    "burstable-performance-supported": "BurstablePerformanceSupported",
    "current-generation": "CurrentGeneration",
    "dedicated-hosts-supported": "DedicatedHostsSupported",
    "ebs-info.ebs-optimized-support": "EbsInfo.EbsOptimizedSupport",
    "ebs-info.encryption-support": "EbsInfo.EncryptionSupport",
    "ebs-info.nvme-support": "EbsInfo.NvmeSupport",
    "free-tier-eligible": "FreeTierEligible",
    "hibernation-supported": "HibernationSupported",
    "hypervisor": "Hypervisor",
    "instance-storage-info.disk.type": "InstanceStorageInfo.Disks.Type",
    "instance-storage-supported": "InstanceStorageSupported",
    "memory-info.size-in-mib": "MemoryInfo.SizeInMiB",
    "network-info.ena-support": "NetworkInfo.EnaSupport",
    "network-info.efa-supported": "NetworkInfo.EfaSupported",
    "network-info.network-performance": "NetworkInfo.NetworkPerformance",
    "network-info.maximum-network-interfaces": "NetworkInfo.MaximumNetworkInterfaces",
    "processor-info.supported-architecture": "ProcessorInfo.SupportedArchitectures",
    "processor-info.sustained-clock-speed-in-ghz": "ProcessorInfo.SustainedClockSpeedInGhz",
    "supported-root-device-type": "SupportedRootDeviceTypes",
    "supported-usage-class": "SupportedUsageClasses",
    "supported-virtualization-type": "SupportedVirtualizationTypes",
    "vcpu-info.default-cores": "VCpuInfo.DefaultCores",
    "vcpu-info.default-threads-per-core": "VCpuInfo.DefaultThreadsPerCore",
    "vcpu-info.default-vcpus": "VCpuInfo.DefaultVCpus",
}
_OFFERING_FILTERS = {"instance-type": "InstanceType", "location": "Location"}


@cache
def table() -> Mapping[str, Record]:
    """InstanceTypeInfo by type."""
    text = (resources.files(__package__) / "instance_types.json").read_text()
    return {record["InstanceType"]: record for record in json.loads(text)["InstanceTypes"]}


def known(name: str) -> Record:
    """One type; AwsError when AWS has none of that name, or its figures are not in the table."""
    record = table().get(name)
    if record is None:
        raise AwsError("InvalidParameterValue", f"Invalid value '{name}' for InstanceType.")
    return record


class InstanceTypes:
    """The operations."""

    def DescribeInstanceTypes(self, call: Call, request: Request) -> Response:
        """All types of the table or those that are named."""
        named = request.get("InstanceTypes", ())
        if named and request.get("MaxResults") is not None:
            raise errors.combination("The parameter instanceTypes cannot be used with the parameter maxResults")
        if unknown := [name for name in named if name not in table()]:
            listed = ", ".join(unknown)
            message = f"The following supplied instance types do not exist: [{listed}]"
            raise AwsError("InvalidInstanceType", message)
        records = [table()[name] for name in named or table()]
        found = selection.select(records, request.get("Filters", ()), _FILTERS)
        shown, token = selection.page(found, request, lambda record: str(record["InstanceType"]), largest=100)
        return {"InstanceTypes": shown, **token}

    def DescribeInstanceTypeOfferings(self, call: Call, request: Request) -> Response:
        """Every type of the table is offered everywhere: all regions and zones are this machine."""
        kind = request.get("LocationType", "region")
        names = zones(call.region)
        locations = {"region": [call.region], "availability-zone": [*names], "availability-zone-id": [*names.values()]}
        if kind not in locations:
            raise errors.invalid(kind, "locationType", "The local cloud has no outposts.")
        offered: list[Record] = [
            {"InstanceType": name, "LocationType": kind, "Location": location}
            for name in table()
            for location in locations[kind]
        ]
        found = selection.select(offered, request.get("Filters", ()), _OFFERING_FILTERS)
        shown, token = selection.page(found, request, lambda item: f"{item['InstanceType']}/{item['Location']}")
        return {"InstanceTypeOfferings": shown, **token}
