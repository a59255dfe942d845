"""Reading objects: get, head, attributes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.s3 import attributes, checksums
from sagehound.localcloud.services.s3.conditions import check_read, last_modified
from sagehound.localcloud.services.s3.content import Contents, pieces_of
from sagehound.localcloud.services.s3.errors import (
    invalid_argument,
    invalid_request,
    method_not_allowed,
    no_such_key,
    no_such_version,
)
from sagehound.localcloud.services.s3.names import check_key, check_version_id
from sagehound.localcloud.services.s3.objects import version_member
from sagehound.localcloud.services.s3.paging import page_number, page_size
from sagehound.localcloud.services.s3.records import Bucket, BucketTable, ObjectTable, ObjectVersion

_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")
_MOST_DIGITS = 19
"""A file offset has no more; all that is longer lies behind every object's end."""
_OVERRIDES = {
    "ResponseCacheControl": "CacheControl",
    "ResponseContentDisposition": "ContentDisposition",
    "ResponseContentEncoding": "ContentEncoding",
    "ResponseContentLanguage": "ContentLanguage",
    "ResponseContentType": "ContentType",
    "ResponseExpires": "Expires",
}
_SHOWN = (
    "ContentType",
    *attributes.HEADERS,
    *attributes.ENCRYPTION,
    "Metadata",
    "StorageClass",
    "WebsiteRedirectLocation",
)


class Reading:
    """GetObject, HeadObject and GetObjectAttributes."""

    def __init__(self, buckets: BucketTable, objects: ObjectTable, contents: Contents) -> None:
        self._buckets = buckets
        self._objects = objects
        self._contents = contents

    def GetObject(self, call: Call, request: Request) -> Response:
        """The object, or a piece of it; its bytes go from the file to the socket in pieces."""
        version, start, length, answer = self._head(call, request, "GET")
        files = self._contents.files
        pieces = pieces_of(files, version.content, start, length)
        if not pieces:
            answer["Body"] = b""
        elif len(pieces) == 1:
            answer["Body"] = pieces[0]
        else:
            answer["Body"] = self._contents.send(pieces, [piece.path.name for piece in pieces])
        return answer

    def HeadObject(self, call: Call, request: Request) -> Response:
        """What GetObject would answer, without the bytes."""
        return self._head(call, request, "HEAD")[3]

    def GetObjectAttributes(self, call: Call, request: Request) -> Response:
        """Those of ETag, Checksum, ObjectParts, StorageClass and ObjectSize that are asked for."""
        bucket = self._buckets.require(request)
        version = find_version(self._objects, bucket, request, "GET")
        asked = request["ObjectAttributes"]
        shown = version.attributes
        found: dict[str, Any] = {
            "ETag": version.etag,
            "Checksum": checksum_members(shown),
            "StorageClass": shown.get("StorageClass", "STANDARD"),
            "ObjectSize": version.size,
        }
        if "ObjectParts" in asked and "PartsCount" in shown:
            found["ObjectParts"] = self._parts(version, request)
        answer = {name: found[name] for name in asked if found.get(name) is not None}
        return {**answer, "LastModified": last_modified(version), **version_member(bucket, version)}

    def _parts(self, version: ObjectVersion, request: Request) -> dict[str, Any]:
        total = version.attributes["PartsCount"]
        if version.attributes.get("ChecksumType") != checksums.COMPOSITE:
            return {"TotalPartsCount": total}
        marker = page_number(request, "PartNumberMarker", 0)
        limit = page_size(request, "MaxParts", 1000)
        parts = [part for part in self._objects.parts(version) if part["PartNumber"] > marker]
        page = parts[:limit]
        return {
            "TotalPartsCount": total,
            "PartNumberMarker": marker,
            "NextPartNumberMarker": page[-1]["PartNumber"] if page else 0,
            "MaxParts": limit,
            "IsTruncated": len(parts) > limit,
            "Parts": page,
        }

    def _head(self, call: Call, request: Request, method: str) -> tuple[ObjectVersion, int, int, Response]:
        bucket = self._buckets.require(request)
        if request.get("SSECustomerAlgorithm"):
            raise invalid_request("The encryption parameters are not applicable to this object.")
        version = find_version(self._objects, bucket, request, method)
        check_read(version, request)
        start, length = 0, version.size
        answer: Response = {
            "AcceptRanges": "bytes",
            "LastModified": last_modified(version),
            "ETag": version.quoted_etag,
            **{member: version.attributes[member] for member in _SHOWN if member in version.attributes},
            **version_member(bucket, version),
        }
        if version.tags and method == "GET":
            answer["TagCount"] = len(version.tags)
        part = request.get("PartNumber")
        piece = _part_range(version, part, request) if part is not None else _byte_range(request, version.size)
        if piece is not None:
            start, length = piece
            call.status = 206
            if version.size:
                answer["ContentRange"] = f"bytes {start}-{start + length - 1}/{version.size}"
        if part is not None and "PartsCount" in version.attributes:
            answer["PartsCount"] = version.attributes["PartsCount"]
        answer["ContentLength"] = length
        if request.get("ChecksumMode") == "ENABLED" and (piece is None or length == version.size):
            answer.update(checksum_members(version.attributes))
        for override, member in _OVERRIDES.items():
            if request.get(override) is not None:
                answer[member] = request[override]
        return version, start, length, answer


