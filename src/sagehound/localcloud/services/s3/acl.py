"""Access control lists: the owner has everything, and nothing else can be granted."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.s3.ownership import OWNER_ONLY, grants, owner
from sagehound.localcloud.services.s3.reading import find_version
from sagehound.localcloud.services.s3.records import BucketTable, ObjectTable

_GRANTS = ("GrantFullControl", "GrantRead", "GrantReadACP", "GrantWrite", "GrantWriteACP")


class AccessControlLists:
    """Get and put the ACLs of buckets and objects."""

    def __init__(self, buckets: BucketTable, objects: ObjectTable, account_id: str) -> None:
        self._buckets = buckets
        self._objects = objects
        self._account_id = account_id

    def GetBucketAcl(self, call: Call, request: Request) -> Response:
        """The owner's full control."""
        self._buckets.require(request)
        return self._owner_only()

    def PutBucketAcl(self, call: Call, request: Request) -> Response:
        """Accepts what says what is already so; anything else is AccessControlListNotSupported."""
        self._buckets.require(request)
        self._check(request)
        return {}

    def GetObjectAcl(self, call: Call, request: Request) -> Response:
        """The owner's full control."""
        find_version(self._objects, self._buckets.require(request), request, "GET")
        return self._owner_only()

    def PutObjectAcl(self, call: Call, request: Request) -> Response:
        """Accepts what says what is already so; anything else is AccessControlListNotSupported."""
        find_version(self._objects, self._buckets.require(request), request, "PUT")
        self._check(request)
        return {}

    def _owner_only(self) -> Response:
        return {"Owner": owner(self._account_id), "Grants": grants(self._account_id)}

    def _check(self, request: Request) -> None:
        asked: list[dict[str, Any]] = request.get("AccessControlPolicy", {}).get("Grants", [])
        own = owner(self._account_id)["ID"]
        others = [grant for grant in asked if grant.get("Grantee", {}).get("ID") != own]
        if others or any(request.get(name) for name in _GRANTS) or request.get("ACL", "private") not in OWNER_ONLY:
            raise AwsError("AccessControlListNotSupported", "The bucket does not allow ACLs", 400)
