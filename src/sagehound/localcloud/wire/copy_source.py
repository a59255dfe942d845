"""The x-amz-copy-source header, read once and alike by who authorises a copy and by who makes it."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote

from sagehound.localcloud.errors import AwsError


def parse_copy_source(text: str) -> dict[str, str]:
    """Bucket, Key and, where it is named, VersionId."""
    path, _, query = text.removeprefix("/").partition("?")
    bucket, separator, key = unquote(path).partition("/")
    if not separator or not bucket or not key or bucket.startswith("arn:"):
        message = "Invalid copy source object key" if bucket and not key else "Invalid copy source bucket name"
        members = {"ArgumentName": "x-amz-copy-source", "ArgumentValue": text}
        raise AwsError("InvalidArgument", message, 400, members=members)
    version_id = parse_qs(query, keep_blank_values=True).get("versionId", [None])[0]
    return {"Bucket": bucket, "Key": key, **({} if version_id is None else {"VersionId": version_id})}
