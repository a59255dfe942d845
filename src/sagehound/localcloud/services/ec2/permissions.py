"""IpPermissions and security group rules: one permission of a request is a rule for each of its sources."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Any

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.ec2 import errors

Record = dict[str, Any]
_NUMBERS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6"}
_PEERS = ("CidrIpv4", "CidrIpv6", "ReferencedGroupInfo")
_RANGES = (("IpRanges", "CidrIp", "CidrIpv4", 4), ("Ipv6Ranges", "CidrIpv6", "CidrIpv6", 6))


def rules_of(request: Record, account_id: str) -> list[Record]:
    """The rules that Authorize* and Revoke* ask for; without ids. Whether the groups exist is the caller's to see."""
    given = list(request.get("IpPermissions", ()))
    if not given and "IpProtocol" in request:
        given = [_flat(request)]
    if not given:
        raise errors.missing("ipPermissions")
    return [rule for permission in given for rule in _rules(permission, account_id)]


def permissions(rules: Sequence[Record], *, egress: bool) -> list[Record]:
    """Rules of one direction as IpPermissions: those of the same protocol and ports together."""
    found: dict[tuple[Any, ...], Record] = {}
    for rule in rules:
        if rule["IsEgress"] != egress:
            continue
        key = (rule["IpProtocol"], rule["FromPort"], rule["ToPort"])
        ports = {} if rule["IpProtocol"] == "-1" else {"FromPort": rule["FromPort"], "ToPort": rule["ToPort"]}
        empty: Record = {"IpRanges": [], "Ipv6Ranges": [], "PrefixListIds": [], "UserIdGroupPairs": []}
        permission = found.setdefault(key, {"IpProtocol": rule["IpProtocol"], **ports, **empty})
        said = {"Description": rule["Description"]} if "Description" in rule else {}
        if "CidrIpv4" in rule:
            permission["IpRanges"].append({"CidrIp": rule["CidrIpv4"], **said})
        elif "CidrIpv6" in rule:
            permission["Ipv6Ranges"].append({"CidrIpv6": rule["CidrIpv6"], **said})
        else:
            permission["UserIdGroupPairs"].append({**rule["ReferencedGroupInfo"], **said})
    return list(found.values())


def same(one: Record, other: Record) -> bool:
    """Whether two rules allow the same; what they are called does not matter."""
    members = ("IsEgress", "IpProtocol", "FromPort", "ToPort", *_PEERS)
    return all(one.get(member) == other.get(member) for member in members)


def shown(rule: Record) -> str:
    """A rule as AWS's refusals write it: `peer: 0.0.0.0/0, TCP, from port: 22, to port: 22, ALLOW`."""
    peer = rule.get("CidrIpv4") or rule.get("CidrIpv6") or rule["ReferencedGroupInfo"]["GroupId"]
    if rule["IpProtocol"] == "-1":
        return f"peer: {peer}, ALL, ALLOW"
    ports = f"from port: {rule['FromPort']}, to port: {rule['ToPort']}"
    return f"peer: {peer}, {rule['IpProtocol'].upper()}, {ports}, ALLOW"


def _flat(request: Record) -> Record:
    """IpProtocol, FromPort, ToPort and CidrIp of the request itself."""
    permission: Record = {name: request[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in request}
    if "CidrIp" in request:
        permission["IpRanges"] = [{"CidrIp": request["CidrIp"]}]
    return permission


def _rules(permission: Record, account_id: str) -> Iterator[Record]:
    protocol = str(permission.get("IpProtocol", "")).lower()
    protocol = _NUMBERS.get(protocol, protocol)
    if permission.get("PrefixListIds"):
        raise errors.unsupported("prefix lists")
    base = {"IpProtocol": protocol, **_ports(protocol, permission)}
    found = 0
    for member, key, name, version in _RANGES:
        for item in permission.get(member, ()):
            found += 1
            yield {**base, name: _cidr(item.get(key, ""), version), **_description(item)}
    for pair in permission.get("UserIdGroupPairs", ()):
        found += 1
        if "GroupId" not in pair and "GroupName" not in pair:
            raise errors.missing("groupId")
        reference = {"GroupId": pair.get("GroupId", ""), "UserId": account_id}
        if "GroupId" not in pair:
            reference["GroupName"] = pair["GroupName"]
        yield {**base, "ReferencedGroupInfo": reference, **_description(pair)}
    if not found:
        raise AwsError("InvalidParameterValue", "Invalid value for portRange. Must specify a source or destination.")


def _ports(protocol: str, permission: Record) -> Record:
    if protocol == "-1":
        return {"FromPort": -1, "ToPort": -1}
    if protocol not in _NUMBERS.values():
        if not protocol.isdecimal() or int(protocol) > 255:
            raise AwsError(
                "InvalidPermission.Malformed", f'Unsupported IP protocol "{protocol}" - supported: tcp, udp, icmp'
            )
        return {"FromPort": -1, "ToPort": -1}
    if "FromPort" not in permission or "ToPort" not in permission:
        if protocol.startswith("icmp"):
            return {"FromPort": -1, "ToPort": -1}
        raise AwsError(
            "InvalidParameterValue", "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange."
        )
    first, last = permission["FromPort"], permission["ToPort"]
    if not protocol.startswith("icmp") and not 0 <= first <= last <= 65535:
        raise AwsError(
            "InvalidParameterValue", f"Invalid value '{first}-{last}' for portRange. Must be within 0 and 65535."
        )
    return {"FromPort": first, "ToPort": last}


def _cidr(text: str, version: int) -> str:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError as reason:
        raise AwsError("InvalidParameterValue", f"CIDR block {text} is malformed") from reason
    if network.version != version or "/" not in text:
        raise AwsError("InvalidParameterValue", f"CIDR block {text} is malformed")
    return str(network)


def _description(item: Record) -> Record:
    if "Description" not in item:
        return {}
    if len(item["Description"]) > 255:
        raise AwsError("InvalidParameterValue", "A rule's description has at most 255 characters.")
    return {"Description": item["Description"]}
