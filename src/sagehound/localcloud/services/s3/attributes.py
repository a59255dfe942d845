"""What is stored beside the bytes of an object: headers, user metadata, encryption, storage class; and tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from sagehound.localcloud.errors import AwsError, not_implemented
from sagehound.localcloud.services.s3.errors import invalid_argument, invalid_request
from sagehound.localcloud.services.s3.ownership import OWNER_ONLY
from sagehound.localcloud.services.s3.records import Bucket

HEADERS = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "Expires")
ENCRYPTION = ("ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled")
DEFAULT_CONTENT_TYPE = "binary/octet-stream"
_MAX_METADATA = 2048
_MAX_TAGS = 10
_STORAGE_CLASSES = (
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
)


def from_request(request: Mapping[str, Any], bucket: Bucket) -> dict[str, Any]:
    """The attributes of a new object (PutObject, CreateMultipartUpload, CopyObject that replaces metadata)."""
    attributes: dict[str, Any] = {"ContentType": request.get("ContentType") or DEFAULT_CONTENT_TYPE}
    for member in HEADERS:
        if request.get(member) is not None:
            attributes[member] = request[member]
    if "ContentEncoding" in attributes:
        _drop_transfer_encoding(attributes)
    metadata = request.get("Metadata")
    if metadata:
        size = sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())
        if size > _MAX_METADATA:
            message = "Your metadata headers exceed the maximum allowed metadata size"
            members = {"Size": size, "MaxSizeAllowed": _MAX_METADATA}
            raise AwsError("MetadataTooLarge", message, 400, members=members)
        attributes["Metadata"] = dict(metadata)
    if request.get("WebsiteRedirectLocation"):
        attributes["WebsiteRedirectLocation"] = request["WebsiteRedirectLocation"]
    return {**attributes, **placement(request, bucket)}


def placement(request: Mapping[str, Any], bucket: Bucket) -> dict[str, Any]:
    """Storage class and encryption, which every new object gets from its request or its bucket, copies too."""
    _refuse_unsupported(request)
    _check_acl(request, bucket)
    found: dict[str, Any] = {}
    storage_class = request.get("StorageClass", "STANDARD")
    if storage_class != "STANDARD":
        if storage_class not in _STORAGE_CLASSES:
            raise AwsError("InvalidStorageClass", "The storage class you specified is not valid", 400)
        found["StorageClass"] = storage_class
    algorithm = request.get("ServerSideEncryption")
    if algorithm is None:
        rules = bucket.get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
        rule = rules[0] if rules else {}
        default = rule.get("ApplyServerSideEncryptionByDefault", {})
        found["ServerSideEncryption"] = default.get("SSEAlgorithm", "AES256")
        if default.get("KMSMasterKeyID"):
            found["SSEKMSKeyId"] = default["KMSMasterKeyID"]
        if rule.get("BucketKeyEnabled"):
            found["BucketKeyEnabled"] = True
        return found
    found["ServerSideEncryption"] = algorithm
    if request.get("SSEKMSKeyId"):
        if not algorithm.startswith("aws:kms"):
            message = (
                "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : "
                "aws:kms"
            )
            raise invalid_argument(message, "x-amz-server-side-encryption", algorithm)
        found["SSEKMSKeyId"] = request["SSEKMSKeyId"]
    if request.get("BucketKeyEnabled"):
        found["BucketKeyEnabled"] = True
    return found


def encryption(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The members that tell how an object is encrypted."""
    return {member: attributes[member] for member in ENCRYPTION if member in attributes}


def tags_from_header(text: str | None) -> list[dict[str, str]]:
    """The tag set of an x-amz-tagging header."""
    if not text:
        return []
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True)
    except ValueError as error:
        raise _bad_tag_header(text) from error
    if len({name for name, _ in pairs}) != len(pairs):
        raise _bad_tag_header(text)
    return check_tags([{"Key": name, "Value": value} for name, value in pairs], _MAX_TAGS)


def check_tags(tags: list[dict[str, str]], limit: int) -> list[dict[str, str]]:
    """A tag set as S3 accepts it: unique keys up to 128 characters, values up to 256, at most `limit` of them."""
    if len(tags) > limit:
        kind = "Object" if limit == _MAX_TAGS else "Bucket"
        raise AwsError("BadRequest", f"{kind} tags cannot be greater than {limit}", 400)
    keys = [tag["Key"] for tag in tags]
    if len(set(keys)) != len(keys):
        raise AwsError("InvalidTag", "Cannot provide multiple Tags with the same key", 400)
    for tag in tags:
        if not 1 <= len(tag["Key"]) <= 128:
            raise AwsError("InvalidTag", "The TagKey you have provided is invalid", 400, members={"TagKey": tag["Key"]})
        if len(tag["Value"]) > 256:
            message = "The TagValue you have provided is invalid"
            raise AwsError("InvalidTag", message, 400, members={"TagKey": tag["Key"], "TagValue": tag["Value"]})
        if tag["Key"].startswith("aws:"):
            message = "System tags cannot be added/updated by requester"
            raise AwsError("InvalidTag", message, 400, members={"TagKey": tag["Key"]})
    return tags


def _bad_tag_header(text: str) -> AwsError:
    message = (
        "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name "
        "duplicates."
    )
    return invalid_argument(message, "x-amz-tagging", text)


def _drop_transfer_encoding(attributes: dict[str, Any]) -> None:
    """`aws-chunked` says how the bytes travelled, not what they are."""
    kept = [part.strip() for part in attributes["ContentEncoding"].split(",") if part.strip() != "aws-chunked"]
    if kept:
        attributes["ContentEncoding"] = ",".join(kept)
    else:
        del attributes["ContentEncoding"]


def _refuse_unsupported(request: Mapping[str, Any]) -> None:
    if request.get("SSECustomerAlgorithm") or request.get("SSECustomerKey"):
        raise not_implemented("s3", "server-side encryption with customer-provided keys")
    if request.get("ObjectLockMode") or request.get("ObjectLockLegalHoldStatus"):
        raise invalid_request("Bucket is missing Object Lock Configuration")
    if request.get("StorageClass") in ("GLACIER", "DEEP_ARCHIVE"):
        raise not_implemented("s3", f"StorageClass {request['StorageClass']}: nothing is archived here")


def _check_acl(request: Mapping[str, Any], bucket: Bucket) -> None:
    """Only what leaves everything to the owner, as buckets with BucketOwnerEnforced accept."""
    granted = [member for member in request if member.startswith("Grant") and request[member]]
    if granted or request.get("ACL", "private") not in OWNER_ONLY:
        raise AwsError("AccessControlListNotSupported", "The bucket does not allow ACLs", 400)
