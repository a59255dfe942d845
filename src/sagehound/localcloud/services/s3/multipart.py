"""Multipart uploads until their end: create, upload and copy parts, list, abort."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.s3 import attributes, checksums
from sagehound.localcloud.services.s3.content import MAX_PUT, Received, disk_full_answered, pieces_of
from sagehound.localcloud.services.s3.copying import find_source, source_version_member
from sagehound.localcloud.services.s3.errors import invalid_argument, invalid_request
from sagehound.localcloud.services.s3.listing import after_prefix, common_prefix
from sagehound.localcloud.services.s3.lists import encoded
from sagehound.localcloud.services.s3.names import check_key
from sagehound.localcloud.services.s3.objects import Writer, receive_body
from sagehound.localcloud.services.s3.ownership import owner
from sagehound.localcloud.services.s3.paging import page_number, page_size
from sagehound.localcloud.services.s3.reading import parse_range
from sagehound.localcloud.services.s3.uploads import Part, Upload, UploadTable

MAX_PARTS = 10_000
_PAGE = 1000
_COPY_RANGE = re.compile(r"bytes=([0-9]{1,19})-([0-9]{1,19})")


class Multipart:
    """The operations on uploads that are under way."""

    def __init__(self, writer: Writer, uploads: UploadTable, account_id: str) -> None:
        self._writer = writer
        self._uploads = uploads
        self._owner = owner(account_id)

    def CreateMultipartUpload(self, call: Call, request: Request) -> Response:
        """An upload id; headers, metadata and tags of the object to be are given here."""
        bucket = self._writer.buckets.require(request)
        check_key(request["Key"])
        stored = attributes.from_request(request, bucket)
        algorithm = request.get("ChecksumAlgorithm")
        kind = request.get("ChecksumType")
        if kind is not None and algorithm is None:
            message = "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
            raise invalid_request(message)
        body = {
            "Attributes": stored,
            "Tags": attributes.tags_from_header(request.get("Tagging")),
            "Algorithm": algorithm or checksums.DEFAULT,
            "ChecksumType": checksums.check_type(algorithm or checksums.DEFAULT, kind),
            "IsExplicit": algorithm is not None,
        }
        upload = Upload(secrets.token_urlsafe(48), bucket["Name"], request["Key"], self._writer.clock.time(), body)
        with disk_full_answered():
            self._uploads.add(upload)
        answer: Response = {"Bucket": upload.bucket, "Key": upload.key, "UploadId": upload.upload_id}
        if algorithm is not None:
            answer |= {"ChecksumAlgorithm": algorithm, "ChecksumType": body["ChecksumType"]}
        return answer | attributes.encryption(stored)

    async def UploadPart(self, call: Call, request: Request) -> Response:
        """A part is there when this answers; the same number again replaces it."""
        self._writer.buckets.require(request)
        upload = self._require(request)
        given = checksums.announced(request, call.http.headers)
        if upload.body["IsExplicit"] and given not in (None, upload.body["Algorithm"]):
            expected = upload.body["Algorithm"].lower()
            message = f"Checksum Type mismatch occurred, expected checksum Type: {expected}, actual checksum Type: "
            raise invalid_request(message + str(given).lower())
        received, algorithm = await receive_body(call, request, self._writer.contents, upload.body["Algorithm"])
        part = self._store_part(request, received)
        answer: Response = {"ETag": f'"{part.etag}"', **attributes.encryption(upload.body["Attributes"])}
        if given is not None or upload.body["IsExplicit"]:
            answer[checksums.MEMBERS[algorithm]] = part.checksums[algorithm]
        return answer

    async def UploadPartCopy(self, call: Call, request: Request) -> Response:
        """A part whose bytes are those of an object, or a range of it."""
        self._writer.buckets.require(request)
        upload = self._require(request)
        source = find_source(self._writer.buckets, self._writer.objects, request)
        start, length = _copy_range(request.get("CopySourceRange"), source.version.size)
        contents, algorithm = self._writer.contents, upload.body["Algorithm"]
        names = [name for name, _ in source.version.content]
        contents.files.pin(names)
        try:
            pieces = pieces_of(contents.files, source.version.content, start, length)
            received = await contents.copy(pieces, [algorithm])
        finally:
            contents.files.unpin(names)
        part = self._store_part(request, received)
        result = {"ETag": f'"{part.etag}"', "LastModified": datetime.fromtimestamp(part.last_modified, UTC)}
        if upload.body["IsExplicit"]:
            result[checksums.MEMBERS[algorithm]] = part.checksums[algorithm]
        return {
            "CopyPartResult": result,
            **source_version_member(source),
            **attributes.encryption(upload.body["Attributes"]),
        }

    def AbortMultipartUpload(self, call: Call, request: Request) -> Response:
        """Ends the upload and lets its parts go."""
        self._writer.buckets.require(request)
        upload = self._uploads.require(request)
        self._writer.contents.files.remove(self._uploads.remove(upload.upload_id))
        return {}

    def ListParts(self, call: Call, request: Request) -> Response:
        """The parts that have arrived, by number."""
        self._writer.buckets.require(request)
        upload = self._uploads.require(request)
        limit = page_size(request, "MaxParts", _PAGE)
        marker = page_number(request, "PartNumberMarker", 0)
        found = self._uploads.parts(upload.upload_id, marker, limit + 1)
        page = found[:limit]
        answer: Response = {
            "Bucket": upload.bucket,
            "Key": upload.key,
            "UploadId": upload.upload_id,
            "PartNumberMarker": marker,
            "NextPartNumberMarker": page[-1].number if page else 0,
            "MaxParts": limit,
            "IsTruncated": len(found) > limit,
            "Initiator": {**self._owner},
            "Owner": self._owner,
            "StorageClass": upload.body["Attributes"].get("StorageClass", "STANDARD"),
        }
        explicit = upload.body["IsExplicit"]
        if page:
            answer["Parts"] = [_listed(part, upload.body["Algorithm"] if explicit else None) for part in page]
        if explicit:
            answer |= {"ChecksumAlgorithm": upload.body["Algorithm"], "ChecksumType": upload.body["ChecksumType"]}
        return answer

    def ListMultipartUploads(self, call: Call, request: Request) -> Response:
        """Uploads under way by key and age, with prefixes, delimiter and pages."""
        bucket = self._writer.buckets.require(request)["Name"]
        limit = page_size(request, "MaxUploads", _PAGE)
        prefix, delimiter = request.get("Prefix", ""), request.get("Delimiter", "")
        key_marker, id_marker = request.get("KeyMarker", ""), request.get("UploadIdMarker", "")
        uploads = self._uploads.of_bucket(bucket, max(prefix, key_marker), after_prefix(prefix))
        if key_marker:
            uploads = _after_marker(uploads, key_marker, id_marker)
        entries: list[Upload | str] = []
        for upload in uploads:
            group = common_prefix(upload.key, prefix, delimiter)
            if group is None:
                entries.append(upload)
            elif group != key_marker and group not in entries[-1:]:
                entries.append(group)
        page = entries[:limit]
        answer: Response = {
            "Bucket": bucket,
            "KeyMarker": encoded(request, key_marker),
            "UploadIdMarker": id_marker if key_marker else "",
            "Prefix": encoded(request, prefix),
            "MaxUploads": limit,
            "IsTruncated": len(entries) > limit > 0,
            "Uploads": [self._upload(entry, request) for entry in page if isinstance(entry, Upload)],
            "CommonPrefixes": [{"Prefix": encoded(request, entry)} for entry in page if isinstance(entry, str)],
        }
        if page and answer["IsTruncated"]:
            last = page[-1]
            answer["NextKeyMarker"] = encoded(request, last if isinstance(last, str) else last.key)
            answer["NextUploadIdMarker"] = "" if isinstance(last, str) else last.upload_id
        for member in ("Delimiter", "EncodingType"):
            if request.get(member):
                answer[member] = encoded(request, delimiter) if member == "Delimiter" else request[member]
        return answer

    def abort_older(self, bucket: str, prefix: str, before: float) -> None:
        """End the uploads that began before a time, as a lifecycle rule asks."""
        for upload in self._uploads.of_bucket(bucket, prefix, after_prefix(prefix)):
            if upload.initiated < before:
                self._writer.contents.files.remove(self._uploads.remove(upload.upload_id))

    def abort_all(self, bucket: str) -> None:
        """End the uploads of a bucket that is being deleted."""
        for upload in self._uploads.of_bucket(bucket, "", None):
            self._writer.contents.files.remove(self._uploads.remove(upload.upload_id))

    def _require(self, request: Request) -> Upload:
        if not 1 <= request["PartNumber"] <= MAX_PARTS:
            message = f"Part number must be an integer between 1 and {MAX_PARTS}, inclusive"
            raise invalid_argument(message, "partNumber", request["PartNumber"])
        return self._uploads.require(request)

    def _store_part(self, request: Request, received: Received) -> Part:
        files = self._writer.contents.files
        content = received.content or [(files.write(b""), 0)]
        try:
            with disk_full_answered(), self._writer.objects.transaction():
                upload = self._uploads.require(request)
                now = self._writer.clock.time()
                number, size = request["PartNumber"], received.size
                part = Part(upload.upload_id, number, size, received.etag, now, received.checksums, content)
                replaced = self._uploads.put_part(part)
        except BaseException:
            files.discard(name for name, _ in content)
            raise
        files.remove(replaced)
        return part

    def _upload(self, upload: Upload, request: Request) -> dict[str, Any]:
        entry = {
            "UploadId": upload.upload_id,
            "Key": encoded(request, upload.key),
            "Initiated": datetime.fromtimestamp(upload.initiated, UTC),
            "StorageClass": upload.body["Attributes"].get("StorageClass", "STANDARD"),
            "Owner": self._owner,
            "Initiator": self._owner,
        }
        if upload.body["IsExplicit"]:
            entry |= {"ChecksumAlgorithm": upload.body["Algorithm"], "ChecksumType": upload.body["ChecksumType"]}
        return entry


def _after_marker(uploads: list[Upload], key_marker: str, id_marker: str) -> list[Upload]:
    """What follows a marker: later keys, and with an id those of its own key that follow that upload."""
    same = [upload for upload in uploads if upload.key == key_marker]
    ids = [upload.upload_id for upload in same]
    following = same[ids.index(id_marker) + 1 :] if id_marker in ids else []
    return following + [upload for upload in uploads if upload.key > key_marker]


def _copy_range(text: str | None, size: int) -> tuple[int, int]:
    if text is None:
        return 0, size
    message = (
        "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
        "zero-based offsets of the first and last bytes to copy"
    )
    match = _COPY_RANGE.fullmatch(text)
    if match is None or int(match[2]) < int(match[1]):
        raise invalid_argument(message, "x-amz-copy-source-range", text)
    if int(match[2]) >= size:
        message = f"Range specified is not valid for source object of size: {size}"
        raise invalid_argument(message, "x-amz-copy-source-range", text)
    piece = parse_range(text, size)
    assert piece is not None
    if piece[1] > MAX_PUT:
        raise AwsError("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", 400)
    return piece


def _listed(part: Part, algorithm: str | None) -> dict[str, Any]:
    entry = {
        "PartNumber": part.number,
        "LastModified": datetime.fromtimestamp(part.last_modified, UTC),
        "ETag": f'"{part.etag}"',
        "Size": part.size,
    }
    if algorithm is not None:
        entry[checksums.MEMBERS[algorithm]] = part.checksums[algorithm]
    return entry
