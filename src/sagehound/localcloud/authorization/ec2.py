"""EC2: which permissions an operation needs, on the instances and other resources that it names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sagehound.localcloud.authorization.check import Check, Value, passing, request_tags
from sagehound.localcloud.authorization.needs import Entities
from sagehound.localcloud.call import Call, Request
from sagehound.localcloud.state import arns

PRINCIPAL = "ec2.amazonaws.com"
_TYPES = {
    "i": "instance",
    "vol": "volume",
    "eni": "network-interface",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "vpc": "vpc",
    "subnet": "subnet",
    "igw": "internet-gateway",
    "rtb": "route-table",
    "dopt": "dhcp-options",
}
_GROUPS = (
    "AuthorizeSecurityGroupIngress",
    "AuthorizeSecurityGroupEgress",
    "RevokeSecurityGroupIngress",
    "RevokeSecurityGroupEgress",
    "DeleteSecurityGroup",
)
_PROFILED = ("AssociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation")
_MADE = {"CreateKeyPair": "key-pair", "ImportKeyPair": "key-pair", "CreateSecurityGroup": "security-group"}
Keys = dict[str, Value]


class Ec2Checks:
    """The permissions that a call needs. `entities` knows which role is in an instance profile."""

    def __init__(self, entities: Entities, account_id: str) -> None:
        self._entities = entities
        self._account_id = account_id

    def __call__(self, call: Call, params: Request) -> list[Check]:
        """The questions of one call."""
        action, operation = f"ec2:{call.operation}", call.operation
        keys: Keys = {"ec2:region": call.region}
        if operation == "DescribeInstanceAttribute":
            return [Check(action, self._arn(call, f"instance/{params['InstanceId']}"), keys)]
        if operation.startswith("Describe"):
            return [Check(action, "*", keys)]
        if operation == "RunInstances":
            return self._run_instances(call, params, keys)
        if operation in ("CreateTags", "DeleteTags"):
            keys |= request_tags([{"Key": "", **tag} for tag in params.get("Tags", ())])
            return [Check(action, self._tagged(call, resource), keys) for resource in params["Resources"]]
        if operation in _MADE:
            return self._making(call, params, keys)
        found = [Check(action, resource, keys) for resource in self._named(call, params)]
        if operation in _PROFILED:
            found += self._passing(params["IamInstanceProfile"])
        return found or [Check(action, "*", keys)]

    def _named(self, call: Call, params: Request) -> Iterator[str]:
        """The resources of an operation that changes what is there."""
        for instance_id in params.get("InstanceIds", ()):
            yield self._arn(call, f"instance/{instance_id}")
        if "InstanceId" in params:
            yield self._arn(call, f"instance/{params['InstanceId']}")
        elif "AssociationId" in params:
            # Which instance it is stands in EC2's records: an ARN of one instance is not about it.
            yield self._arn(call, "instance/*")
        if call.operation in _GROUPS:
            # A group that is named by its name is any: an ARN of one group is not about it.
            yield self._arn(call, f"security-group/{params.get('GroupId', '*')}")
        if call.operation == "DeleteKeyPair":
            yield self._arn(call, f"key-pair/{params.get('KeyName', '*')}")

    def _making(self, call: Call, params: Request, keys: Keys) -> list[Check]:
        kind = _MADE[call.operation]
        resource = self._arn(call, f"{kind}/{params['KeyName'] if kind == 'key-pair' else '*'}")
        tags = self._specified(params).get(kind, [])
        found = [Check(f"ec2:{call.operation}", resource, {**keys, **request_tags(tags)})]
        if "VpcId" in params:
            found.append(Check(f"ec2:{call.operation}", self._arn(call, f"vpc/{params['VpcId']}"), keys))
        return found + self._tagging(call, params, resource, kind, keys)

    def _run_instances(self, call: Call, params: Request, keys: Keys) -> list[Check]:
        action, tags = "ec2:RunInstances", self._specified(params)
        own: Keys = dict(keys)
        if "InstanceType" in params:
            own["ec2:instancetype"] = params["InstanceType"]
        metadata = params.get("MetadataOptions", {})
        if "HttpTokens" in metadata:
            own["ec2:metadatahttptokens"] = metadata["HttpTokens"]
        if "HttpEndpoint" in metadata:
            own["ec2:metadatahttpendpoint"] = metadata["HttpEndpoint"]
        profile = params.get("IamInstanceProfile", {})
        if profile:
            own["ec2:instanceprofile"] = profile.get("Arn") or arns.make(
                "iam", "", self._account_id, f"instance-profile/{profile.get('Name', '')}"
            )
        found = [Check(action, self._arn(call, "instance/*"), {**own, **request_tags(tags.get("instance"))})]
        for kind in ("network-interface", "volume"):
            found.append(Check(action, self._arn(call, f"{kind}/*"), {**keys, **request_tags(tags.get(kind))}))
        if "ImageId" in params:
            found.append(Check(action, arns.make("ec2", call.region, "", f"image/{params['ImageId']}"), keys))
        if "KeyName" in params:
            found.append(Check(action, self._arn(call, f"key-pair/{params['KeyName']}"), keys))
        interfaces = params.get("NetworkInterfaces") or [{}]
        subnet = params.get("SubnetId") or interfaces[0].get("SubnetId", "*")
        found.append(Check(action, self._arn(call, f"subnet/{subnet}"), keys))
        groups = params.get("SecurityGroupIds") or interfaces[0].get("Groups") or ["*"]
        found += [Check(action, self._arn(call, f"security-group/{group}"), keys) for group in groups]
        for kind in tags:
            found += self._tagging(call, params, self._arn(call, f"{kind}/*"), kind, keys)
        return found + self._passing(profile)

    def _tagging(self, call: Call, params: Request, resource: str, kind: str, keys: Keys) -> list[Check]:
        """Who makes something with tags needs CreateTags, too."""
        tags = self._specified(params).get(kind)
        if not tags:
            return []
        return [Check("ec2:CreateTags", resource, {**keys, **request_tags(tags), "ec2:createaction": call.operation})]

    def _passing(self, profile: Request) -> list[Check]:
        """iam:PassRole on the role that is in a profile; none is passed by a profile that has none or is not there."""
        name = profile.get("Name") or profile.get("Arn", "").rpartition("/")[2]
        record = self._entities.entity("instance-profile", name) if name else None
        roles = [self._entities.entity("role", role) for role in record["RoleNames"]] if record else []
        return [passing(role["Arn"], PRINCIPAL) for role in roles if role is not None]

    def _specified(self, params: Request) -> dict[str, list[dict[str, Any]]]:
        return {item.get("ResourceType", ""): item.get("Tags", []) for item in params.get("TagSpecifications", ())}

    def _tagged(self, call: Call, resource_id: str) -> str:
        prefix = resource_id.partition("-")[0]
        if prefix == "ami":
            return arns.make("ec2", call.region, "", f"image/{resource_id}")
        if prefix == "key":
            # Its ARN has its name, which the request does not tell.
            return self._arn(call, "key-pair/*")
        return self._arn(call, f"{_TYPES.get(prefix, '*')}/{resource_id}")

    def _arn(self, call: Call, resource: str) -> str:
        return arns.make("ec2", call.region, call.account_id, resource)
