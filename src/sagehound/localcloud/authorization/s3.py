"""S3: which permissions an operation needs, and the condition keys that its request carries."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from sagehound.localcloud.authorization.check import Check, Value, request_tags
from sagehound.localcloud.call import Call, Request
from sagehound.localcloud.wire.copy_source import parse_copy_source

_BUCKET_ACTIONS = {
    "DeleteBucketCors": "PutBucketCORS",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
    "GetBucketCors": "GetBucketCORS",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "GetBucketReplication": "GetReplicationConfiguration",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectVersions": "ListBucketVersions",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "PutBucketCors": "PutBucketCORS",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
}
_OBJECT_ACTIONS = {
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "HeadObject": "GetObject",
    "ListParts": "ListMultipartUploadParts",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
}
_OF_A_VERSION = {
    "DeleteObject": "DeleteObjectVersion",
    "DeleteObjectTagging": "DeleteObjectVersionTagging",
    "GetObject": "GetObjectVersion",
    "GetObjectAcl": "GetObjectVersionAcl",
    "GetObjectAttributes": "GetObjectVersionAttributes",
    "GetObjectTagging": "GetObjectVersionTagging",
    "PutObjectAcl": "PutObjectVersionAcl",
    "PutObjectTagging": "PutObjectVersionTagging",
}
_NOTHING = ("OptionsObject", "PostObject", "DeleteObjects")
"""A preflight needs no permission; the other two ask for each key themselves, once they have read their body."""
_HEADER_KEYS = (
    "x-amz-acl",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write",
    "x-amz-grant-write-acp",
    "x-amz-metadata-directive",
    "x-amz-object-ownership",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
    "if-match",
    "if-none-match",
)
_PARAMETER_KEYS = (
    ("Prefix", "s3:prefix"),
    ("Delimiter", "s3:delimiter"),
    ("MaxKeys", "s3:max-keys"),
    ("VersionId", "s3:versionid"),
)
_ACL_MEMBERS = ("ACL", "GrantFullControl", "GrantRead", "GrantReadACP", "GrantWrite", "GrantWriteACP")


def bucket_arn(bucket: str) -> str:
    """The ARN of a bucket."""
    return f"arn:aws:s3:::{bucket}"


def object_arn(bucket: str, key: str) -> str:
    """The ARN of an object."""
    return f"arn:aws:s3:::{bucket}/{key}"


def checks(call: Call, params: Request) -> list[Check]:
    """The permissions that a call of S3 needs."""
    operation = call.operation
    if operation in _NOTHING:
        return []
    if operation == "ListBuckets":
        return [Check("s3:ListAllMyBuckets", "*", _keys(call, params))]
    keys = _keys(call, params)
    bucket = params["Bucket"]
    if "Key" not in params:
        return _of_bucket(operation, bucket, params, keys)
    arn = object_arn(bucket, params["Key"])
    name = _OBJECT_ACTIONS.get(operation, operation)
    if "VersionId" in params:
        name = _OF_A_VERSION.get(name, name)
    found = [Check(f"s3:{name}", arn, keys)]
    if operation in ("PutObject", "CopyObject", "CreateMultipartUpload"):
        found += _writing(arn, params, keys)
    if operation in ("CopyObject", "UploadPartCopy"):
        found.append(_copied(params, keys))
    elif operation == "GetObjectAttributes":
        found.append(Check("s3:GetObjectVersion" if "VersionId" in params else "s3:GetObject", arn, keys))
    return found


def delete_check(call: Call, bucket: str, key: str, version_id: str | None) -> Check:
    """What one entry of DeleteObjects needs."""
    keys = _keys(call, {})
    if version_id is not None:
        keys["s3:versionid"] = version_id
    action = "s3:DeleteObject" if version_id is None else "s3:DeleteObjectVersion"
    return Check(action, object_arn(bucket, key), keys)


def post_checks(bucket: str, key: str, fields: dict[str, Any]) -> list[Check]:
    """What a browser's form needs: its policy is signed, and its signer may put the object."""
    keys: dict[str, Value] = {f"s3:{name}": str(fields[name]) for name in _HEADER_KEYS if name in fields}
    if "acl" in fields:
        keys["s3:x-amz-acl"] = str(fields["acl"])
    keys["s3:authtype"] = "POST"
    keys["s3:signatureversion"] = "AWS4-HMAC-SHA256" if "x-amz-algorithm" in fields else "AWS"
    arn = object_arn(bucket, key)
    found = [Check("s3:PutObject", arn, keys)]
    if "acl" in fields:
        found.append(Check("s3:PutObjectAcl", arn, keys))
    if "tagging" in fields:
        found.append(Check("s3:PutObjectTagging", arn, keys))
    return found


