"""The default network of a region: VPC, subnets, gateway, route table, DHCP options; read only"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.ec2 import errors, ids, selection
from sagehound.localcloud.services.ec2.regions import zones
from sagehound.localcloud.services.ec2.tags import TagTable
from sagehound.localcloud.state import arns

Record = dict[str, Any]
CIDR = "172.31.0.0/16"
_RESERVED = 5
"""Addresses of each subnet that AWS keeps: the first four and the last."""
_VPC_FILTERS = {
    "vpc-id": "VpcId",
    "is-default": "IsDefault",
    "isDefault": "IsDefault",
    "cidr": "CidrBlock",
    "state": "State",
    "owner-id": "OwnerId",
    "dhcp-options-id": "DhcpOptionsId",
    "cidr-block-association.cidr-block": "CidrBlockAssociationSet.CidrBlock",
}
_SUBNET_FILTERS = {
    "subnet-id": "SubnetId",
    "vpc-id": "VpcId",
    "availability-zone": "AvailabilityZone",
    "availabilityZone": "AvailabilityZone",
    "availability-zone-id": "AvailabilityZoneId",
    "cidr-block": "CidrBlock",
    "default-for-az": "DefaultForAz",
    "defaultForAz": "DefaultForAz",
    "map-public-ip-on-launch": "MapPublicIpOnLaunch",
    "state": "State",
    "owner-id": "OwnerId",
    "subnet-arn": "SubnetArn",
}
_GATEWAY_FILTERS = {
    "internet-gateway-id": "InternetGatewayId",
    "attachment.vpc-id": "Attachments.VpcId",
    "attachment.state": "Attachments.State",
    "owner-id": "OwnerId",
}
_ROUTE_FILTERS = {
    "route-table-id": "RouteTableId",
    "vpc-id": "VpcId",
    "association.main": "Associations.Main",
    "association.route-table-id": "Associations.RouteTableId",
    "route.gateway-id": "Routes.GatewayId",
    "owner-id": "OwnerId",
}
_DHCP_FILTERS = {"dhcp-options-id": "DhcpOptionsId", "key": "DhcpConfigurations.Key", "owner-id": "OwnerId"}


def vpc_id(account_id: str, region: str) -> str:
    """The region's default VPC, the only one that there is."""
    return ids.stable("vpc", account_id, region)


def domain(region: str) -> str:
    """What private host names end with."""
    return "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"


def subnets(account_id: str, region: str) -> list[Record]:
    """The default subnets, one a zone; how many addresses are free is not in them."""
    blocks = ipaddress.ip_network(CIDR).subnets(new_prefix=20)
    found = []
    for (zone, zone_id), block in zip(zones(region).items(), blocks, strict=False):
        subnet_id = ids.stable("subnet", account_id, zone)
        found.append(
            {
                "SubnetId": subnet_id,
                "SubnetArn": arns.make("ec2", region, account_id, f"subnet/{subnet_id}"),
                "VpcId": vpc_id(account_id, region),
                "OwnerId": account_id,
                "AvailabilityZone": zone,
                "AvailabilityZoneId": zone_id,
                "CidrBlock": str(block),
                "State": "available",
                "DefaultForAz": True,
                # Nothing from outside reaches an instance of this machine, so none gets an address that says so.
                "MapPublicIpOnLaunch": False,
                "MapCustomerOwnedIpOnLaunch": False,
                "AssignIpv6AddressOnCreation": False,
                "Ipv6CidrBlockAssociationSet": [],
                "EnableDns64": False,
                "Ipv6Native": False,
                "PrivateDnsNameOptionsOnLaunch": {
                    "HostnameType": "ip-name",
                    "EnableResourceNameDnsARecord": False,
                    "EnableResourceNameDnsAAAARecord": False,
                },
            }
        )
    return found


