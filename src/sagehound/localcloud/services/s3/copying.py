"""Copying objects: the bytes are linked, not copied, whenever their digests need not be made anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError, not_implemented
from sagehound.localcloud.services.s3 import attributes, checksums
from sagehound.localcloud.services.s3.conditions import check_copy_source, check_write, last_modified
from sagehound.localcloud.services.s3.content import MAX_PUT, disk_full_answered, pieces_of
from sagehound.localcloud.services.s3.errors import invalid_request
from sagehound.localcloud.services.s3.names import check_key
from sagehound.localcloud.services.s3.objects import Writer, version_member, versioning_of
from sagehound.localcloud.services.s3.reading import find_version
from sagehound.localcloud.services.s3.records import Bucket, BucketTable, ObjectTable, ObjectVersion
from sagehound.localcloud.wire.copy_source import parse_copy_source

_TO_ITSELF = (
    "This copy request is illegal because it is trying to copy an object to itself without changing the object's "
    "metadata, storage class, website redirect location or encryption attributes."
)
_TOO_LARGE = "The specified copy source is larger than the maximum allowable size for a copy source"
_DELETE_MARKER = "The source of a copy request may not specifically refer to a delete marker by version id."


@dataclass(frozen=True, slots=True)
class Source:
    """The object that a copy reads."""

    bucket: Bucket
    version: ObjectVersion
    is_explicit: bool
    """Whether the request names the version."""


class Copying:
    """CopyObject."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def CopyObject(self, call: Call, request: Request) -> Response:
        """A new object with the bytes of another; metadata and tags come along unless they are to be replaced."""
        bucket = self._writer.buckets.require(request)
        check_key(request["Key"])
        source = find_source(self._writer.buckets, self._writer.objects, request)
        if source.version.size > MAX_PUT:
            raise invalid_request(f"{_TOO_LARGE}: {MAX_PUT}")
        stored = _attributes(request, bucket, source)
        tags = _tags(request, source)
        latest = self._writer.objects.latest(bucket["Name"], request["Key"])
        check_write(request["Key"], latest, request)
        version = await self._copied(request, bucket, source.version, stored, tags)
        self._writer.commit(version, request)
        result = {
            "ETag": version.quoted_etag,
            "LastModified": last_modified(version),
            **{m: stored[m] for m in checksums.MEMBERS.values() if m in stored},
            "ChecksumType": stored["ChecksumType"],
        }
        return {
            "CopyObjectResult": result,
            **attributes.encryption(stored),
            **source_version_member(source),
            **version_member(bucket, version),
        }

    async def _copied(
        self,
        request: Request,
        bucket: Bucket,
        source: ObjectVersion,
        stored: dict[str, Any],
        tags: list[dict[str, str]],
    ) -> ObjectVersion:
        """The new version with content of its own: hard links, which keep the bytes when the source goes."""
        contents = self._writer.contents
        names = [name for name, _ in source.content]
        wanted = request.get("ChecksumAlgorithm")
        present = [name for name, member in checksums.MEMBERS.items() if member in source.attributes]
        algorithm = wanted or (present[0] if present else checksums.DEFAULT)
        etag = source.etag
        contents.files.pin(names)
        try:
            if algorithm not in present or "PartsCount" in source.attributes:
                pieces = pieces_of(contents.files, source.content, 0, source.size)
                digests = await contents.digest(pieces, [algorithm])
                etag = digests.etag
                value = digests.checksums[algorithm]
            else:
                value = source.attributes[checksums.MEMBERS[algorithm]]
            stored[checksums.MEMBERS[algorithm]] = value
            stored["ChecksumType"] = checksums.FULL_OBJECT
            linked: list[tuple[str, int]] = []
            try:
                with disk_full_answered():
                    linked.extend((contents.files.link(name), size) for name, size in source.content)
            except BaseException:
                contents.files.discard(name for name, _ in linked)
                raise
        finally:
            contents.files.unpin(names)
        return ObjectVersion(bucket["Name"], request["Key"], source.size, etag, 0.0, linked, stored, tags)


def find_source(buckets: BucketTable, objects: ObjectTable, request: Request) -> Source:
    """The object that CopySource names, its conditions checked."""
    if request.get("CopySourceSSECustomerAlgorithm"):
        raise not_implemented("s3", "server-side encryption with customer-provided keys")
    named = parse_copy_source(request["CopySource"])
    owner = request.get("ExpectedSourceBucketOwner")
    bucket = buckets.require(named if owner is None else {**named, "ExpectedBucketOwner": owner})
    try:
        version = find_version(objects, bucket, named, "GET")
    except AwsError as error:
        if error.code == "MethodNotAllowed":
            raise invalid_request(_DELETE_MARKER) from error
        raise
    check_copy_source(version, request)
    return Source(bucket, version, "VersionId" in named)


def source_version_member(source: Source) -> dict[str, Any]:
    """CopySourceVersionId, once the source's bucket has had versioning."""
    return {} if versioning_of(source.bucket) is None else {"CopySourceVersionId": source.version.version_id}


def _attributes(request: Mapping[str, Any], bucket: Bucket, source: Source) -> dict[str, Any]:
    """The new object's attributes; InvalidRequest for a copy onto itself that changes nothing."""
    directive = request.get("MetadataDirective", "COPY")
    version = source.version
    if (bucket["Name"], request["Key"]) == (version.bucket, version.key) and not source.is_explicit:
        changes = ("StorageClass", "WebsiteRedirectLocation", "ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled")
        if directive == "COPY" and not any(request.get(member) for member in changes):
            raise invalid_request(_TO_ITSELF)
    if directive == "REPLACE":
        return attributes.from_request(request, bucket)
    kept = ("ContentType", *attributes.HEADERS, "Metadata")
    stored = {member: version.attributes[member] for member in kept if member in version.attributes}
    if request.get("WebsiteRedirectLocation"):
        stored["WebsiteRedirectLocation"] = request["WebsiteRedirectLocation"]
    return {**stored, **attributes.placement(request, bucket)}


def _tags(request: Mapping[str, Any], source: Source) -> list[dict[str, str]]:
    if request.get("TaggingDirective", "COPY") == "REPLACE":
        return attributes.tags_from_header(request.get("Tagging"))
    return source.version.tags