def find_version(objects: ObjectTable, bucket: Bucket, request: Mapping[str, Any], method: str) -> ObjectVersion:
    """The version that a request names, or the latest one; the errors that S3 has for what is not to be read."""
    key, version_id = request["Key"], request.get("VersionId")
    check_key(key)
    if version_id is None:
        version = objects.latest(bucket["Name"], key)
        if version is None:
            raise no_such_key(key)
        if version.is_delete_marker:
            raise no_such_key(key, {"x-amz-delete-marker": "true", "x-amz-version-id": version.version_id})
        return version
    if not version_id:
        raise invalid_argument("Version id cannot be the empty string", "versionId", "")
    check_version_id(version_id)
    version = objects.version(bucket["Name"], key, version_id)
    if version is None:
        raise no_such_version(key, version_id)
    if version.is_delete_marker:
        headers = {"x-amz-delete-marker": "true", "x-amz-version-id": version.version_id, "Allow": "DELETE"}
        raise method_not_allowed(method, "DeleteMarker", headers)
    return version


def checksum_members(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Checksum* and ChecksumType of an object."""
    found = {member: stored[member] for member in checksums.MEMBERS.values() if member in stored}
    return {**found, "ChecksumType": stored["ChecksumType"]} if found else {}


def parse_range(text: str, size: int) -> tuple[int, int] | None:
    """(start, length) of a Range header; None when it is no single byte range, which HTTP ignores; 416 outside."""
    match = _RANGE.fullmatch(text.strip())
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        length = _offset(match[2])
        start, end = max(0, size - length), size - 1
        outside = length == 0 or size == 0
    else:
        start, end = _offset(match[1]), _offset(match[2]) if match[2] else size - 1
        if match[2] and end < start:
            return None
        outside = start >= size
    if outside:
        members = {"ActualObjectSize": size, "RangeRequested": text}
        headers = {"Content-Range": f"bytes */{size}"}
        message = "The requested range is not satisfiable"
        raise AwsError("InvalidRange", message, 416, members=members, headers=headers)
    return start, min(end, size - 1) - start + 1


def _offset(digits: str) -> int:
    digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) <= _MOST_DIGITS else 10**_MOST_DIGITS


def _byte_range(request: Mapping[str, Any], size: int) -> tuple[int, int] | None:
    return parse_range(request["Range"], size) if request.get("Range") else None


def _part_range(version: ObjectVersion, number: int, request: Mapping[str, Any]) -> tuple[int, int]:
    """Where part `number` of a multipart upload lies; an object of one piece is its own part 1."""
    if request.get("Range"):
        raise invalid_request("Cannot specify both Range header and partNumber query parameter")
    sizes = [size for _, size in version.content] if "PartsCount" in version.attributes else [version.size]
    if not 1 <= number <= len(sizes):
        members = {"PartNumberRequested": number, "ActualPartCount": len(sizes)}
        raise AwsError("InvalidPartNumber", "The requested partnumber is not satisfiable", 416, members=members)
    return sum(sizes[: number - 1]), sizes[number - 1]