def _of_bucket(operation: str, bucket: str, params: Request, keys: dict[str, Value]) -> list[Check]:
    arn = bucket_arn(bucket)
    found = [Check(f"s3:{_BUCKET_ACTIONS.get(operation, operation)}", arn, keys)]
    if operation == "CreateBucket":
        configuration = params.get("CreateBucketConfiguration") or {}
        if constraint := configuration.get("LocationConstraint"):
            keys["s3:locationconstraint"] = constraint
        if tags := configuration.get("Tags"):
            keys.update(request_tags(tags))
            found.append(Check("s3:TagResource", arn, keys))
        if _has_acl(params):
            found.append(Check("s3:PutBucketAcl", arn, keys))
        if "ObjectOwnership" in params:
            found.append(Check("s3:PutBucketOwnershipControls", arn, keys))
    elif operation == "PutBucketTagging":
        keys.update(request_tags(params["Tagging"].get("TagSet")))
    return found


def _writing(arn: str, params: Request, keys: dict[str, Value]) -> list[Check]:
    """An access control list and tags that come with an object need permissions of their own."""
    found = []
    if params.get("Tagging"):
        tags = dict(parse_qsl(params["Tagging"], keep_blank_values=True))
        keys.update(_object_tags(tags))
        found.append(Check("s3:PutObjectTagging", arn, keys))
    if _has_acl(params):
        found.append(Check("s3:PutObjectAcl", arn, keys))
    return found


def _object_tags(tags: dict[str, str]) -> dict[str, Value]:
    return {**{f"s3:requestobjecttag/{key}": tags[key] for key in tags}, "s3:requestobjecttagkeys": list(tags)}


def _copied(params: Request, keys: dict[str, Value]) -> Check:
    source = parse_copy_source(params["CopySource"])
    arn = object_arn(source["Bucket"], source["Key"])
    if "VersionId" in source:
        return Check("s3:GetObjectVersion", arn, {**keys, "s3:versionid": source["VersionId"]})
    return Check("s3:GetObject", arn, keys)


def _has_acl(params: Request) -> bool:
    return any(params.get(member) for member in _ACL_MEMBERS)


def _keys(call: Call, params: Request) -> dict[str, Value]:
    http = call.http
    headers = http.headers
    keys: dict[str, Value] = {f"s3:{name}": headers[name] for name in _HEADER_KEYS if name in headers}
    for member, key in _PARAMETER_KEYS:
        if member in params:
            keys[key] = str(params[member])
    tags = params.get("Tagging")
    if isinstance(tags, dict) and call.operation == "PutObjectTagging":
        keys.update(_object_tags({tag["Key"]: tag["Value"] for tag in tags.get("TagSet", [])}))
    keys["s3:resourceaccount"] = call.account_id
    authorization = headers.get("authorization")
    if authorization is not None:
        keys["s3:authtype"] = "REST-HEADER"
        keys["s3:signatureversion"] = "AWS4-HMAC-SHA256" if authorization.startswith("AWS4") else "AWS"
    elif call.caller.arn:
        keys["s3:authtype"] = "REST-QUERY-STRING"
        keys["s3:signatureversion"] = "AWS4-HMAC-SHA256" if "X-Amz-Algorithm" in http.query_string else "AWS"
    return keys
