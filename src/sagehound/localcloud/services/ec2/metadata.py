"""What the metadata service of an instance answers, from its record as it is now: facts, options, the role's keys."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.instances.spec import MetadataOptions
from sagehound.localcloud.instances.tree import Tree, lookup
from sagehound.localcloud.services.ec2.needs import RoleTrust, SessionIssuer
from sagehound.localcloud.services.ec2.profiles import Profiles
from sagehound.localcloud.services.ec2.regions import zones
from sagehound.localcloud.services.ec2.table import InstanceTable
from sagehound.localcloud.state.clock import Clock

PRINCIPAL = "ec2.amazonaws.com"
SESSION_SECONDS = 6 * 3600
_RENEWED = timedelta(minutes=15)
"""How long before their end AWS has new keys ready."""
_ISO = "%Y-%m-%dT%H:%M:%SZ"
Record = dict[str, Any]


class RoleKeys:
    """The keys of a role as the metadata service tells them; an instance keeps its session until near its end."""

    def __init__(self, clock: Clock, roles: RoleTrust, sessions: SessionIssuer) -> None:
        self._clock = clock
        self._roles = roles
        self._sessions = sessions
        self._issued: dict[tuple[str, str], Record] = {}

    def document(self, role_arn: str, instance_id: str) -> Record:
        """The document at iam/security-credentials/ROLE."""
        now = self._clock.now()
        try:
            self._roles.role_trust(role_arn, PRINCIPAL)
            keys = self._issued.get((role_arn, instance_id))
            if keys is None or keys["Expiration"] - _RENEWED < now:
                self._issued = {which: kept for which, kept in self._issued.items() if kept["Expiration"] > now}
                keys = {**self._sessions.issue(role_arn, instance_id, SESSION_SECONDS), "Issued": now}
                self._issued[(role_arn, instance_id)] = keys
        except AwsError as refusal:
            self._issued.pop((role_arn, instance_id), None)
            said = f"EC2 cannot assume the role {role_arn}. {refusal.message}"
            return {"Code": "AssumeRoleUnauthorizedAccess", "Message": said, "LastUpdated": now.strftime(_ISO)}
        return {
            "Code": "Success",
            "LastUpdated": keys["Issued"].strftime(_ISO),
            "Type": "AWS-HMAC",
            "AccessKeyId": keys["AccessKeyId"],
            "SecretAccessKey": keys["SecretAccessKey"],
            "Token": keys["SessionToken"],
            "Expiration": keys["Expiration"].strftime(_ISO),
        }


class InstanceMetadata:
    """The engine's Metadata of one instance: every answer is made from the record as it is now."""

    def __init__(
        self,
        table: InstanceTable,
        region: str,
        instance_id: str,
        profiles: Profiles,
        keys: RoleKeys,
        group_name: Callable[[str, str], str],
    ) -> None:
        self._table = table
        self._region = region
        self._id = instance_id
        self._profiles = profiles
        self._keys = keys
        self._group_name = group_name

    def options(self) -> MetadataOptions:
        """MetadataOptions of the instance."""
        given = self._record().get("MetadataOptions", {})
        return MetadataOptions(
            http_tokens=given.get("HttpTokens", "required"),
            http_endpoint=given.get("HttpEndpoint", "enabled"),
            http_put_response_hop_limit=given.get("HttpPutResponseHopLimit", 2),
            instance_metadata_tags=given.get("InstanceMetadataTags", "disabled"),
        )

    def get(self, path: str) -> str | None:
        """The text, or the names below a folder, at a path below latest/."""
        record = self._record()
        return lookup(self._tree(record), path) if record else None

    def role_name(self) -> str | None:
        """The role in the instance profile."""
        arn = self._profiles.role_arn(self._record().get("IamInstanceProfile"))
        return None if arn is None else arn.rpartition("/")[2]

    def credentials(self) -> Record | None:
        """The role's keys, or why there are none."""
        arn = self._profiles.role_arn(self._record().get("IamInstanceProfile"))
        return None if arn is None else self._keys.document(arn, self._id)

    def _record(self) -> Record:
        return self._table.find(self._region, self._id) or {}

    def _tree(self, record: Record) -> Tree:
        zone = record["Placement"]["AvailabilityZone"]
        interface = record["NetworkInterfaces"][0] if record.get("NetworkInterfaces") else {}
        groups = "\n".join(self._group_name(self._region, group_id) for group_id in record["GroupIds"])
        address = record.get("PrivateIpAddress", "")
        tree: dict[str, Any] = {
            "ami-id": record["ImageId"],
            "ami-launch-index": str(record["AmiLaunchIndex"]),
            "ami-manifest-path": "(unknown)",
            "block-device-mapping": {"ami": record["RootDeviceName"], "root": record["RootDeviceName"]},
            "hostname": record["PrivateDnsName"],
            "instance-action": "none",
            "instance-id": self._id,
            "instance-life-cycle": "on-demand",
            "instance-type": record["InstanceType"],
            "local-hostname": record["PrivateDnsName"],
            "local-ipv4": address,
            "mac": interface.get("MacAddress", ""),
            "placement": {
                "availability-zone": zone,
                "availability-zone-id": zones(self._region).get(zone, ""),
                "region": self._region,
            },
            "profile": "default-hvm",
            "reservation-id": record["ReservationId"],
            "security-groups": groups,
            "services": {"domain": "amazonaws.com", "partition": "aws"},
        }
        if interface:
            facts = {
                "device-number": "0",
                "interface-id": interface["NetworkInterfaceId"],
                "local-hostname": record["PrivateDnsName"],
                "local-ipv4s": address,
                "mac": interface["MacAddress"],
                "owner-id": self._table.account_id,
                "security-group-ids": "\n".join(record["GroupIds"]),
                "security-groups": groups,
                "subnet-id": record["SubnetId"],
                "vpc-id": record["VpcId"],
            }
            tree["network"] = {"interfaces": {"macs": {interface["MacAddress"]: facts}}}
        if "IamInstanceProfile" in record:
            tree["iam"] = {"info": _profile_info(record["Profile"])}
        if self.options().instance_metadata_tags == "enabled":
            tree["tags"] = {"instance": self._table.tags.of(self._region, self._id)}
        return {"meta-data": tree, "dynamic": {"instance-identity": {"document": self._identity(record)}}}

    def _identity(self, record: Record) -> str:
        document = {
            "accountId": self._table.account_id,
            "architecture": record["Architecture"],
            "availabilityZone": record["Placement"]["AvailabilityZone"],
            "imageId": record["ImageId"],
            "instanceId": self._id,
            "instanceType": record["InstanceType"],
            "pendingTime": record["LaunchTime"].strftime(_ISO),
            "privateIp": record.get("PrivateIpAddress"),
            "region": self._region,
            "version": "2017-09-30",
        }
        return json.dumps(document, indent=2)


def _profile_info(profile: Record) -> str:
    info = {
        "Code": "Success",
        "LastUpdated": profile["Timestamp"].strftime(_ISO),
        "InstanceProfileArn": profile["Arn"],
        "InstanceProfileId": profile["Id"],
    }
    return json.dumps(info, indent=2)
