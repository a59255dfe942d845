"""IAM: which permissions an operation needs, on the user, role or policy that it names, and its condition keys."""

from __future__ import annotations

from sagehound.localcloud.authorization.check import Check, Value, passing, request_tags, tag_keys
from sagehound.localcloud.authorization.needs import Entities
from sagehound.localcloud.call import Call, Request
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.state import arns

USER, ROLE, PROFILE = "user", "role", "instance-profile"
_NAMED = (("UserName", USER), ("RoleName", ROLE), ("InstanceProfileName", PROFILE))
_OF_THE_CALLER = ("GetUser", "ListAccessKeys", "CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey")
"""Without a UserName they are about whoever calls."""
_OF_THE_PROFILE = ("AddRoleToInstanceProfile", "RemoveRoleFromInstanceProfile")
_TAGGING = {"CreateUser": "TagUser", "CreateRole": "TagRole", "CreatePolicy": "TagPolicy"}
_TAGGING["CreateInstanceProfile"] = "TagInstanceProfile"
_WITH_A_BOUNDARY = (
    "Attach",
    "Detach",
    "DeleteRole",
    "DeleteUserP",
    "GetRole",
    "PutRoleP",
    "PutUserP",
    "UpdateAssume",
    "UpdateRole",
)
"""Beginnings of the operations that have iam:PermissionsBoundary: the boundary that their user or role is under."""


class IamChecks:
    """The permissions of IAM's own calls: paths, tags and boundaries of what they name are looked up."""

    def __init__(self, entities: Entities, account_id: str) -> None:
        self._entities = entities
        self._account_id = account_id

    def __call__(self, call: Call, params: Request) -> list[Check]:
        """The permissions that a call of IAM needs."""
        operation = call.operation
        if call.caller.access_key_id.startswith("ASIA") and "RoleArn" not in call.caller.session:
            # IAM does not take the keys of GetSessionToken without a second factor.
            raise AwsError("InvalidClientTokenId", "The security token included in the request is invalid.", 403)
        kind, name = self._named(call, params)
        keys: dict[str, Value] = request_tags(params.get("Tags")) | tag_keys(params.get("TagKeys"))
        if kind:
            resource = self._arn(kind, name, params)
            keys |= self._keys_of(kind, name, operation, params)
        else:
            resource = params.get("PolicyArn") or params.get("PolicySourceArn") or "*"
        if operation == "CreatePolicy":
            path = params.get("Path", "/")
            resource = arns.make("iam", "", self._account_id, f"policy{path}{params['PolicyName']}")
        found = [Check(f"iam:{operation}", resource, keys)]
        if operation in _TAGGING and params.get("Tags"):
            found.append(Check(f"iam:{_TAGGING[operation]}", resource, keys))
        if operation == "UpdateUser":
            path = params.get("NewPath") or self._path(kind, name)
            renamed = arns.make("iam", "", self._account_id, f"user{path}{params.get('NewUserName', name)}")
            if renamed != resource:
                found.append(Check("iam:UpdateUser", renamed, keys))
        if operation == "AddRoleToInstanceProfile":
            found.append(passing(self._arn(ROLE, params["RoleName"], {}), "ec2.amazonaws.com"))
        return found

    def _named(self, call: Call, params: Request) -> tuple[str, str]:
        """The kind and name of what a call is about; ("", "") for a policy, and for what has no name."""
        if call.operation in _OF_THE_PROFILE:
            return PROFILE, params["InstanceProfileName"]
        for member, kind in _NAMED:
            if member in params:
                return kind, params[member]
        if call.operation == "GetAccessKeyLastUsed":
            owner = self._entities.user_of_key(params["AccessKeyId"])
            return (USER, owner) if owner is not None else ("", "")
        resource = call.caller.arn.rpartition(":")[2]
        if call.operation in _OF_THE_CALLER and resource.startswith("user/"):
            return USER, resource.rpartition("/")[2]
        return "", ""

    def _arn(self, kind: str, name: str, params: Request) -> str:
        """With the path that it has; one that is yet to be made has the path of the request."""
        record = self._entities.entity(kind, name)
        if record is not None:
            return str(record["Arn"])
        return arns.make("iam", "", self._account_id, f"{kind}{params.get('Path', '/')}{name}")

    def _path(self, kind: str, name: str) -> str:
        record = self._entities.entity(kind, name)
        return "/" if record is None else str(record["Path"])

    def _keys_of(self, kind: str, name: str, operation: str, params: Request) -> dict[str, Value]:
        keys: dict[str, Value] = {}
        record = self._entities.entity(kind, name)
        if record is not None:
            for tag in record.get("Tags", ()):
                keys[f"iam:resourcetag/{tag['Key']}"] = keys[f"aws:resourcetag/{tag['Key']}"] = tag["Value"]
            boundary = record.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
            if boundary is not None and operation.startswith(_WITH_A_BOUNDARY):
                keys["iam:permissionsboundary"] = boundary
        if "PermissionsBoundary" in params:
            keys["iam:permissionsboundary"] = params["PermissionsBoundary"]
        if operation.startswith(("Attach", "Detach")):
            keys["iam:policyarn"] = params["PolicyArn"]
        return keys
