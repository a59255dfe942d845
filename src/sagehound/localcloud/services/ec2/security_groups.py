"""Security groups made, described and deleted: kept and checked as on AWS, while no packet is filtered."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.ec2 import errors, ids, selection
from sagehound.localcloud.services.ec2.network import vpc_id
from sagehound.localcloud.services.ec2.permissions import permissions
from sagehound.localcloud.services.ec2.tags import TagTable, specified
from sagehound.localcloud.state import arns
from sagehound.localcloud.state.store import Store

KIND = "ec2-security-group"
MOST_GROUPS = 2500
Record = dict[str, Any]
_NAME = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{1,255}")
_FILTERS = {
    "group-id": "GroupId",
    "group-name": "GroupName",
    "description": "Description",
    "vpc-id": "VpcId",
    "owner-id": "OwnerId",
    "ip-permission.protocol": "IpPermissions.IpProtocol",
    "ip-permission.from-port": "IpPermissions.FromPort",
    "ip-permission.to-port": "IpPermissions.ToPort",
    "ip-permission.cidr": "IpPermissions.IpRanges.CidrIp",
    "ip-permission.ipv6-cidr": "IpPermissions.Ipv6Ranges.CidrIpv6",
    "ip-permission.group-id": "IpPermissions.UserIdGroupPairs.GroupId",
    "egress.ip-permission.protocol": "IpPermissionsEgress.IpProtocol",
    "egress.ip-permission.from-port": "IpPermissionsEgress.FromPort",
    "egress.ip-permission.to-port": "IpPermissionsEgress.ToPort",
    "egress.ip-permission.cidr": "IpPermissionsEgress.IpRanges.CidrIp",
}


class GroupTable:
    """The groups of each region; the default group is there from the beginning."""

    def __init__(self, store: Store, account_id: str, tags: TagTable) -> None:
        self._store = store
        self.account_id = account_id
        self.tags = tags

    def default_id(self, region: str) -> str:
        """The id of the VPC's group `default`."""
        return ids.stable("sg", self.account_id, region)

    def all(self, region: str) -> list[Record]:
        """Every group."""
        self._make_default(region)
        return self._store.list(KIND, region)

    def get(self, region: str, group_id: str) -> Record:
        """A group by its id; AwsError when there is none."""
        ids.check("sg", "InvalidGroupId.Malformed", group_id)
        self._make_default(region)
        record = self._store.get(KIND, region, group_id)
        if record is None:
            raise AwsError("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
        return record

    def named(self, region: str, name: str) -> Record:
        """A group of the default VPC by its name."""
        record = next((group for group in self.all(region) if group["GroupName"] == name), None)
        if record is None:
            vpc = vpc_id(self.account_id, region)
            message = f"The security group '{name}' does not exist in default VPC '{vpc}'"
            raise AwsError("InvalidGroup.NotFound", message)
        return record

    def exists(self, region: str, resource_id: str) -> bool:
        """Whether there is a group, or a rule of a group, of this id."""
        return any(
            resource_id == group["GroupId"]
            or any(rule["SecurityGroupRuleId"] == resource_id for rule in group["Rules"])
            for group in self.all(region)
        )

    def put(self, region: str, record: Record, tags: Mapping[str, Mapping[str, str]] | None = None) -> None:
        """Keep a group, and with it tags of its own or of its rules, by resource id."""
        with self._store.transaction():
            self._store.put(KIND, region, record["GroupId"], record)
            for resource_id, added in (tags or {}).items():
                self.tags.set(region, resource_id, added)

    def delete(self, region: str, record: Record) -> None:
        """Let a group go, with its tags and those of its rules."""
        with self._store.transaction():
            self._store.delete(KIND, region, record["GroupId"])
            for resource_id in (record["GroupId"], *(rule["SecurityGroupRuleId"] for rule in record["Rules"])):
                self.tags.remove(region, resource_id)

    def new(self, region: str, name: str, description: str, group_id: str) -> Record:
        """A group as AWS makes them: everything may go out."""
        return {
            "GroupId": group_id,
            "GroupName": name,
            "Description": description,
            "OwnerId": self.account_id,
            "VpcId": vpc_id(self.account_id, region),
            "SecurityGroupArn": arns.make("ec2", region, self.account_id, f"security-group/{group_id}"),
            "Rules": [
                {
                    "SecurityGroupRuleId": ids.stable("sgr", group_id, "egress"),
                    "IsEgress": True,
                    "IpProtocol": "-1",
                    "FromPort": -1,
                    "ToPort": -1,
                    "CidrIpv4": "0.0.0.0/0",
                }
            ],
        }

    def _make_default(self, region: str) -> None:
        own = self.default_id(region)
        if self._store.get(KIND, region, own) is not None:
            return
        record = self.new(region, "default", "default VPC security group", own)
        among = {"IsEgress": False, "IpProtocol": "-1", "FromPort": -1, "ToPort": -1}
        reference = {"GroupId": own, "UserId": self.account_id}
        rule = {"SecurityGroupRuleId": ids.stable("sgr", own), **among, "ReferencedGroupInfo": reference}
        record["Rules"].append(rule)
        self._store.add(KIND, region, own, record)


class SecurityGroups:
    """The operations. `in_use` says of a region which groups instances have."""

    def __init__(self, table: GroupTable, in_use: Callable[[str], set[str]]) -> None:
        self._table = table
        self._in_use = in_use

    def CreateSecurityGroup(self, call: Call, request: Request) -> Response:
        """A group of the default VPC, whose instances may send anything and receive nothing."""
        name, region = request["GroupName"], call.region
        own_vpc = vpc_id(self._table.account_id, region)
        if request.get("VpcId", own_vpc) != own_vpc:
            raise errors.not_found("InvalidVpcID.NotFound", "vpc ID", [request["VpcId"]])
        if not _NAME.fullmatch(name) or name.startswith("sg-"):
            raise errors.invalid(name, "groupName", "Character sets beyond ASCII are not supported.")
        if not _NAME.fullmatch(request.get("Description", "")):
            shown = request.get("Description", "")
            raise errors.invalid(shown, "GroupDescription", "Character sets beyond ASCII are not supported.")
        groups = self._table.all(region)
        if any(group["GroupName"] == name for group in groups):
            message = f"The security group '{name}' already exists for VPC '{own_vpc}'"
            raise AwsError("InvalidGroup.Duplicate", message)
        if len(groups) >= MOST_GROUPS:
            raise AwsError("SecurityGroupLimitExceeded", "The maximum number of security groups has been reached.")
        tags = specified(request, "security-group").get("security-group", {})
        record = self._table.new(region, name, request["Description"], ids.new("sg"))
        self._table.put(region, record, {record["GroupId"]: tags})
        call.resource = record["SecurityGroupArn"]
        shown = self._table.tags.shown(region, record["GroupId"])
        return {"GroupId": record["GroupId"], "SecurityGroupArn": record["SecurityGroupArn"], **shown}

    def DescribeSecurityGroups(self, call: Call, request: Request) -> Response:
        """All groups or those that are named, with their rules."""
        region = call.region
        if request.get("MaxResults") is not None and request.get("GroupIds"):
            raise errors.combination("The parameter groupIds cannot be used with the parameter maxResults")
        records = [self._table.get(region, group_id) for group_id in request.get("GroupIds", ())]
        records += [self._table.named(region, name) for name in request.get("GroupNames", ())]
        if not request.get("GroupIds") and not request.get("GroupNames"):
            records = self._table.all(region)
        shown = [self._shown(region, record) for record in records]
        found = selection.select(shown, request.get("Filters", ()), _FILTERS)
        groups, token = selection.page(found, request, lambda group: str(group["GroupId"]))
        return {"SecurityGroups": groups, **token}

    def DeleteSecurityGroup(self, call: Call, request: Request) -> Response:
        """Refused for the default group, and while an instance has it or a rule of another group names it."""
        region = call.region
        record = self.one(region, request)
        group_id = record["GroupId"]
        call.resource = record["SecurityGroupArn"]
        if record["GroupName"] == "default":
            message = f'the specified group: "{group_id}" name: "default" cannot be deleted by a user'
            raise AwsError("CannotDelete", message)
        others = [group for group in self._table.all(region) if group["GroupId"] != group_id]
        if group_id in self._in_use(region) or any(_refers(group["Rules"], group_id) for group in others):
            raise AwsError("DependencyViolation", f"resource {group_id} has a dependent object")
        self._table.delete(region, record)
        return {"Return": True, "GroupId": group_id}

    def one(self, region: str, request: Request) -> Record:
        """The group that a request names by GroupId or GroupName."""
        if "GroupId" in request:
            return self._table.get(region, request["GroupId"])
        if "GroupName" not in request:
            raise errors.missing("GroupName or GroupId")
        return self._table.named(region, request["GroupName"])

    def _shown(self, region: str, record: Record) -> Record:
        members = {name: value for name, value in record.items() if name != "Rules"}
        return {
            **members,
            "IpPermissions": permissions(record["Rules"], egress=False),
            "IpPermissionsEgress": permissions(record["Rules"], egress=True),
            **self._table.tags.shown(region, record["GroupId"]),
        }


def _refers(rules: Sequence[Record], group_id: str) -> bool:
    return any(rule.get("ReferencedGroupInfo", {}).get("GroupId") == group_id for rule in rules)
