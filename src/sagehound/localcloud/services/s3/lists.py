"""The three lists of a bucket: ListObjectsV2, ListObjects, ListObjectVersions."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.services.s3 import checksums
from sagehound.localcloud.services.s3.conditions import last_modified
from sagehound.localcloud.services.s3.errors import invalid_argument
from sagehound.localcloud.services.s3.listing import NEWEST, Page, list_latest, list_versions
from sagehound.localcloud.services.s3.names import check_version_id
from sagehound.localcloud.services.s3.ownership import owner
from sagehound.localcloud.services.s3.paging import make_token, open_token, page_size
from sagehound.localcloud.services.s3.records import BucketTable, ObjectTable, ObjectVersion

MAX_PAGE = 1000


class Lists:
    """The operations that list objects."""

    def __init__(self, buckets: BucketTable, objects: ObjectTable, account_id: str) -> None:
        self._buckets = buckets
        self._objects = objects
        self._owner = owner(account_id)

    def ListObjectsV2(self, call: Call, request: Request) -> Response:
        """Keys after StartAfter or a continuation token, in pages of at most 1,000 keys and common prefixes."""
        bucket = self._buckets.require(request)["Name"]
        limit = page_size(request, "MaxKeys", MAX_PAGE)
        token = request.get("ContinuationToken")
        after = open_token(token) if token is not None else request.get("StartAfter", "")
        prefix, delimiter = request.get("Prefix", ""), request.get("Delimiter", "")
        page = list_latest(self._objects, bucket, prefix, delimiter, after, limit)
        fetch_owner = self._owner if request.get("FetchOwner") else None
        answer = _answer(request, page, limit, [_object(v, request, fetch_owner) for v in page.versions])
        answer["KeyCount"] = len(page.versions) + len(page.prefixes)
        if token is not None:
            answer["ContinuationToken"] = token
        if request.get("StartAfter"):
            answer["StartAfter"] = encoded(request, request["StartAfter"])
        if page.is_truncated:
            answer["NextContinuationToken"] = make_token(page.last)
        return answer

    def ListObjects(self, call: Call, request: Request) -> Response:
        """The older list: pages go on from a Marker; NextMarker is told with a delimiter only."""
        bucket = self._buckets.require(request)["Name"]
        limit = page_size(request, "MaxKeys", MAX_PAGE)
        marker = request.get("Marker", "")
        prefix, delimiter = request.get("Prefix", ""), request.get("Delimiter", "")
        page = list_latest(self._objects, bucket, prefix, delimiter, marker, limit)
        answer = _answer(request, page, limit, [_object(v, request, self._owner) for v in page.versions])
        answer["Marker"] = encoded(request, marker)
        if page.is_truncated and delimiter:
            answer["NextMarker"] = encoded(request, page.last)
        return answer

    def ListObjectVersions(self, call: Call, request: Request) -> Response:
        """Every version and delete marker, newest first within a key."""
        bucket = self._buckets.require(request)["Name"]
        limit = page_size(request, "MaxKeys", MAX_PAGE)
        marker, version_marker = request.get("KeyMarker", ""), request.get("VersionIdMarker")
        if version_marker is not None and not marker:
            message = "A version-id marker cannot be specified without a key marker."
            raise invalid_argument(message, "version-id-marker", version_marker)
        after_id = None
        if version_marker:
            check_version_id(version_marker)
            found = self._objects.version(bucket, marker, version_marker)
            # Whoever empties a bucket page by page has deleted the marker: what is left of its key comes next.
            after_id = found.id if found else NEWEST
        prefix, delimiter = request.get("Prefix", ""), request.get("Delimiter", "")
        page = list_versions(self._objects, bucket, prefix, delimiter, marker, after_id, limit)
        answer = _answer(request, page, limit, None)
        answer["Versions"] = [self._version(v, request) for v in page.versions if not v.is_delete_marker]
        answer["DeleteMarkers"] = [self._marker(v, request) for v in page.versions if v.is_delete_marker]
        answer["KeyMarker"] = encoded(request, marker)
        answer["VersionIdMarker"] = version_marker or ""
        if page.is_truncated:
            answer["NextKeyMarker"] = encoded(request, page.last)
            if page.last_version is not None:
                answer["NextVersionIdMarker"] = page.last_version.version_id
        return answer

    def _version(self, version: ObjectVersion, request: Request) -> dict[str, Any]:
        return {
            **_object(version, request, self._owner),
            "VersionId": version.version_id,
            "IsLatest": version.is_latest,
        }

    def _marker(self, version: ObjectVersion, request: Request) -> dict[str, Any]:
        return {
            "Owner": self._owner,
            "Key": encoded(request, version.key),
            "VersionId": version.version_id,
            "IsLatest": version.is_latest,
            "LastModified": last_modified(version),
        }


def encoded(request: Request, text: str) -> str:
    """A key as the list carries it: percent-encoded when EncodingType says url."""
    return quote(text, safe="/") if request.get("EncodingType") == "url" else text


def _answer(request: Request, page: Page, limit: int, contents: list[dict[str, Any]] | None) -> Response:
    answer: Response = {
        "Name": request["Bucket"],
        "Prefix": encoded(request, request.get("Prefix", "")),
        "MaxKeys": limit,
        "IsTruncated": page.is_truncated,
    }
    if contents:
        answer["Contents"] = contents
    if page.prefixes:
        answer["CommonPrefixes"] = [{"Prefix": encoded(request, prefix)} for prefix in page.prefixes]
    if request.get("Delimiter"):
        answer["Delimiter"] = encoded(request, request["Delimiter"])
    if request.get("EncodingType"):
        answer["EncodingType"] = request["EncodingType"]
    return answer


def _object(version: ObjectVersion, request: Request, told_owner: dict[str, str] | None) -> dict[str, Any]:
    stored = version.attributes
    entry: dict[str, Any] = {
        "Key": encoded(request, version.key),
        "LastModified": last_modified(version),
        "ETag": version.quoted_etag,
        "Size": version.size,
        "StorageClass": stored.get("StorageClass", "STANDARD"),
    }
    algorithms = [name for name, member in checksums.MEMBERS.items() if member in stored]
    if algorithms:
        entry["ChecksumAlgorithm"] = algorithms
        entry["ChecksumType"] = stored["ChecksumType"]
    if told_owner is not None:
        entry["Owner"] = told_owner
    return entry
