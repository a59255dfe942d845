"""EC2: which permissions an operation needs, on the instances and other resources that it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sagehound.localcloud.authorization.check import Check, Value, passing, request_tags
from sagehound.localcloud.authorization.needs import Ec2Names, Entities
from sagehound.localcloud.authorization.ssm import parameter_arn
from sagehound.localcloud.call import Call, Request
from sagehound.localcloud.state import arns

PRINCIPAL = "ec2.amazonaws.com"
_BY_PARAMETER = "resolve:ssm:"
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
    """The permissions that a call needs. `entities` knows which role is in an instance profile.

    A resource that a request names by something else than its id is asked of `names`, so that a policy about its ARN or
    its tags is about it whichever way it is named. What is not there is `*`: the operation will say so.
    """

    def __init__(self, entities: Entities, account_id: str, names: Ec2Names) -> None:
        self._entities = entities
        self._account_id = account_id
        self._names = names

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
        if operation.startswith("Authorize"):
            rule = "security-group-rule"
            found += self._tagging(call, params, self._arn(call, f"{rule}/*"), rule, keys)
        return found or [Check(action, "*", keys)]

    def _named(self, call: Call, params: Request) -> Iterator[str]:
        """The resources of an operation that changes what is there."""
        for instance_id in params.get("InstanceIds", ()):
            yield self._arn(call, f"instance/{instance_id}")
        if "InstanceId" in params:
            yield self._arn(call, f"instance/{params['InstanceId']}")
        elif "AssociationId" in params:
            instance_id = self._names.associated_instance(call.region, params["AssociationId"])
            yield self._arn(call, f"instance/{instance_id or '*'}")
        if call.operation == "ModifyInstanceAttribute":
            for group_id in params.get("Groups", ()):
                yield self._arn(call, f"security-group/{group_id}")
        if call.operation in _GROUPS:
            yield self._group(call, params.get("GroupId"), params.get("GroupName"))
        if call.operation == "DeleteKeyPair":
            name = params.get("KeyName") or self._names.key_pair(call.region, params.get("KeyPairId", ""))
            yield self._arn(call, f"key-pair/{name or '*'}")

    def _group(self, call: Call, group_id: str | None, name: str | None) -> str:
        """A security group by its id, or by its name in the default VPC."""
        found = group_id or (name and self._names.security_group(call.region, name))
        return self._arn(call, f"security-group/{found or '*'}")

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
            own["ec2:instanceprofile"] = self._profile_arn(profile)
        found = []
        if params.get("ImageId", "").startswith(_BY_PARAMETER):
            # Before the image, whose id a refusal tells.
            name = params["ImageId"].removeprefix(_BY_PARAMETER)
            found.append(Check("ssm:GetParameters", parameter_arn(call, name)))
        found.append(Check(action, self._arn(call, "instance/*"), {**own, **request_tags(tags.get("instance"))}))
        for kind in ("network-interface", "volume"):
            found.append(Check(action, self._arn(call, f"{kind}/*"), {**keys, **request_tags(tags.get(kind))}))
        found += [Check(action, resource, keys) for resource in self._launched_from(call, params)]
        for kind in tags:
            found += self._tagging(call, params, self._arn(call, f"{kind}/*"), kind, keys)
        return found + self._passing(profile)

    def _launched_from(self, call: Call, params: Request) -> Iterator[str]:
        """What is there before an instance is: its image, key pair, subnet and security groups."""
        region, image_id = call.region, params.get("ImageId", "")
        if image_id.startswith(_BY_PARAMETER):
            image_id = self._names.image(region, image_id.removeprefix(_BY_PARAMETER)) or "*"
        if image_id:
            yield arns.make("ec2", region, "", f"image/{image_id}")
        if "KeyName" in params:
            yield self._arn(call, f"key-pair/{params['KeyName']}")
        interface = (params.get("NetworkInterfaces") or [{}])[0]
        subnet = params.get("SubnetId") or interface.get("SubnetId")
        zone = params.get("Placement", {}).get("AvailabilityZone")
        yield self._arn(call, f"subnet/{subnet or self._names.default_subnet(region, zone) or '*'}")
        group_ids = [*(params.get("SecurityGroupIds") or ()), *(interface.get("Groups") or ())]
        names = params.get("SecurityGroups") or ([] if group_ids else ["default"])
        for group_id in group_ids:
            yield self._group(call, group_id, None)
        for name in names:
            yield self._group(call, None, name)

    def _tagging(self, call: Call, params: Request, resource: str, kind: str, keys: Keys) -> list[Check]:
        """Who makes something with tags needs CreateTags, too."""
        tags = self._specified(params).get(kind)
        if not tags:
            return []
        return [Check("ec2:CreateTags", resource, {**keys, **request_tags(tags), "ec2:createaction": call.operation})]

    def _passing(self, profile: Request) -> list[Check]:
        """iam:PassRole on the role that is in a profile; none is passed by a profile that has none or is not there."""
        record = self._profile(profile)
        roles = [self._entities.entity("role", role) for role in record["RoleNames"]] if record else []
        return [passing(role["Arn"], PRINCIPAL) for role in roles if role is not None]

    def _profile_arn(self, profile: Request) -> str:
        record = self._profile(profile)
        if record is not None:
            return str(record["Arn"])
        named = f"instance-profile/{profile.get('Name', '')}"
        return str(profile.get("Arn") or arns.make("iam", "", self._account_id, named))

    def _profile(self, profile: Request) -> Mapping[str, Any] | None:
        """By its ARN or its name; a request that has both is refused by the operation."""
        name = profile.get("Arn", "").rpartition("/")[2] or profile.get("Name")
        return self._entities.entity("instance-profile", name) if name else None

    def _specified(self, params: Request) -> dict[str, list[dict[str, Any]]]:
        return {item.get("ResourceType", ""): item.get("Tags", []) for item in params.get("TagSpecifications", ())}

    def _tagged(self, call: Call, resource_id: str) -> str:
        prefix = resource_id.partition("-")[0]
        if prefix == "ami":
            return arns.make("ec2", call.region, "", f"image/{resource_id}")
        if prefix == "key":
            return self._arn(call, f"key-pair/{self._names.key_pair(call.region, resource_id) or '*'}")
        return self._arn(call, f"{_TYPES.get(prefix, '*')}/{resource_id}")

    def _arn(self, call: Call, resource: str) -> str:
        return arns.make("ec2", call.region, call.account_id, resource)
