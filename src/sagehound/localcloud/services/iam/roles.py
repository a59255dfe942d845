"""IAM roles and their trust policies."""

from __future__ import annotations

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.iam import grammar, limits, records, tagging, trust
from sagehound.localcloud.services.iam.policies import Policies
from sagehound.localcloud.state import arns
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Record, Store

_LISTED = (
    "Path",
    "RoleName",
    "RoleId",
    "Arn",
    "CreateDate",
    "AssumeRolePolicyDocument",
    "Description",
    "MaxSessionDuration",
)
_SHOWN = (*_LISTED, "PermissionsBoundary", "Tags", "RoleLastUsed")


class Roles:
    """Who services and people become for a while."""

    def __init__(self, store: Store, clock: Clock, account_id: str, policies: Policies) -> None:
        self._store = store
        self._clock = clock
        self._account_id = account_id
        self._policies = policies

    def by_arn(self, arn: str) -> Record | None:
        """The role with this ARN, path and all; None when there is none."""
        return records.by_arn(self._store, records.ROLE, arn)

    def note_use(self, role_name: str, region: str) -> None:
        """Remember that somebody took the role, for RoleLastUsed."""
        record = self._store.get(records.ROLE, "", role_name.lower())
        if record is not None:
            record["RoleLastUsed"] = {"LastUsedDate": self._clock.now(), "Region": region}
            records.put(self._store, records.ROLE, role_name, record)

    def CreateRole(self, call: Call, request: Request) -> Response:
        """A role that the principals of its trust policy may assume."""
        name, path = request["RoleName"], request.get("Path", "/")
        if len(self._store.list(records.ROLE, "")) >= limits.ROLES:
            raise AwsError("LimitExceeded", f"Cannot exceed quota for RolesPerAccount: {limits.ROLES}", 409)
        self._check_trust(request["AssumeRolePolicyDocument"])
        record: Record = {
            "Path": path,
            "RoleName": name,
            "RoleId": records.unique_id("AROA"),
            "Arn": arns.make("iam", "", self._account_id, f"role{path}{name}"),
            "CreateDate": self._clock.now(),
            "AssumeRolePolicyDocument": request["AssumeRolePolicyDocument"],
            **({"Description": request["Description"]} if "Description" in request else {}),
            "MaxSessionDuration": request.get("MaxSessionDuration", 3600),
            "Tags": tagging.checked(request.get("Tags", [])),
            "AttachedPolicies": [],
            "InlinePolicies": {},
        }
        if "PermissionsBoundary" in request:
            self._policies.describe(request["PermissionsBoundary"])
            record["PermissionsBoundary"] = records.boundary(request["PermissionsBoundary"])
        call.resource = record["Arn"]
        records.add(self._store, records.ROLE, name, record)
        return {"Role": shown(record)}

    def GetRole(self, call: Call, request: Request) -> Response:
        """A role, its trust policy percent-encoded."""
        record = records.get(self._store, records.ROLE, request["RoleName"])
        call.resource = record["Arn"]
        return {"Role": {"RoleLastUsed": {}, **shown(record)}}

    def ListRoles(self, call: Call, request: Request) -> Response:
        """All roles, or those under a path; without tags, boundary and last use."""
        found = records.under_path(self._store.list(records.ROLE, ""), request)
        listed = [_encoded({name: role[name] for name in _LISTED if name in role}) for role in found]
        return records.page(request, "Roles", listed, lambda role: role["RoleName"].lower())

    def UpdateRole(self, call: Call, request: Request) -> Response:
        """Another description or session length."""
        record = records.get(self._store, records.ROLE, request["RoleName"])
        for member in ("Description", "MaxSessionDuration"):
            if member in request:
                record[member] = request[member]
        records.put(self._store, records.ROLE, record["RoleName"], record)
        return {}

    def UpdateRoleDescription(self, call: Call, request: Request) -> Response:
        """The older way to change the description."""
        self.UpdateRole(call, request)
        return {"Role": shown(records.get(self._store, records.ROLE, request["RoleName"]))}

    def UpdateAssumeRolePolicy(self, call: Call, request: Request) -> Response:
        """Other principals may assume the role from now on."""
        record = records.get(self._store, records.ROLE, request["RoleName"])
        call.resource = record["Arn"]
        self._check_trust(request["PolicyDocument"])
        record["AssumeRolePolicyDocument"] = request["PolicyDocument"]
        records.put(self._store, records.ROLE, record["RoleName"], record)
        return {}

    def DeleteRole(self, call: Call, request: Request) -> Response:
        """Refused while policies or instance profiles are left."""
        record = records.get(self._store, records.ROLE, request["RoleName"])
        call.resource = record["Arn"]
        message = None
        if record["AttachedPolicies"]:
            message = "Cannot delete entity, must detach all policies first."
        elif record["InlinePolicies"]:
            message = "Cannot delete entity, must delete policies first."
        elif any(record["RoleName"] in profile["RoleNames"] for profile in self._store.list(records.PROFILE, "")):
            message = "Cannot delete entity, must remove roles from instance profile first."
        if message is not None:
            raise AwsError("DeleteConflict", message, 409)
        records.delete(self._store, records.ROLE, record["RoleName"])
        return {}

    def PutRolePermissionsBoundary(self, call: Call, request: Request) -> Response:
        """The most that a role's policies can allow."""
        records.get(self._store, records.ROLE, request["RoleName"])
        self._policies.describe(request["PermissionsBoundary"])
        records.put_boundary(self._store, records.ROLE, request["RoleName"], request["PermissionsBoundary"])
        return {}

    def DeleteRolePermissionsBoundary(self, call: Call, request: Request) -> Response:
        """No boundary any more."""
        records.delete_boundary(self._store, records.ROLE, request["RoleName"])
        return {}

    def TagRole(self, call: Call, request: Request) -> Response:
        """Set tags."""
        return tagging.add(self._store, records.ROLE, request["RoleName"], request)

    def UntagRole(self, call: Call, request: Request) -> Response:
        """Remove tags."""
        return tagging.remove(self._store, records.ROLE, request["RoleName"], request)

    def ListRoleTags(self, call: Call, request: Request) -> Response:
        """The tags of a role."""
        return tagging.listed(self._store, records.ROLE, request["RoleName"], request)

    def _check_trust(self, document: str) -> None:
        policy = grammar.check_trust_policy(document)
        if grammar.size(document) > limits.TRUST_POLICY_SIZE:
            raise AwsError("LimitExceeded", f"Cannot exceed quota for ACLSizePerRole: {limits.TRUST_POLICY_SIZE}", 409)
        trust.check_principals(policy, self._store, self._account_id)


def shown(record: Record) -> Record:
    """A role as CreateRole and GetRole show it."""
    return _encoded({name: record[name] for name in _SHOWN if name in record and record[name] != []})


def _encoded(record: Record) -> Record:
    return {**record, "AssumeRolePolicyDocument": records.encoded(record["AssumeRolePolicyDocument"])}
