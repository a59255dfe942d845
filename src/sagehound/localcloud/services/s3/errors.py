"""S3's errors in S3's words."""

from __future__ import annotations

import errno
import sqlite3
from typing import Any

from sagehound.localcloud.errors import AwsError

DISK_FULL = "InsufficientStorage"


def no_such_bucket(bucket: str) -> AwsError:
    """The bucket does not exist."""
    return AwsError("NoSuchBucket", "The specified bucket does not exist", 404, members={"BucketName": bucket})


def no_such_key(key: str, headers: dict[str, str] | None = None) -> AwsError:
    """The object does not exist, or its latest version is a delete marker (`headers` say so)."""
    return AwsError("NoSuchKey", "The specified key does not exist.", 404, members={"Key": key}, headers=headers)


def no_such_version(key: str, version_id: str) -> AwsError:
    """The object has no such version."""
    members = {"Key": key, "VersionId": version_id}
    return AwsError("NoSuchVersion", "The specified version does not exist.", 404, members=members)


def no_such_upload(upload_id: str) -> AwsError:
    """The multipart upload does not exist, or is over."""
    message = (
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or "
        "completed."
    )
    return AwsError("NoSuchUpload", message, 404, members={"UploadId": upload_id})


def invalid_argument(message: str, name: str | None = None, value: Any = None) -> AwsError:
    """One parameter makes no sense."""
    members = {} if name is None else {"ArgumentName": name, "ArgumentValue": "" if value is None else str(value)}
    return AwsError("InvalidArgument", message, 400, members=members)


def invalid_request(message: str) -> AwsError:
    """The request as a whole makes no sense."""
    return AwsError("InvalidRequest", message, 400)


def access_denied() -> AwsError:
    """Not allowed."""
    return AwsError("AccessDenied", "Access Denied", 403)


def malformed_xml() -> AwsError:
    """The body is XML that S3's schema does not have."""
    message = "The XML you provided was not well-formed or did not validate against our published schema"
    return AwsError("MalformedXML", message, 400)


def precondition_failed(condition: str) -> AwsError:
    """An If-Match, If-None-Match or If-Unmodified-Since that does not hold."""
    message = "At least one of the pre-conditions you specified did not hold"
    return AwsError("PreconditionFailed", message, 412, members={"Condition": condition})


def method_not_allowed(method: str, resource_type: str, headers: dict[str, str] | None = None) -> AwsError:
    """The operation does not fit what is there (a GET of a delete marker's version)."""
    members = {"Method": method, "ResourceType": resource_type}
    message = "The specified method is not allowed against this resource."
    return AwsError("MethodNotAllowed", message, 405, members=members, headers=headers)


def bad_digest(what: str) -> AwsError:
    """The bytes that arrived are not those that the caller's digest was made of."""
    verb = "match the calculated checksum" if what != "Content-MD5" else "match what we received"
    return AwsError("BadDigest", f"The {what} you specified did not {verb}.", 400)


def incomplete_body() -> AwsError:
    """Fewer bytes than announced."""
    message = "You did not provide the number of bytes specified by the Content-Length HTTP header"
    return AwsError("IncompleteBody", message, 400)


def entity_too_large(size: int, limit: int) -> AwsError:
    """More than one PUT, part or copy may hold."""
    members = {"ProposedSize": size, "MaxSizeAllowed": limit}
    return AwsError("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", 400, members=members)


def out_of_space(error: OSError | sqlite3.OperationalError) -> AwsError | None:
    """What a full disk is answered with (507, which SDKs do not retry); None when `error` is something else."""
    full = (
        error.errno in (errno.ENOSPC, errno.EDQUOT)
        if isinstance(error, OSError)
        else getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    )
    if not full:
        return None
    message = "The disk of this machine that holds the data directory is full: nothing of this request was stored."
    return AwsError(DISK_FULL, message, 507)
