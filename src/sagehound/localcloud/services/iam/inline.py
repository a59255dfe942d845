"""Inline policies: documents that live and die with their user or role."""

from __future__ import annotations

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.iam import grammar, limits, records
from sagehound.localcloud.state.store import Record, Store


class InlinePolicies:
    """Put, get, list, delete: the same for a user and for a role."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def PutUserPolicy(self, call: Call, request: Request) -> Response:
        """Create or replace an inline policy of a user."""
        return self._put(call, records.USER, request["UserName"], request)

    def PutRolePolicy(self, call: Call, request: Request) -> Response:
        """Create or replace an inline policy of a role."""
        return self._put(call, records.ROLE, request["RoleName"], request)

    def GetUserPolicy(self, call: Call, request: Request) -> Response:
        """An inline policy of a user, percent-encoded."""
        name = request["UserName"]
        return {"UserName": name, **self._get(records.USER, name, request["PolicyName"])}

    def GetRolePolicy(self, call: Call, request: Request) -> Response:
        """An inline policy of a role, percent-encoded."""
        name = request["RoleName"]
        return {"RoleName": name, **self._get(records.ROLE, name, request["PolicyName"])}

    def ListUserPolicies(self, call: Call, request: Request) -> Response:
        """The names of a user's inline policies."""
        return _list(request, records.get(self._store, records.USER, request["UserName"]))

    def ListRolePolicies(self, call: Call, request: Request) -> Response:
        """The names of a role's inline policies."""
        return _list(request, records.get(self._store, records.ROLE, request["RoleName"]))

    def DeleteUserPolicy(self, call: Call, request: Request) -> Response:
        """Remove an inline policy of a user."""
        return self._delete(call, records.USER, request["UserName"], request["PolicyName"])

    def DeleteRolePolicy(self, call: Call, request: Request) -> Response:
        """Remove an inline policy of a role."""
        return self._delete(call, records.ROLE, request["RoleName"], request["PolicyName"])

    def _put(self, call: Call, kind: str, name: str, request: Request) -> Response:
        record = records.get(self._store, kind, name)
        call.resource = record["Arn"]
        grammar.check_identity_policy(request["PolicyDocument"])
        record["InlinePolicies"][request["PolicyName"]] = request["PolicyDocument"]
        word = "user" if kind == records.USER else "role"
        limit = limits.INLINE_SIZE[word]
        if sum(map(grammar.size, record["InlinePolicies"].values())) > limit:
            raise AwsError("LimitExceeded", f"Maximum policy size of {limit} bytes exceeded for {word} {name}", 409)
        records.put(self._store, kind, name, record)
        return {}

    def _get(self, kind: str, name: str, policy: str) -> Response:
        found = records.get(self._store, kind, name)["InlinePolicies"]
        if policy not in found:
            raise _missing(kind, policy)
        return {"PolicyName": policy, "PolicyDocument": records.encoded(found[policy])}

    def _delete(self, call: Call, kind: str, name: str, policy: str) -> Response:
        record = records.get(self._store, kind, name)
        call.resource = record["Arn"]
        if policy not in record["InlinePolicies"]:
            raise _missing(kind, policy)
        del record["InlinePolicies"][policy]
        records.put(self._store, kind, name, record)
        return {}


def _list(request: Request, record: Record) -> Response:
    return records.page(request, "PolicyNames", list(record["InlinePolicies"]), str)


def _missing(kind: str, policy: str) -> AwsError:
    word = "user" if kind == records.USER else "role"
    return AwsError("NoSuchEntity", f"The {word} policy with name {policy} cannot be found.", 404)
