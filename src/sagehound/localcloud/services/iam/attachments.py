"""Managed policies attached to users and roles."""

from __future__ import annotations

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.iam import aws_policies, limits, records
from sagehound.localcloud.services.iam.policies import Policies
from sagehound.localcloud.state.store import Record, Store


class Attachments:
    """Attach, detach, list: the same for a user and for a role."""

    def __init__(self, store: Store, policies: Policies) -> None:
        self._store = store
        self._policies = policies

    def AttachUserPolicy(self, call: Call, request: Request) -> Response:
        """Attach a managed policy to a user; again is no error."""
        return self._attach(call, records.USER, request["UserName"], request["PolicyArn"])

    def AttachRolePolicy(self, call: Call, request: Request) -> Response:
        """Attach a managed policy to a role; again is no error."""
        return self._attach(call, records.ROLE, request["RoleName"], request["PolicyArn"])

    def DetachUserPolicy(self, call: Call, request: Request) -> Response:
        """Detach a managed policy from a user."""
        return self._detach(call, records.USER, request["UserName"], request["PolicyArn"])

    def DetachRolePolicy(self, call: Call, request: Request) -> Response:
        """Detach a managed policy from a role."""
        return self._detach(call, records.ROLE, request["RoleName"], request["PolicyArn"])

    def ListAttachedUserPolicies(self, call: Call, request: Request) -> Response:
        """The managed policies of a user."""
        return self._list(request, records.get(self._store, records.USER, request["UserName"]))

    def ListAttachedRolePolicies(self, call: Call, request: Request) -> Response:
        """The managed policies of a role."""
        return self._list(request, records.get(self._store, records.ROLE, request["RoleName"]))

    def _attach(self, call: Call, kind: str, name: str, arn: str) -> Response:
        record = records.get(self._store, kind, name)
        call.resource = record["Arn"]
        policy = self._policies.describe(arn)
        if not policy["IsAttachable"]:
            message = f"Cannot attach a Service Role Policy to a Customer Role or User: {arn}"
            raise AwsError("PolicyNotAttachable", message)
        if arn in record["AttachedPolicies"]:
            return {}
        if len(record["AttachedPolicies"]) >= limits.POLICIES_PER_PRINCIPAL:
            word = "User" if kind == records.USER else "Role"
            message = f"Cannot exceed quota for PoliciesPer{word}: {limits.POLICIES_PER_PRINCIPAL}"
            raise AwsError("LimitExceeded", message, 409)
        record["AttachedPolicies"].append(arn)
        records.put(self._store, kind, name, record)
        return {}

    def _detach(self, call: Call, kind: str, name: str, arn: str) -> Response:
        record = records.get(self._store, kind, name)
        call.resource = record["Arn"]
        if arn not in record["AttachedPolicies"]:
            raise AwsError("NoSuchEntity", f"Policy {arn} was not found.", 404)
        record["AttachedPolicies"].remove(arn)
        records.put(self._store, kind, name, record)
        return {}

    def _list(self, request: Request, record: Record) -> Response:
        prefix = request.get("PathPrefix", "/")
        found = [
            {"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn}
            for arn in record["AttachedPolicies"]
            if _path(arn).startswith(prefix)
        ]
        return records.page(request, "AttachedPolicies", found, lambda policy: policy["PolicyArn"])


def _path(arn: str) -> str:
    """`/service-role/` of `arn:aws:iam::aws:policy/service-role/Name`."""
    resource = arn.removeprefix(aws_policies.PREFIX) if aws_policies.is_aws(arn) else arn.partition(":policy")[2]
    return resource.rpartition("/")[0] + "/"
