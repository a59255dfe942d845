"""Instance profiles on instances: found by name or ARN, associated, disassociated, and the role that is in one."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.ec2 import errors, ids, selection, states
from sagehound.localcloud.services.ec2.needs import Entities
from sagehound.localcloud.services.ec2.table import InstanceTable
from sagehound.localcloud.state.clock import Clock

Record = dict[str, Any]
_FILTERS = {"instance-id": "InstanceId", "state": "State"}


class Profiles:
    """IAM's instance profiles as EC2 sees them."""

    def __init__(self, entities: Entities) -> None:
        self._entities = entities

    def find(self, asked: Record) -> Record:
        """Arn and Id of the profile that a request names; AwsError when there is none, or none with a role."""
        if "Arn" in asked and "Name" in asked:
            raise errors.combination(
                "The parameter 'iamInstanceProfile.name' may not be used in combination with 'iamInstanceProfile.arn'"
            )
        member = "arn" if "Arn" in asked else "name"
        given = asked.get("Arn") or asked.get("Name", "")
        record = self._entities.entity("instance-profile", given.rpartition("/")[2] if member == "arn" else given)
        if record is None or (member == "arn" and record["Arn"] != given) or not given:
            what = "ARN" if member == "arn" else "name"
            sentence = f"Invalid IAM Instance Profile {what}"
            raise errors.invalid(given, f"iamInstanceProfile.{member}", sentence)
        if not record["RoleNames"]:
            raise errors.invalid(
                given, f"iamInstanceProfile.{member}", "The IAM Instance Profile has no associated IAM Roles"
            )
        return {"Arn": record["Arn"], "Id": record["InstanceProfileId"]}

    def role_arn(self, profile: Record | None) -> str | None:
        """The role that is in a profile now; None without one."""
        if profile is None:
            return None
        record = self._entities.entity("instance-profile", profile["Arn"].rpartition("/")[2])
        if record is None or record["Arn"] != profile["Arn"] or not record["RoleNames"]:
            return None
        role = self._entities.entity("role", record["RoleNames"][0])
        return None if role is None else str(role["Arn"])

    def association(self, profile: Record) -> Record:
        """What a record keeps of a profile from the moment it is the instance's."""
        return {**profile, "AssociationId": ids.new("iip-assoc")}


class ProfileAssociations:
    """The operations."""

    def __init__(self, table: InstanceTable, profiles: Profiles, clock: Clock) -> None:
        self._table = table
        self._profiles = profiles
        self._clock = clock

    def AssociateIamInstanceProfile(self, call: Call, request: Request) -> Response:
        """Give a running or stopped instance a profile; its metadata service has the role's keys at once."""
        record = self._table.get(call.region, request["InstanceId"])
        call.resource = self._table.arn(record)
        if record["InstanceState"] in states.GONE:
            raise errors.wrong_state(record["InstanceId"], "in the 'running' or 'stopped' states")
        if "Profile" in record:
            raise AwsError("IncorrectState", f"There is an existing association for instance {record['InstanceId']}")
        profile = self._profiles.find(request["IamInstanceProfile"])
        kept = {**self._profiles.association(profile), "Timestamp": self._clock.now()}
        self._table.put({**record, "Profile": kept, "IamInstanceProfile": profile})
        return {"IamInstanceProfileAssociation": {**_shown(record["InstanceId"], kept), "State": "associating"}}

    def DisassociateIamInstanceProfile(self, call: Call, request: Request) -> Response:
        """Take the profile from its instance."""
        record = self._associated(call.region, request["AssociationId"])
        call.resource = self._table.arn(record)
        kept = record.pop("Profile")
        del record["IamInstanceProfile"]
        self._table.put(record)
        return {"IamInstanceProfileAssociation": {**_shown(record["InstanceId"], kept), "State": "disassociating"}}

    def ReplaceIamInstanceProfileAssociation(self, call: Call, request: Request) -> Response:
        """Another profile in place of the one that an instance has."""
        record = self._associated(call.region, request["AssociationId"])
        call.resource = self._table.arn(record)
        profile = self._profiles.find(request["IamInstanceProfile"])
        kept = {**self._profiles.association(profile), "Timestamp": self._clock.now()}
        self._table.put({**record, "Profile": kept, "IamInstanceProfile": profile})
        return {"IamInstanceProfileAssociation": {**_shown(record["InstanceId"], kept), "State": "associating"}}

    def DescribeIamInstanceProfileAssociations(self, call: Call, request: Request) -> Response:
        """Which instance has which profile."""
        found = [
            _shown(record["InstanceId"], record["Profile"])
            for record in self._table.all(call.region)
            if "Profile" in record and record["InstanceState"] != "terminated"
        ]
        if wanted := request.get("AssociationIds"):
            if absent := [name for name in wanted if name not in [item["AssociationId"] for item in found]]:
                raise errors.not_found("InvalidAssociationID.NotFound", "association ID", absent)
            found = [item for item in found if item["AssociationId"] in wanted]
        chosen = selection.select(found, request.get("Filters", ()), _FILTERS)
        shown, token = selection.page(chosen, request, lambda item: str(item["AssociationId"]))
        return {"IamInstanceProfileAssociations": shown, **token}

    def _associated(self, region: str, association_id: str) -> Record:
        record = self._table.associated(region, association_id)
        if record is None:
            raise errors.not_found("InvalidAssociationID.NotFound", "association ID", [association_id])
        return record


def _shown(instance_id: str, kept: Record) -> Record:
    return {
        "AssociationId": kept["AssociationId"],
        "InstanceId": instance_id,
        "IamInstanceProfile": {"Arn": kept["Arn"], "Id": kept["Id"]},
        "State": "associated",
        "Timestamp": kept["Timestamp"],
    }