class Network:
    """The operations. `addresses` tells which private addresses of a region are taken."""

    def __init__(self, account_id: str, tags: TagTable, addresses: Callable[[str], set[str]]) -> None:
        self._account_id = account_id
        self._tags = tags
        self._addresses = addresses

    def exists(self, region: str, resource_id: str) -> bool:
        """Whether this is the id of a part of the default network."""
        own = [ids.stable(kind, self._account_id, region) for kind in ("vpc", "igw", "rtb", "dopt")]
        return resource_id in own or any(
            subnet["SubnetId"] == resource_id for subnet in subnets(self._account_id, region)
        )

    def free_address(self, region: str, subnet: Record, wanted: str | None) -> str:
        """A private address of a subnet for a new instance."""
        taken, block = self._addresses(region), ipaddress.IPv4Network(subnet["CidrBlock"])
        usable = range(int(block.network_address) + _RESERVED - 1, int(block.broadcast_address))
        if wanted is not None:
            if _number(wanted) not in usable:
                raise AwsError(
                    "InvalidParameterValue", f"Address {wanted} does not fall within the subnet's address range"
                )
            if wanted in taken:
                raise AwsError("InvalidIPAddress.InUse", f"Address {wanted} is in use.")
            return wanted
        addresses = (str(ipaddress.IPv4Address(number)) for number in usable)
        found = next((address for address in addresses if address not in taken), None)
        if found is None:
            message = f"There are not enough free addresses in subnet '{subnet['SubnetId']}' to satisfy the request."
            raise AwsError("InsufficientFreeAddressesInSubnet", message)
        return found

    def DescribeVpcs(self, call: Call, request: Request) -> Response:
        """The default VPC."""
        own = vpc_id(self._account_id, call.region)
        found: Record = {
            "VpcId": own,
            "CidrBlock": CIDR,
            "CidrBlockAssociationSet": [
                {
                    "AssociationId": ids.stable("vpc-cidr-assoc", self._account_id, call.region),
                    "CidrBlock": CIDR,
                    "CidrBlockState": {"State": "associated"},
                }
            ],
            "DhcpOptionsId": ids.stable("dopt", self._account_id, call.region),
            "State": "available",
            "OwnerId": self._account_id,
            "InstanceTenancy": "default",
            "IsDefault": True,
            **self._tags.shown(call.region, own),
        }
        chosen = self._named(request, "VpcIds", "vpc", "InvalidVpcID", [found], "VpcId", "vpc ID")
        return _answer(chosen, request, _VPC_FILTERS, "Vpcs", "VpcId")

    def DescribeSubnets(self, call: Call, request: Request) -> Response:
        """The default subnets, with the addresses that instances have left."""
        taken = [ipaddress.ip_address(address) for address in self._addresses(call.region)]
        found = []
        for subnet in subnets(self._account_id, call.region):
            block = ipaddress.ip_network(subnet["CidrBlock"])
            free = block.num_addresses - _RESERVED - sum(address in block for address in taken)
            tags = self._tags.shown(call.region, subnet["SubnetId"])
            found.append({**subnet, "AvailableIpAddressCount": free, **tags})
        chosen = self._named(request, "SubnetIds", "subnet", "InvalidSubnetID", found, "SubnetId", "subnet ID")
        return _answer(chosen, request, _SUBNET_FILTERS, "Subnets", "SubnetId")

    def DescribeInternetGateways(self, call: Call, request: Request) -> Response:
        """The gateway of the default VPC: programs of an instance reach what this machine reaches."""
        own = ids.stable("igw", self._account_id, call.region)
        found: Record = {
            "InternetGatewayId": own,
            "OwnerId": self._account_id,
            "Attachments": [{"State": "available", "VpcId": vpc_id(self._account_id, call.region)}],
            **self._tags.shown(call.region, own),
        }
        named = "InternetGatewayIds"
        chosen = self._named(
            request, named, "igw", "InvalidInternetGatewayID", [found], named[:-1], "internetGateway ID"
        )
        return _answer(chosen, request, _GATEWAY_FILTERS, "InternetGateways", "InternetGatewayId")

    def DescribeRouteTables(self, call: Call, request: Request) -> Response:
        """The main route table of the default VPC."""
        own = ids.stable("rtb", self._account_id, call.region)
        route = {"State": "active", "Origin": "CreateRouteTable"}
        gateway = ids.stable("igw", self._account_id, call.region)
        association = {
            "Main": True,
            "RouteTableAssociationId": ids.stable("rtbassoc", self._account_id, call.region),
            "RouteTableId": own,
            "AssociationState": {"State": "associated"},
        }
        found: Record = {
            "RouteTableId": own,
            "VpcId": vpc_id(self._account_id, call.region),
            "OwnerId": self._account_id,
            "Associations": [association],
            "PropagatingVgws": [],
            "Routes": [
                {**route, "DestinationCidrBlock": CIDR, "GatewayId": "local", "Origin": "CreateRouteTable"},
                {**route, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gateway, "Origin": "CreateRoute"},
            ],
            **self._tags.shown(call.region, own),
        }
        named = "RouteTableIds"
        chosen = self._named(request, named, "rtb", "InvalidRouteTableID", [found], named[:-1], "routeTable ID")
        return _answer(chosen, request, _ROUTE_FILTERS, "RouteTables", "RouteTableId")

    def DescribeDhcpOptions(self, call: Call, request: Request) -> Response:
        """The options of the default VPC."""
        own = ids.stable("dopt", self._account_id, call.region)
        settings = {"domain-name": domain(call.region), "domain-name-servers": "AmazonProvidedDNS"}
        found: Record = {
            "DhcpOptionsId": own,
            "OwnerId": self._account_id,
            "DhcpConfigurations": [{"Key": key, "Values": [{"Value": value}]} for key, value in settings.items()],
            **self._tags.shown(call.region, own),
        }
        named = "DhcpOptionsIds"
        chosen = self._named(request, named, "dopt", "InvalidDhcpOptionID", [found], "DhcpOptionsId", "dhcpOption ID")
        return _answer(chosen, request, _DHCP_FILTERS, "DhcpOptions", "DhcpOptionsId")

    def _named(
        self, request: Request, member: str, prefix: str, code: str, found: Sequence[Record], key: str, kind: str
    ) -> list[Record]:
        """Those that the request names, or all."""
        wanted = request.get(member)
        if not wanted:
            return list(found)
        ids.check(prefix, f"{code}.Malformed", *wanted)
        have = {record[key]: record for record in found}
        if absent := [resource_id for resource_id in wanted if resource_id not in have]:
            raise errors.not_found(f"{code}.NotFound", kind, absent)
        return [have[resource_id] for resource_id in wanted]


def _number(address: str) -> int:
    try:
        return int(ipaddress.IPv4Address(address))
    except ValueError as reason:
        raise errors.invalid(address, "privateIpAddress", "It is not an IPv4 address.") from reason


def _answer(found: Sequence[Record], request: Request, paths: selection.Paths, member: str, key: str) -> Response:
    chosen = selection.select(found, request.get("Filters", ()), paths)
    shown, token = selection.page(chosen, request, lambda record: str(record[key]))
    return {member: shown, **token}
