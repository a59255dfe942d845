"""Signature version 2 of presigned S3 URLs, which boto3 still makes for custom endpoints.

https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from operator import itemgetter
from urllib.parse import quote, unquote

from sagehound.localcloud.call import HttpRequest
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.wire import s3_route

SUBRESOURCES = frozenset(
    [
        "accelerate",
        "acl",
        "cors",
        "defaultObjectAcl",
        "location",
        "logging",
        "partNumber",
        "policy",
        "requestPayment",
        "torrent",
        "versioning",
        "versionId",
        "versions",
        "website",
        "uploads",
        "uploadId",
        "response-content-type",
        "response-content-language",
        "response-expires",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "delete",
        "lifecycle",
        "tagging",
        "restore",
        "storageClass",
        "notification",
        "replication",
        "analytics",
        "metrics",
        "inventory",
        "select",
        "select-type",
        "object-lock",
    ]
)


def string_to_sign(http: HttpRequest, query: dict[str, str], date: str) -> str:
    """Method, digest, type, date, x-amz- headers and resource; `date` is the Expires of a presigned URL.

    A presigned URL carries the headers that it was signed with in its query.
    """
    signed = {name.lower(): value for name, value in query.items()}
    signed.update(http.headers)
    amz = sorted((name, value) for name, value in signed.items() if name.startswith("x-amz-"))
    lines = [
        http.method,
        signed.get("content-md5", ""),
        signed.get("content-type", ""),
        date,
        *(f"{name}:{value.strip()}" for name, value in amz),
        _resource(http),
    ]
    return "\n".join(lines)


def check_subresources(query: dict[str, str]) -> None:
    """Refuse a presigned URL for an operation that its signature does not name.

    This signature leaves out what S3 has learnt since: whoever holds the URL of a PUT could add `?legal-hold` to it.
    """
    unsigned = [name for name in query if name in s3_route.subresources() and name not in SUBRESOURCES]
    if unsigned and unsigned != ["list-type"]:
        message = f"A URL for {', '.join(unsigned)} needs signature version 4"
        raise AwsError("AccessDenied", message, 403)


def sign(secret: str, text: str) -> str:
    """The base64 HMAC-SHA1 of `text`."""
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()).decode()


def _resource(http: HttpRequest) -> str:
    path = http.raw_path or "/"
    bucket = s3_route.hosted_bucket(http.headers.get("host", ""))
    if bucket is not None:
        path = f"/{quote(bucket)}{path}"
    wanted = []
    for part in http.query_string.split("&"):
        name, equals, value = part.partition("=")
        # Decoded as the router decodes it: a subresource in disguise is signed like any other.
        name = unquote(name)
        if name in SUBRESOURCES:
            # response- values are signed decoded.
            wanted.append((name, f"{name}={unquote(value)}" if equals else name))
    wanted.sort(key=itemgetter(0))
    return f"{path}?{'&'.join(text for _, text in wanted)}" if wanted else path
