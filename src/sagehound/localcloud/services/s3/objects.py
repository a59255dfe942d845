"""Objects: put, and the tags that they carry."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.s3 import attributes, checksums
from sagehound.localcloud.services.s3.conditions import check_write
from sagehound.localcloud.services.s3.content import MAX_PUT, Contents, Received, disk_full_answered
from sagehound.localcloud.services.s3.errors import bad_digest, entity_too_large, incomplete_body
from sagehound.localcloud.services.s3.names import check_key
from sagehound.localcloud.services.s3.records import Bucket, BucketTable, ObjectTable, ObjectVersion
from sagehound.localcloud.state.clock import Clock


class Writer:
    """Makes received bytes the latest version of a key: all or nothing."""

    def __init__(self, buckets: BucketTable, objects: ObjectTable, contents: Contents, clock: Clock) -> None:
        self.buckets = buckets
        self.objects = objects
        self.contents = contents
        self.clock = clock

    def commit(self, version: ObjectVersion, request: Request) -> None:
        """Write the row, unless the bucket went or a condition fails meanwhile; then the content goes too."""
        try:
            with disk_full_answered(), self.objects.transaction():
                bucket = self.buckets.require(request)
                if request.get("IfMatch") is not None or request.get("IfNoneMatch") is not None:
                    check_write(version.key, self.objects.latest(version.bucket, version.key), request)
                version.last_modified = self.clock.time()
                replaced = self.objects.add(version, versioning_of(bucket))
        except BaseException:
            self.contents.files.discard(name for name, _ in version.content)
            raise
        if replaced:
            self.contents.files.remove(replaced)


class Objects:
    """PutObject."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def PutObject(self, call: Call, request: Request) -> Response:
        """The object exists when this answers: with the bytes that arrived, or not at all."""
        bucket = self._writer.buckets.require(request)
        key = request["Key"]
        check_key(key)
        stored = attributes.from_request(request, bucket)
        tags = attributes.tags_from_header(request.get("Tagging"))
        if request.get("IfMatch") is not None or request.get("IfNoneMatch") is not None:
            check_write(key, self._writer.objects.latest(bucket["Name"], key), request)
        received, algorithm = await receive_body(call, request, self._writer.contents)
        checksum = received.checksums[algorithm]
        stored[checksums.MEMBERS[algorithm]] = checksum
        stored["ChecksumType"] = checksums.FULL_OBJECT
        version = ObjectVersion(bucket["Name"], key, received.size, received.etag, 0.0, received.content, stored, tags)
        self._writer.commit(version, request)
        return {
            "ETag": version.quoted_etag,
            checksums.MEMBERS[algorithm]: checksum,
            "ChecksumType": checksums.FULL_OBJECT,
            **attributes.encryption(stored),
            **version_member(bucket, version),
        }


async def receive_body(
    call: Call, request: Request, contents: Contents, wanted: str | None = None
) -> tuple[Received, str]:
    """Store the body of a PutObject or UploadPart and hold it against every digest that the caller gave.

    The second value is the algorithm that the caller chose, else `wanted`, which is made in any case, else CRC64NVME.
    """
    expected_md5 = checksums.parse_content_md5(request.get("ContentMD5"))
    algorithm = checksums.announced(request, call.http.headers) or wanted or checksums.DEFAULT
    body = call.body
    assert body is not None, "the gateway streams the bodies of these operations"
    length = body.content_length
    if length is None and call.http.headers.get("transfer-encoding") is None:
        message = "You must provide the Content-Length HTTP header."
        raise AwsError("MissingContentLength", message, 411)
    if length is not None and length > MAX_PUT:
        raise entity_too_large(length, MAX_PUT)
    received = await contents.receive(body, {algorithm, wanted or algorithm})
    try:
        if length is not None and received.size != length:
            raise incomplete_body()
        if expected_md5 is not None and expected_md5 != received.md5:
            raise bad_digest("Content-MD5")
        checksums.verify(algorithm, received.checksums[algorithm], request, body.trailers)
    except BaseException:
        contents.files.discard(name for name, _ in received.content)
        raise
    return received, algorithm


def versioning_of(bucket: Bucket) -> str | None:
    """Enabled, Suspended, or None for a bucket that never had versions."""
    status: str | None = bucket.get("VersioningConfiguration", {}).get("Status")
    return status


def version_member(bucket: Bucket, version: ObjectVersion) -> dict[str, Any]:
    """VersionId, as answers carry it once a bucket has had versioning."""
    return {} if versioning_of(bucket) is None else {"VersionId": version.version_id}
