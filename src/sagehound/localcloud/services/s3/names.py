"""What buckets, keys and versions may be called."""

from __future__ import annotations

import ipaddress
import re

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.s3.errors import invalid_argument

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
_MAX_KEY = 1024
_VERSION_LENGTH = 32
NULL_VERSION = "null"


def check_bucket_name(name: str) -> None:
    """InvalidBucketName unless `name` follows the rules for general purpose buckets."""
    if (
        not _BUCKET.fullmatch(name)
        or ".." in name
        or name.startswith(_RESERVED_PREFIXES)
        or name.endswith(_RESERVED_SUFFIXES)
        or _is_address(name)
    ):
        raise AwsError("InvalidBucketName", "The specified bucket is not valid.", 400, members={"BucketName": name})


def check_key(key: str) -> None:
    """KeyTooLongError for a key of more than 1,024 bytes of UTF-8."""
    size = len(key.encode("utf-8", "surrogatepass"))
    if size > _MAX_KEY:
        members = {"Size": size, "MaxSizeAllowed": _MAX_KEY}
        raise AwsError("KeyTooLongError", "Your key is too long", 400, members=members)


def check_version_id(version_id: str) -> None:
    """InvalidArgument for a version id that S3 can never have given out."""
    if version_id != NULL_VERSION and len(version_id) != _VERSION_LENGTH:
        raise invalid_argument("Invalid version id specified", "versionId", version_id)


def _is_address(name: str) -> bool:
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True
