"""PostObject: a browser's form that becomes an object, on the word of a signed policy."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit
from xml.sax.saxutils import escape

from sagehound.localcloud.authorization.s3 import object_arn, post_checks
from sagehound.localcloud.call import Call, CredentialSource, Request, Response
from sagehound.localcloud.services.s3 import attributes, checksums, post_policy
from sagehound.localcloud.services.s3.content import MAX_PUT
from sagehound.localcloud.services.s3.errors import invalid_argument, malformed_xml
from sagehound.localcloud.services.s3.form import FormReader
from sagehound.localcloud.services.s3.names import check_key
from sagehound.localcloud.services.s3.needs import Authority
from sagehound.localcloud.services.s3.objects import Writer, version_member
from sagehound.localcloud.services.s3.records import ObjectVersion

_MEMBERS = {
    "acl": "ACL",
    "cache-control": "CacheControl",
    "content-disposition": "ContentDisposition",
    "content-encoding": "ContentEncoding",
    "content-language": "ContentLanguage",
    "content-type": "ContentType",
    "x-amz-storage-class": "StorageClass",
    "x-amz-server-side-encryption": "ServerSideEncryption",
    "x-amz-server-side-encryption-aws-kms-key-id": "SSEKMSKeyId",
    "x-amz-website-redirect-location": "WebsiteRedirectLocation",
    **{f"x-amz-checksum-{name.lower()}": member for name, member in checksums.MEMBERS.items()},
}
_NO_KEY = "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields."
_META = "x-amz-meta-"


class Posting:
    """PostObject, which botocore's model does not have: the gateway knows it by its form."""

    def __init__(self, writer: Writer, credentials: CredentialSource, authority: Authority) -> None:
        self._writer = writer
        self._credentials = credentials
        self._authority = authority

    async def PostObject(self, call: Call, request: Request) -> Response:
        """Nobody signs the request itself: the policy among its fields is signed."""
        bucket = self._writer.buckets.require(request)
        assert call.body is not None, "the gateway streams forms"
        form = FormReader(call.body, call.http.headers.get("content-type", ""))
        await form.read_fields()
        if "key" not in form.fields:
            raise invalid_argument(_NO_KEY, "key")
        key = form.fields["key"].replace("${filename}", form.file_name)
        check_key(key)
        now = self._writer.clock.time()
        policy = post_policy.verify({**form.fields, "key": key}, bucket["Name"], self._credentials, now)
        call.caller, call.region = policy.caller, policy.region
        call.resource = object_arn(bucket["Name"], key)
        self._authority.demand(call, post_checks(bucket["Name"], key, form.fields))
        members = _members(form.fields)
        stored = attributes.from_request(members, bucket)
        algorithm = (checksums.given(members) or (checksums.DEFAULT,))[0]
        limit = MAX_PUT if policy.largest is None else min(policy.largest, MAX_PUT)
        received = await self._writer.contents.receive(form.file(), [algorithm], limit=limit)
        try:
            policy.check_size(received.size)
            checksums.verify(algorithm, received.checksums[algorithm], members, {})
        except BaseException:
            self._writer.contents.files.discard(name for name, _ in received.content)
            raise
        stored[checksums.MEMBERS[algorithm]] = received.checksums[algorithm]
        stored["ChecksumType"] = checksums.FULL_OBJECT
        tags = _tags(form.fields.get("tagging"))
        version = ObjectVersion(bucket["Name"], key, received.size, received.etag, 0.0, received.content, stored, tags)
        self._writer.commit(version, {"Bucket": bucket["Name"]})
        if version_id := version_member(bucket, version).get("VersionId"):
            call.response_headers["x-amz-version-id"] = version_id
        return _answer(call, form.fields, version)


def _members(fields: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {_MEMBERS[name]: value for name, value in fields.items() if name in _MEMBERS}
    metadata = {name.removeprefix(_META): value for name, value in fields.items() if name.startswith(_META)}
    return {**found, "Metadata": metadata} if metadata else found


def _tags(text: str | None) -> list[dict[str, str]]:
    """The `tagging` field is a Tagging document."""
    if not text:
        return []
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise malformed_xml() from error
    tags = [
        {"Key": tag.findtext("{*}Key") or "", "Value": tag.findtext("{*}Value") or ""}
        for tag in root.findall("{*}TagSet/{*}Tag")
    ]
    return attributes.check_tags(tags, 10)


def _answer(call: Call, fields: Mapping[str, str], version: ObjectVersion) -> Response:
    """204 unless the form asks for 200, 201 with a document, or a redirect."""
    host = call.http.headers.get("host", "")
    location = f"{call.http.scheme}://{host}/{quote(version.bucket)}/{quote(version.key, safe='')}"
    call.response_headers |= {"ETag": version.quoted_etag, "Location": location}
    redirect = fields.get("success_action_redirect") or fields.get("redirect")
    if redirect and urlsplit(redirect).scheme in ("http", "https"):
        parts = urlsplit(redirect)
        named = urlencode({"bucket": version.bucket, "key": version.key, "etag": version.quoted_etag})
        query = f"{parts.query}&{named}" if parts.query else named
        call.response_headers["Location"] = urlunsplit(parts._replace(query=query))
        call.status = 303
        return {}
    status = fields.get("success_action_status", "204")
    if status == "201":
        call.status = 201
        call.response_headers["Content-Type"] = "application/xml"
        document = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>'
            f"<Location>{escape(location)}</Location><Bucket>{escape(version.bucket)}</Bucket>"
            f"<Key>{escape(version.key)}</Key><ETag>{escape(version.quoted_etag)}</ETag></PostResponse>"
        )
        return {"Body": document.encode()}
    call.status = 200 if status == "200" else 204
    return {}
