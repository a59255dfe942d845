"""The end of a multipart upload: its parts become an object, without a byte being copied."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.s3 import attributes, checksums
from sagehound.localcloud.services.s3.conditions import check_write
from sagehound.localcloud.services.s3.content import disk_full_answered
from sagehound.localcloud.services.s3.errors import bad_digest, invalid_request, malformed_xml
from sagehound.localcloud.services.s3.objects import Writer, version_member, versioning_of
from sagehound.localcloud.services.s3.records import ObjectVersion
from sagehound.localcloud.services.s3.uploads import Part, Upload, UploadTable

MIN_PART = 5 << 20


class Completing:
    """CompleteMultipartUpload."""

    def __init__(self, writer: Writer, uploads: UploadTable) -> None:
        self._writer = writer
        self._uploads = uploads

    def CompleteMultipartUpload(self, call: Call, request: Request) -> Response:
        """Parts must be named in order and whole; the object's ETag is the MD5 of their MD5s, and their number."""
        bucket = self._writer.buckets.require(request)
        upload = self._uploads.require(request)
        check_write(upload.key, self._writer.objects.latest(upload.bucket, upload.key), request)
        parts = _chosen(upload, request, {part.number: part for part in self._uploads.parts(upload.upload_id)})
        size = sum(part.size for part in parts)
        if request.get("MpuObjectSize", size) != size:
            said = request["MpuObjectSize"]
            message = (
                f"The provided 'x-amz-mp-object-size' header value {said} does not match what was computed: {size}"
            )
            raise invalid_request(message)
        stored = dict(upload.body["Attributes"])
        algorithm = upload.body["Algorithm"]
        member = checksums.MEMBERS[algorithm]
        stored[member] = _checksum(upload, parts)
        stored["ChecksumType"] = upload.body["ChecksumType"]
        stored["PartsCount"] = len(parts)
        if request.get(member) and request[member].partition("-")[0] != stored[member].partition("-")[0]:
            raise bad_digest(algorithm)
        digest = hashlib.md5(b"".join(bytes.fromhex(part.etag) for part in parts), usedforsecurity=False)
        version = ObjectVersion(
            upload.bucket,
            upload.key,
            size,
            f"{digest.hexdigest()}-{len(parts)}",
            0.0,
            [entry for part in parts for entry in part.content],
            stored,
            upload.body["Tags"],
            parts=[_kept(part, algorithm) for part in parts] if stored["ChecksumType"] == checksums.COMPOSITE else [],
        )
        self._commit(upload, version, request)
        host = call.http.headers.get("host", "s3.amazonaws.com")
        return {
            "Location": f"{call.http.scheme}://{host}/{upload.bucket}/{upload.key}",
            "Bucket": upload.bucket,
            "Key": upload.key,
            "ETag": version.quoted_etag,
            member: stored[member],
            "ChecksumType": stored["ChecksumType"],
            **attributes.encryption(stored),
            **version_member(bucket, version),
        }

    def _commit(self, upload: Upload, version: ObjectVersion, request: Request) -> None:
        """Upload gone and object there in one transaction; parts that were not chosen go."""
        objects = self._writer.objects
        with disk_full_answered(), objects.transaction():
            bucket = self._writer.buckets.require(request)
            version.last_modified = self._writer.clock.time()
            gone = objects.add(version, versioning_of(bucket))
            kept = {name for name, _ in version.content}
            gone += [name for name in self._uploads.remove(upload.upload_id) if name not in kept]
        self._writer.contents.files.remove(gone)


def _checksum(upload: Upload, parts: list[Part]) -> str:
    """The object's checksum from those of its parts."""
    algorithm = upload.body["Algorithm"]
    values = [part.checksums[algorithm] for part in parts]
    if upload.body["ChecksumType"] == checksums.COMPOSITE:
        return checksums.composite(algorithm, values)
    return checksums.full_object(algorithm, zip(values, (part.size for part in parts), strict=True))


def _chosen(upload: Upload, request: Request, present: dict[int, Part]) -> list[Part]:
    """The parts that the request names, each checked as S3 checks it."""
    named: list[dict[str, Any]] = request.get("MultipartUpload", {}).get("Parts", [])
    if not named:
        raise malformed_xml()
    if any("PartNumber" not in entry for entry in named):
        raise malformed_xml()
    numbers: list[int] = [entry["PartNumber"] for entry in named]
    if any(later <= earlier for earlier, later in pairwise(numbers)):
        message = "The list of parts was not in ascending order. Parts must be ordered by part number."
        raise AwsError("InvalidPartOrder", message, 400, members={"UploadId": upload.upload_id})
    algorithm = upload.body["Algorithm"]
    member = checksums.MEMBERS[algorithm]
    parts: list[Part] = []
    for entry in named:
        part = present.get(entry["PartNumber"])
        if part is None or entry.get("ETag", "").strip('"') != part.etag:
            raise _invalid_part(upload, entry)
        if upload.body["IsExplicit"] and upload.body["ChecksumType"] == checksums.COMPOSITE and not entry.get(member):
            message = (
                f"The upload was created using a {algorithm.lower()} checksum. The complete request must include the "
                f"checksum for each part. It was missing for part {part.number} in the request."
            )
            raise invalid_request(message)
        given = {name: entry[member] for name, member in checksums.MEMBERS.items() if entry.get(member)}
        if any(part.checksums.get(name, value) != value for name, value in given.items()):
            raise _invalid_part(upload, entry)
        parts.append(part)
    for part in parts[:-1]:
        if part.size < MIN_PART:
            members = {
                "ETag": part.etag,
                "PartNumber": part.number,
                "MinSizeAllowed": MIN_PART,
                "ProposedSize": part.size,
            }
            message = "Your proposed upload is smaller than the minimum allowed size"
            raise AwsError("EntityTooSmall", message, 400, members=members)
    return parts


def _invalid_part(upload: Upload, entry: dict[str, Any]) -> AwsError:
    message = (
        "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified "
        "entity tag may not match the part's entity tag."
    )
    members = {
        "ETag": entry.get("ETag", "").strip('"'),
        "PartNumber": entry["PartNumber"],
        "UploadId": upload.upload_id,
    }
    return AwsError("InvalidPart", message, 400, members=members)


def _kept(part: Part, algorithm: str) -> dict[str, Any]:
    """What GetObjectAttributes tells of a part."""
    return {"PartNumber": part.number, "Size": part.size, checksums.MEMBERS[algorithm]: part.checksums[algorithm]}
