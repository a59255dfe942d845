"""IAM users."""

from __future__ import annotations

from datetime import UTC, datetime

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.iam import limits, records, tagging
from sagehound.localcloud.services.iam.policies import Policies
from sagehound.localcloud.state import arns
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Record, Store

_SHOWN = ("Path", "UserName", "UserId", "Arn", "CreateDate", "PasswordLastUsed", "PermissionsBoundary", "Tags")
_LISTED = ("Path", "UserName", "UserId", "Arn", "CreateDate", "PasswordLastUsed")


class Users:
    """People and programs with long-term keys."""

    def __init__(self, store: Store, clock: Clock, account_id: str, policies: Policies) -> None:
        self._store = store
        self._clock = clock
        self._account_id = account_id
        self._policies = policies

    def name_of_caller(self, call: Call) -> str:
        """The user that an operation without a UserName means: the caller, if it is a user."""
        resource = arns.parse(call.caller.arn).resource
        if not resource.startswith("user/"):
            raise AwsError("ValidationError", "Must specify userName when calling with non-User credentials")
        return resource.rpartition("/")[2]

    def CreateUser(self, call: Call, request: Request) -> Response:
        """A user without keys or policies."""
        name, path = request["UserName"], request.get("Path", "/")
        if len(self._store.list(records.USER, "")) >= limits.USERS:
            raise AwsError("LimitExceeded", f"Cannot exceed quota for UsersPerAccount: {limits.USERS}", 409)
        record: Record = {
            "Path": path,
            "UserName": name,
            "UserId": records.unique_id("AIDA"),
            "Arn": arns.make("iam", "", self._account_id, f"user{path}{name}"),
            "CreateDate": self._clock.now(),
            "Tags": tagging.checked(request.get("Tags", [])),
            "AttachedPolicies": [],
            "InlinePolicies": {},
        }
        if "PermissionsBoundary" in request:
            self._policies.describe(request["PermissionsBoundary"])
            record["PermissionsBoundary"] = records.boundary(request["PermissionsBoundary"])
        call.resource = record["Arn"]
        records.add(self._store, records.USER, name, record)
        return {"User": _shown(record)}

    def GetUser(self, call: Call, request: Request) -> Response:
        """A user, or the caller: root has no name."""
        if "UserName" not in request and call.caller.is_root:
            created = datetime.fromtimestamp(self._store.path.stat().st_ctime, UTC)
            return {"User": {"UserId": self._account_id, "Arn": call.caller.arn, "CreateDate": created}}
        name = request.get("UserName") or self.name_of_caller(call)
        return {"User": _shown(records.get(self._store, records.USER, name))}

    def ListUsers(self, call: Call, request: Request) -> Response:
        """All users, or those under a path."""
        found = records.under_path(self._store.list(records.USER, ""), request)
        listed = [{name: user[name] for name in _LISTED if name in user} for user in found]
        return records.page(request, "Users", listed, lambda user: user["UserName"].lower())

    def UpdateUser(self, call: Call, request: Request) -> Response:
        """Another name or path; keys and policies go along."""
        name = request["UserName"]
        record = records.get(self._store, records.USER, name)
        new_name = str(request.get("NewUserName", record["UserName"]))
        path = request.get("NewPath", record["Path"])
        arn = arns.make("iam", "", self._account_id, f"user{path}{new_name}")
        renamed = {**record, "UserName": new_name, "Path": path, "Arn": arn}
        with self._store.transaction():
            records.delete(self._store, records.USER, name)
            records.add(self._store, records.USER, new_name, renamed)
            for key in self._store.list(records.KEY, ""):
                if key["UserName"] == record["UserName"]:
                    self._store.put(records.KEY, "", key["AccessKeyId"], {**key, "UserName": new_name})
        return {}

    def DeleteUser(self, call: Call, request: Request) -> Response:
        """Refused while keys or policies are left."""
        record = records.get(self._store, records.USER, request["UserName"])
        call.resource = record["Arn"]
        keys = [key for key in self._store.list(records.KEY, "") if key["UserName"] == record["UserName"]]
        for left, words in (
            (keys, "access keys"),
            (record["AttachedPolicies"], "policies"),
            (record["InlinePolicies"], "policies"),
        ):
            if left:
                verb = "detach all" if left is record["AttachedPolicies"] else "delete"
                message = f"Cannot delete entity, must {verb} {words} first."
                raise AwsError("DeleteConflict", message, 409)
        records.delete(self._store, records.USER, record["UserName"])
        return {}

    def PutUserPermissionsBoundary(self, call: Call, request: Request) -> Response:
        """The most that a user's policies can allow."""
        records.get(self._store, records.USER, request["UserName"])
        self._policies.describe(request["PermissionsBoundary"])
        records.put_boundary(self._store, records.USER, request["UserName"], request["PermissionsBoundary"])
        return {}

    def DeleteUserPermissionsBoundary(self, call: Call, request: Request) -> Response:
        """No boundary any more."""
        records.delete_boundary(self._store, records.USER, request["UserName"])
        return {}

    def TagUser(self, call: Call, request: Request) -> Response:
        """Set tags."""
        return tagging.add(self._store, records.USER, request["UserName"], request)

    def UntagUser(self, call: Call, request: Request) -> Response:
        """Remove tags."""
        return tagging.remove(self._store, records.USER, request["UserName"], request)

    def ListUserTags(self, call: Call, request: Request) -> Response:
        """The tags of a user."""
        return tagging.listed(self._store, records.USER, request["UserName"], request)

    def ListGroupsForUser(self, call: Call, request: Request) -> Response:
        """No groups: this cloud has none."""
        records.get(self._store, records.USER, request["UserName"])
        return {"Groups": [], "IsTruncated": False}


def _shown(record: Record) -> Record:
    return {name: record[name] for name in _SHOWN if name in record and record[name] != []}
