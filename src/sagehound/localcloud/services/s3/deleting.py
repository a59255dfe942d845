"""Deleting objects: one, many, one version, or the latest under a delete marker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sagehound.localcloud.authorization.s3 import delete_check
from sagehound.localcloud.authorization.summary import summary
from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.s3.content import Contents, disk_full_answered
from sagehound.localcloud.services.s3.errors import DISK_FULL, malformed_xml, no_such_key, precondition_failed
from sagehound.localcloud.services.s3.names import NULL_VERSION, check_key, check_version_id
from sagehound.localcloud.services.s3.needs import Authority
from sagehound.localcloud.services.s3.objects import versioning_of
from sagehound.localcloud.services.s3.records import Bucket, BucketTable, ObjectTable, ObjectVersion
from sagehound.localcloud.state.clock import Clock

T = TypeVar("T")
_MAX_DELETE = 1000


class Deleting:
    """DeleteObject and DeleteObjects."""

    def __init__(
        self, buckets: BucketTable, objects: ObjectTable, contents: Contents, clock: Clock, authority: Authority
    ) -> None:
        self._buckets = buckets
        self._objects = objects
        self._contents = contents
        self._clock = clock
        self._authority = authority

    def DeleteObject(self, call: Call, request: Request) -> Response:
        """Succeeds whether or not there was such an object; leaves a delete marker where versions are kept."""
        bucket = self._buckets.require(request)
        key, version_id, if_match = request["Key"], request.get("VersionId"), request.get("IfMatch")
        answer, contents = self._commit(lambda: self._delete(bucket, key, version_id, if_match))
        self._contents.files.remove(contents)
        return answer

    def DeleteObjects(self, call: Call, request: Request) -> Response:
        """Up to 1,000 deletions, each allowed or denied and with a result of its own."""
        bucket = self._buckets.require(request)
        entries = request["Delete"].get("Objects", [])
        if not 1 <= len(entries) <= _MAX_DELETE:
            raise malformed_xml()
        allowed, refused = self._authorised(call, bucket, entries)
        (deleted, errors), gone = self._commit(lambda: self._delete_each(bucket, allowed))
        errors = refused + errors
        self._contents.files.remove(gone)
        answer: Response = {}
        if deleted and not request["Delete"].get("Quiet", False):
            answer["Deleted"] = deleted
        if errors:
            answer["Errors"] = errors
        return answer

    def _authorised(
        self, call: Call, bucket: Bucket, entries: list[dict[str, Any]]
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The entries that the caller may delete, and the errors of the others."""
        allowed, refused = [], []
        for entry in entries:
            version_id = entry.get("VersionId") or None
            try:
                self._authority.demand(call, [delete_check(call, bucket["Name"], entry["Key"], version_id)])
            except AwsError as error:
                named = {name: entry[name] for name in ("Key", "VersionId") if entry.get(name)}
                refused.append({**named, "Code": error.code, "Message": error.message})
            else:
                allowed.append(entry)
        call.authorised[:] = summary(call.authorised)
        return allowed, refused

    def expire(self, bucket: Bucket, key: str) -> None:
        """What a lifecycle rule does to a key: deleted, which is a delete marker where versions are kept."""
        contents = self._commit(lambda: self._delete(bucket, key, None, None))[1]
        self._contents.files.remove(contents)

    def delete_for_good(self, version: ObjectVersion) -> None:
        """Remove one version and its bytes."""
        contents = self._objects.remove_listed(version)
        self._contents.files.remove(contents)

    def _commit(self, work: Callable[[], tuple[T, list[str]]]) -> tuple[T, list[str]]:
        """Run `work` in a transaction; on a full disk once more, in the room that is kept for this."""
        try:
            with disk_full_answered(), self._objects.transaction():
                return work()
        except AwsError as error:
            if error.code != DISK_FULL or not self._contents.files.release():
                raise
        with disk_full_answered(), self._objects.transaction():
            return work()

    def _delete_each(
        self, bucket: Bucket, entries: list[dict[str, Any]]
    ) -> tuple[tuple[list[dict[str, Any]], list[dict[str, Any]]], list[str]]:
        """What was deleted, what was not, and the content files that nothing names any more."""
        deleted: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        gone: list[str] = []
        for entry in entries:
            named = {name: entry[name] for name in ("Key", "VersionId") if entry.get(name)}
            try:
                answer, contents = self._delete(bucket, entry["Key"], entry.get("VersionId") or None, entry.get("ETag"))
            except AwsError as error:
                errors.append({**named, "Code": error.code, "Message": error.message})
                continue
            gone.extend(contents)
            if answer.get("DeleteMarker"):
                named |= {"DeleteMarker": True, "DeleteMarkerVersionId": answer["VersionId"]}
            deleted.append(named)
        return (deleted, errors), gone

    def _delete(
        self, bucket: Bucket, key: str, version_id: str | None, if_match: str | None
    ) -> tuple[Response, list[str]]:
        """The answer of DeleteObject, and the content files that nothing names any more."""
        check_key(key)
        versioning = versioning_of(bucket)
        if version_id is not None:
            check_version_id(version_id)
            version = self._objects.version(bucket["Name"], key, version_id)
            if version is None:
                return ({"VersionId": version_id} if versioning else {}), []
            _check_match(version, if_match)
            answer: Response = {"VersionId": version_id} if versioning else {}
            if version.is_delete_marker:
                answer["DeleteMarker"] = True
            return answer, self._objects.remove(version)
        latest = self._objects.latest(bucket["Name"], key)
        if if_match is not None:
            if latest is None or latest.is_delete_marker:
                raise no_such_key(key)
            _check_match(latest, if_match)
        if versioning is None:
            return {}, self._objects.remove(latest) if latest is not None else []
        marker = ObjectVersion(bucket["Name"], key, 0, "", self._clock.time(), is_delete_marker=True)
        replaced = self._objects.add(marker, versioning)
        return {"DeleteMarker": True, "VersionId": marker.version_id or NULL_VERSION}, replaced


def _check_match(version: ObjectVersion, if_match: str | None) -> None:
    if if_match is not None and if_match.strip('"') not in ("*", version.etag):
        raise precondition_failed("If-Match")
