"""Managed policies: the customer's, with versions, and AWS's."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.iam import aws_policies, grammar, limits, records, tagging
from sagehound.localcloud.state import arns
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Record, Store

_HIDDEN = ("Versions", "NextVersion")


class Policies:
    """Documents that can be attached to many."""

    def __init__(self, store: Store, clock: Clock, account_id: str) -> None:
        self._store = store
        self._clock = clock
        self._account_id = account_id

    def find(self, arn: str) -> Record:
        """The record of a customer managed policy; NoSuchEntity for others. AWS's own may not be changed."""
        if aws_policies.is_aws(arn):
            raise AwsError("AccessDenied", "Cannot change an AWS managed policy.", 403)
        record = records.by_arn(self._store, records.POLICY, arn)
        if record is None:
            raise missing(arn)
        return record

    def describe(self, arn: str) -> Record:
        """A policy of either kind as GetPolicy describes it."""
        if aws_policies.is_aws(arn):
            record = aws_policies.find(arn)
            if record is None:
                raise missing(arn)
            del record["Document"]
        else:
            record = {name: value for name, value in self.find(arn).items() if name not in _HIDDEN}
        return {
            **record,
            "AttachmentCount": len(self.principals(arn, "AttachedPolicies")),
            "PermissionsBoundaryUsageCount": len(self.principals(arn, "PermissionsBoundary")),
        }

    def document(self, arn: str) -> str:
        """The text of a policy's default version, as GetPolicyVersion shows it."""
        if aws_policies.is_aws(arn):
            found = aws_policies.find(arn)
            if found is None:
                raise missing(arn)
            return json.dumps(found["Document"], indent=4)
        record = self.find(arn)
        document: str = record["Versions"][record["DefaultVersionId"]]["Document"]
        return document

    def principals(self, arn: str, member: str) -> list[tuple[str, Record]]:
        """(kind, record) of the users and roles that have the policy attached, or as their boundary."""
        found = []
        for kind in (records.USER, records.ROLE):
            for record in self._store.list(kind, ""):
                held = record.get(member, [])
                if arn in (held if isinstance(held, list) else [held["PermissionsBoundaryArn"]]):
                    found.append((kind, record))
        return found

    def CreatePolicy(self, call: Call, request: Request) -> Response:
        """A new policy with version v1."""
        document, name, path = request["PolicyDocument"], request["PolicyName"], request.get("Path", "/")
        _check(document)
        now = self._clock.now()
        record = {
            "PolicyName": name,
            "PolicyId": records.unique_id("ANPA"),
            "Arn": arns.make("iam", "", self._account_id, f"policy{path}{name}"),
            "Path": path,
            "DefaultVersionId": "v1",
            "IsAttachable": True,
            "CreateDate": now,
            "UpdateDate": now,
            **({"Description": request["Description"]} if "Description" in request else {}),
            "Tags": tagging.checked(request.get("Tags", [])),
            "Versions": {"v1": {"Document": document, "CreateDate": now}},
            "NextVersion": 2,
        }
        call.resource = record["Arn"]
        if not self._store.add(records.POLICY, "", name.lower(), record):
            raise AwsError(
                "EntityAlreadyExists", f"A policy called {name} already exists. Duplicate names are not allowed.", 409
            )
        return {"Policy": self.describe(record["Arn"])}

    def GetPolicy(self, call: Call, request: Request) -> Response:
        """A policy of the account or of AWS."""
        return {"Policy": self.describe(request["PolicyArn"])}

    async def ListPolicies(self, call: Call, request: Request) -> Response:
        """Policies by Scope (All, AWS, Local), OnlyAttached, PathPrefix."""
        scope = request.get("Scope", "All")
        found: list[Record] = []
        if scope in ("All", "Local"):
            found += [_without_hidden(record) for record in self._store.list(records.POLICY, "")]
        if scope in ("All", "AWS"):
            found += await asyncio.to_thread(aws_policies.described)
        counts: dict[str, int] = {}
        for kind in (records.USER, records.ROLE):
            for principal in self._store.list(kind, ""):
                for arn in principal["AttachedPolicies"]:
                    counts[arn] = counts.get(arn, 0) + 1
        listed = [{**record, "AttachmentCount": counts.get(record["Arn"], 0)} for record in found]
        if request.get("OnlyAttached"):
            listed = [record for record in listed if record["AttachmentCount"]]
        for record in listed:
            record.pop("Tags", None)
            record.pop("Description", None)
        return records.page(request, "Policies", records.under_path(listed, request), lambda record: record["Arn"])

    def DeletePolicy(self, call: Call, request: Request) -> Response:
        """Refused while it is attached, a boundary, or has more than its default version."""
        record = self.find(request["PolicyArn"])
        arn = record["Arn"]
        if self.principals(arn, "AttachedPolicies") or self.principals(arn, "PermissionsBoundary"):
            raise AwsError("DeleteConflict", "Cannot delete a policy attached to entities.", 409)
        if len(record["Versions"]) > 1:
            message = (
                "This policy has more than one version. Before you delete a policy, you must delete the policy's "
                "versions. The default version is deleted with the policy."
            )
            raise AwsError("DeleteConflict", message, 409)
        records.delete(self._store, records.POLICY, record["PolicyName"])
        return {}

    def CreatePolicyVersion(self, call: Call, request: Request) -> Response:
        """The next version, up to five."""
        record = self.find(request["PolicyArn"])
        _check(request["PolicyDocument"])
        if len(record["Versions"]) >= limits.VERSIONS_PER_POLICY:
            message = (
                "A managed policy can have up to 5 versions. Before you create a new version, you must delete an "
                "existing version."
            )
            raise AwsError("LimitExceeded", message, 409)
        version, now = f"v{record['NextVersion']}", self._clock.now()
        record["NextVersion"] += 1
        record["Versions"][version] = {"Document": request["PolicyDocument"], "CreateDate": now}
        if request.get("SetAsDefault"):
            record["DefaultVersionId"] = version
        record["UpdateDate"] = now
        self._put(record)
        answer = {"VersionId": version, "IsDefaultVersion": record["DefaultVersionId"] == version, "CreateDate": now}
        return {"PolicyVersion": answer}

    def GetPolicyVersion(self, call: Call, request: Request) -> Response:
        """One version with its document, percent-encoded."""
        arn, version = request["PolicyArn"], request["VersionId"]
        for found in self._versions(arn):
            if found["VersionId"] == version:
                return {"PolicyVersion": {**found, "Document": records.encoded(found["Document"])}}
        raise AwsError("NoSuchEntity", f"Policy {arn} version {version} does not exist or is not attachable.", 404)

    def ListPolicyVersions(self, call: Call, request: Request) -> Response:
        """All versions, the newest first."""
        found = [
            {name: value for name, value in version.items() if name != "Document"}
            for version in self._versions(request["PolicyArn"])
        ]
        return records.page(
            request, "Versions", found, lambda version: f"{99999999 - int(version['VersionId'][1:]):08}"
        )

    def SetDefaultPolicyVersion(self, call: Call, request: Request) -> Response:
        """Make another version the one that counts."""
        record = self.find(request["PolicyArn"])
        self._version(record, request["VersionId"])
        record["DefaultVersionId"] = request["VersionId"]
        record["UpdateDate"] = self._clock.now()
        self._put(record)
        return {}

    def DeletePolicyVersion(self, call: Call, request: Request) -> Response:
        """Any version but the default one."""
        record = self.find(request["PolicyArn"])
        self._version(record, request["VersionId"])
        if record["DefaultVersionId"] == request["VersionId"]:
            raise AwsError("DeleteConflict", "Cannot delete the default version of a policy.", 409)
        del record["Versions"][request["VersionId"]]
        self._put(record)
        return {}

    def TagPolicy(self, call: Call, request: Request) -> Response:
        """Set tags."""
        record = self.find(request["PolicyArn"])
        self._put({**record, "Tags": tagging.merged(record["Tags"], request["Tags"])})
        return {}

    def UntagPolicy(self, call: Call, request: Request) -> Response:
        """Remove tags."""
        record = self.find(request["PolicyArn"])
        self._put({**record, "Tags": tagging.without(record["Tags"], request["TagKeys"])})
        return {}

    def ListPolicyTags(self, call: Call, request: Request) -> Response:
        """The tags of a policy."""
        tags = self.find(request["PolicyArn"])["Tags"]
        return records.page(request, "Tags", tags, lambda tag: tag["Key"])

    def ListEntitiesForPolicy(self, call: Call, request: Request) -> Response:
        """The users and roles that a policy is attached to, or the boundary of."""
        arn = request["PolicyArn"]
        self.describe(arn)
        boundary = request.get("PolicyUsageFilter") == "PermissionsBoundary"
        wanted = request.get("EntityFilter")
        found = self.principals(arn, "PermissionsBoundary" if boundary else "AttachedPolicies")
        under = [(kind, record) for kind, record in found if record["Path"].startswith(request.get("PathPrefix", "/"))]
        users = [record for kind, record in under if kind == records.USER and wanted in (None, "User")]
        roles = [record for kind, record in under if kind == records.ROLE and wanted in (None, "Role")]
        return {
            "PolicyUsers": [{"UserName": user["UserName"], "UserId": user["UserId"]} for user in users],
            "PolicyRoles": [{"RoleName": role["RoleName"], "RoleId": role["RoleId"]} for role in roles],
            "PolicyGroups": [],
            "IsTruncated": False,
        }

    def _versions(self, arn: str) -> list[Record]:
        if aws_policies.is_aws(arn):
            # The copy holds the default version only.
            policy = aws_policies.find(arn)
            if policy is None:
                raise missing(arn)
            document = json.dumps(policy["Document"], indent=4)
            return [_version_record(policy["DefaultVersionId"], True, policy["UpdateDate"], document)]
        record = self.find(arn)
        return [
            _version_record(name, name == record["DefaultVersionId"], version["CreateDate"], version["Document"])
            for name, version in record["Versions"].items()
        ]

    def _version(self, record: Record, version: str) -> Any:
        if version not in record["Versions"]:
            message = f"Policy {record['Arn']} version {version} does not exist or is not attachable."
            raise AwsError("NoSuchEntity", message, 404)
        return record["Versions"][version]

    def _put(self, record: Record) -> None:
        records.put(self._store, records.POLICY, record["PolicyName"], record)


def missing(arn: str) -> AwsError:
    """The error for a policy that nobody has."""
    return AwsError("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.", 404)


def _version_record(version: str, default: bool, created: Any, document: str) -> Record:
    return {"VersionId": version, "IsDefaultVersion": default, "CreateDate": created, "Document": document}


def _without_hidden(record: Record) -> Record:
    return {name: value for name, value in record.items() if name not in _HIDDEN}


def _check(document: str) -> None:
    grammar.check_identity_policy(document)
    if grammar.size(document) > limits.MANAGED_POLICY_SIZE:
        raise AwsError("LimitExceeded", f"Cannot exceed quota for PolicySize: {limits.MANAGED_POLICY_SIZE}", 409)
