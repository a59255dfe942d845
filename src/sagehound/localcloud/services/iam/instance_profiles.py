"""Instance profiles: how an EC2 instance gets a role."""

from __future__ import annotations

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.iam import limits, records, tagging
from sagehound.localcloud.services.iam.roles import shown
from sagehound.localcloud.state import arns
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Record, Store

_SHOWN = ("Path", "InstanceProfileName", "InstanceProfileId", "Arn", "CreateDate")


class InstanceProfiles:
    """Containers of at most one role."""

    def __init__(self, store: Store, clock: Clock, account_id: str) -> None:
        self._store = store
        self._clock = clock
        self._account_id = account_id

    def CreateInstanceProfile(self, call: Call, request: Request) -> Response:
        """A profile without a role."""
        name, path = request["InstanceProfileName"], request.get("Path", "/")
        if len(self._store.list(records.PROFILE, "")) >= limits.INSTANCE_PROFILES:
            message = f"Cannot exceed quota for InstanceProfilesPerAccount: {limits.INSTANCE_PROFILES}"
            raise AwsError("LimitExceeded", message, 409)
        record: Record = {
            "Path": path,
            "InstanceProfileName": name,
            "InstanceProfileId": records.unique_id("AIPA"),
            "Arn": arns.make("iam", "", self._account_id, f"instance-profile{path}{name}"),
            "CreateDate": self._clock.now(),
            "RoleNames": [],
            "Tags": tagging.checked(request.get("Tags", [])),
        }
        call.resource = record["Arn"]
        records.add(self._store, records.PROFILE, name, record)
        return {"InstanceProfile": self._shown(record)}

    def GetInstanceProfile(self, call: Call, request: Request) -> Response:
        """A profile with its role."""
        record = records.get(self._store, records.PROFILE, request["InstanceProfileName"])
        return {"InstanceProfile": self._shown(record)}

    def ListInstanceProfiles(self, call: Call, request: Request) -> Response:
        """All profiles, or those under a path."""
        found = records.under_path(self._store.list(records.PROFILE, ""), request)
        return self._page(request, found)

    def ListInstanceProfilesForRole(self, call: Call, request: Request) -> Response:
        """The profiles that hold a role."""
        role = records.get(self._store, records.ROLE, request["RoleName"])["RoleName"]
        found = [profile for profile in self._store.list(records.PROFILE, "") if role in profile["RoleNames"]]
        return self._page(request, found)

    def AddRoleToInstanceProfile(self, call: Call, request: Request) -> Response:
        """Put the role in; a profile holds one."""
        record = records.get(self._store, records.PROFILE, request["InstanceProfileName"])
        role = records.get(self._store, records.ROLE, request["RoleName"])
        call.resource = record["Arn"]
        if record["RoleNames"]:
            raise AwsError("LimitExceeded", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1", 409)
        record["RoleNames"] = [role["RoleName"]]
        records.put(self._store, records.PROFILE, record["InstanceProfileName"], record)
        return {}

    def RemoveRoleFromInstanceProfile(self, call: Call, request: Request) -> Response:
        """Take the role out."""
        record = records.get(self._store, records.PROFILE, request["InstanceProfileName"])
        role = records.get(self._store, records.ROLE, request["RoleName"])
        call.resource = record["Arn"]
        if role["RoleName"] not in record["RoleNames"]:
            name = record["InstanceProfileName"]
            message = f"The role with name {role['RoleName']} cannot be found in instance profile {name}."
            raise AwsError("NoSuchEntity", message, 404)
        record["RoleNames"] = []
        records.put(self._store, records.PROFILE, record["InstanceProfileName"], record)
        return {}

    def DeleteInstanceProfile(self, call: Call, request: Request) -> Response:
        """Refused while it holds a role."""
        record = records.get(self._store, records.PROFILE, request["InstanceProfileName"])
        if record["RoleNames"]:
            message = "Cannot delete entity, must remove roles from instance profile first."
            raise AwsError("DeleteConflict", message, 409)
        records.delete(self._store, records.PROFILE, record["InstanceProfileName"])
        return {}

    def TagInstanceProfile(self, call: Call, request: Request) -> Response:
        """Set tags."""
        return tagging.add(self._store, records.PROFILE, request["InstanceProfileName"], request)

    def UntagInstanceProfile(self, call: Call, request: Request) -> Response:
        """Remove tags."""
        return tagging.remove(self._store, records.PROFILE, request["InstanceProfileName"], request)

    def ListInstanceProfileTags(self, call: Call, request: Request) -> Response:
        """The tags of a profile."""
        return tagging.listed(self._store, records.PROFILE, request["InstanceProfileName"], request)

    def _shown(self, record: Record) -> Record:
        roles = [shown(records.get(self._store, records.ROLE, name)) for name in record["RoleNames"]]
        for role in roles:
            role.pop("Tags", None)
        tags = {"Tags": record["Tags"]} if record["Tags"] else {}
        return {**{name: record[name] for name in _SHOWN}, "Roles": roles, **tags}

    def _page(self, request: Request, found: list[Record]) -> Response:
        listed = [self._shown(record) for record in found]
        return records.page(request, "InstanceProfiles", listed, lambda profile: profile["InstanceProfileName"].lower())
