"""CreateTags, DeleteTags and DescribeTags, and the tags of everything that EC2 has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.ec2 import errors, selection
from sagehound.localcloud.state.store import Store

KIND = "ec2-tags"
_MOST = 50
_TYPES = {
    "i": "instance",
    "ami": "image",
    "vol": "volume",
    "eni": "network-interface",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "key": "key-pair",
    "vpc": "vpc",
    "subnet": "subnet",
    "igw": "internet-gateway",
    "rtb": "route-table",
    "dopt": "dhcp-options",
    "acl": "network-acl",
}
"""Prefix of an id -> resource type, as tag specifications and DescribeTags name it."""
_NOT_FOUND = {
    "instance": "InvalidInstanceID",
    "image": "InvalidAMIID",
    "volume": "InvalidVolume",
    "network-interface": "InvalidNetworkInterfaceID",
    "security-group": "InvalidGroup",
    "security-group-rule": "InvalidSecurityGroupRuleId",
    "key-pair": "InvalidKeyPair",
    "vpc": "InvalidVpcID",
    "subnet": "InvalidSubnetID",
    "internet-gateway": "InvalidInternetGatewayID",
    "route-table": "InvalidRouteTableID",
    "dhcp-options": "InvalidDhcpOptionID",
}
"""What comes before `.NotFound` in the refusals of each type."""
_FILTERS = {"key": "Key", "value": "Value", "resource-id": "ResourceId", "resource-type": "ResourceType"}
Tag = dict[str, str]


class TagTable:
    """Tags by region and resource id."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, region: str, resource_id: str) -> dict[str, str]:
        """Key -> value, in the order of keys."""
        record = self._store.get(KIND, region, resource_id)
        return dict(sorted(record["Tags"].items())) if record else {}

    def shown(self, region: str, resource_id: str) -> dict[str, list[Tag]]:
        """The member Tags, for a resource's answer; nothing when there are none."""
        found = self.of(region, resource_id)
        return {"Tags": [{"Key": key, "Value": value} for key, value in found.items()]} if found else {}

    def set(self, region: str, resource_id: str, tags: Mapping[str, str]) -> None:
        """Add tags, or change their values."""
        if not tags:
            return
        together = {**self.of(region, resource_id), **tags}
        if len(together) > _MOST:
            raise AwsError("TagLimitExceeded", "The maximum number of tags for the resource has been reached.")
        self._store.put(KIND, region, resource_id, {"ResourceId": resource_id, "Tags": together})

    def set_all(self, region: str, resource_ids: Sequence[str], tags: Mapping[str, str]) -> None:
        """The same of several resources: of all of them or of none."""
        with self._store.transaction():
            for resource_id in resource_ids:
                self.set(region, resource_id, tags)

    def remove(self, region: str, resource_id: str, wanted: Sequence[Mapping[str, str]] | None = None) -> None:
        """Take away these keys (with a value: only where it is that), or, without any, all tags."""
        left = self.of(region, resource_id)
        for tag in wanted or ():
            if "Value" not in tag or left.get(tag["Key"]) == tag["Value"]:
                left.pop(tag["Key"], None)
        if wanted is None or not left:
            self._store.delete(KIND, region, resource_id)
        else:
            self._store.put(KIND, region, resource_id, {"ResourceId": resource_id, "Tags": left})

    def all(self, region: str) -> list[dict[str, Any]]:
        """One entry a tag, as DescribeTags answers them."""
        return [
            {
                "Key": key,
                "Value": value,
                "ResourceId": record["ResourceId"],
                "ResourceType": resource_type(record["ResourceId"]),
            }
            for record in self._store.list(KIND, region)
            for key, value in sorted(record["Tags"].items())
        ]


def resource_type(resource_id: str) -> str:
    """`instance` of `i-...`."""
    return _TYPES.get(resource_id.partition("-")[0], "")


def checked(tags: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Tags of a request as key -> value; AwsError where AWS takes them not."""
    found: dict[str, str] = {}
    for tag in tags:
        key, value = tag.get("Key", ""), tag.get("Value", "")
        if not key:
            raise errors.invalid("", "tag key", "Tag keys must have at least one character.")
        if key.lower().startswith("aws:"):
            raise AwsError("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
        if len(key) > 127 or len(value) > 256:
            raise errors.invalid(key, "tag", "A key has at most 127 characters, a value at most 256.")
        if key in found:
            raise AwsError("InvalidParameterValue", f"Duplicate tag key '{key}' specified.")
        found[key] = value
    if len(found) > _MOST:
        raise AwsError("TagLimitExceeded", "The maximum number of tags for the resource has been reached.")
    return found


def specified(request: Request, *types: str) -> dict[str, dict[str, str]]:
    """TagSpecifications of a request that makes resources of these types: type -> tags."""
    found: dict[str, dict[str, str]] = {}
    for specification in request.get("TagSpecifications", ()):
        kind = specification.get("ResourceType", "")
        if kind not in types:
            raise AwsError(
                "InvalidParameterValue", f"'{kind}' is not a valid taggable resource type for this operation."
            )
        if kind in found:
            raise AwsError("InvalidParameterValue", "The same resource type may not be specified more than once.")
        found[kind] = checked(specification.get("Tags", ()))
    return found


class Tags:
    """The operations. `exists` says whether a region has a resource."""

    def __init__(self, table: TagTable, exists: Callable[[str, str], bool]) -> None:
        self._table = table
        self._exists = exists

    def CreateTags(self, call: Call, request: Request) -> Response:
        """Add or change tags of resources; all of them or, when one does not exist, none."""
        tags = checked(request["Tags"])
        self._known(call.region, request["Resources"])
        self._table.set_all(call.region, request["Resources"], tags)
        return {}

    def DeleteTags(self, call: Call, request: Request) -> Response:
        """Remove tags; those that are not there are no error."""
        self._known(call.region, request["Resources"])
        for resource_id in request["Resources"]:
            self._table.remove(call.region, resource_id, request.get("Tags"))
        return {}

    def DescribeTags(self, call: Call, request: Request) -> Response:
        """All tags of the region, filtered, a page of them."""
        filters: list[dict[str, Any]] = []
        for item in request.get("Filters", ()):
            if item.get("Name", "").startswith("tag:"):
                filters.append({"Name": "key", "Values": [item["Name"].removeprefix("tag:")]})
                filters.append({"Name": "value", "Values": item.get("Values", ())})
            else:
                filters.append(item)
        found = selection.select(self._table.all(call.region), filters, _FILTERS)
        shown, token = selection.page(found, request, lambda tag: f"{tag['ResourceId']}/{tag['Key']}")
        return {"Tags": shown, **token}

    def _known(self, region: str, resources: Sequence[str]) -> None:
        for resource_id in resources:
            if not resource_type(resource_id):
                raise AwsError("InvalidID", f"The ID '{resource_id}' is not valid")
            if not self._exists(region, resource_id):
                code = _NOT_FOUND.get(resource_type(resource_id), "InvalidID")
                raise AwsError(f"{code}.NotFound", f"The ID '{resource_id}' does not exist")
