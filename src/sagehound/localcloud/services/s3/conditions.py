"""Conditional requests: If-Match and its three brothers, on reads, on writes and on the source of a copy."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from sagehound.localcloud.errors import AwsError, not_implemented
from sagehound.localcloud.services.s3.errors import no_such_key, precondition_failed
from sagehound.localcloud.services.s3.records import ObjectVersion


def last_modified(version: ObjectVersion) -> datetime:
    """When a version was made, as the wire tells it."""
    return datetime.fromtimestamp(version.last_modified, UTC)


def check_read(version: ObjectVersion, request: Mapping[str, Any]) -> None:
    """412 or 304 as RFC 9110 orders the four conditions: If-Match overrides If-Unmodified-Since, and so on."""
    failed = _failed(version, request, "")
    if failed in ("If-Match", "If-Unmodified-Since"):
        raise precondition_failed(failed)
    if failed:
        headers = {
            "ETag": version.quoted_etag,
            "Last-Modified": format_datetime(last_modified(version), usegmt=True),
        }
        raise AwsError("304", "Not Modified", 304, headers=headers)


def check_copy_source(version: ObjectVersion, request: Mapping[str, Any]) -> None:
    """412 when a condition on the source of a copy does not hold."""
    failed = _failed(version, request, "CopySource")
    if failed:
        raise precondition_failed(f"x-amz-copy-source-{failed}")


def check_write(key: str, latest: ObjectVersion | None, request: Mapping[str, Any]) -> None:
    """412 when If-None-Match: * meets an object, or If-Match another one; 404 when If-Match meets none."""
    if_match, if_none_match = request.get("IfMatch"), request.get("IfNoneMatch")
    if if_match is None and if_none_match is None:
        return
    if if_match is not None and if_none_match is not None:
        raise not_implemented("s3", "If-Match and If-None-Match in one write")
    exists = latest is not None and not latest.is_delete_marker
    if if_none_match is not None:
        if if_none_match != "*":
            raise AwsError(
                "NotImplemented",
                "A header you provided implies functionality that is not implemented",
                501,
                members={"Header": "If-None-Match", "additionalMessage": "We don't accept the provided value"},
            )
        if exists:
            raise precondition_failed("If-None-Match")
        return
    if latest is None or latest.is_delete_marker:
        raise no_such_key(key)
    if not _matches(str(if_match), latest):
        raise precondition_failed("If-Match")


def _failed(version: ObjectVersion, request: Mapping[str, Any], prefix: str) -> str | None:
    """The name of the header whose condition does not hold, or None."""
    if_match = request.get(f"{prefix}IfMatch")
    if if_match is not None:
        if not _matches(if_match, version):
            return "If-Match"
    elif (since := request.get(f"{prefix}IfUnmodifiedSince")) is not None and _second(version) > since:
        return "If-Unmodified-Since"
    if_none_match = request.get(f"{prefix}IfNoneMatch")
    if if_none_match is not None:
        if _matches(if_none_match, version):
            return "If-None-Match"
    elif (since := request.get(f"{prefix}IfModifiedSince")) is not None and _second(version) <= since:
        return "If-Modified-Since"
    return None


def _matches(header: str, version: ObjectVersion) -> bool:
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in header.split(",")]
    return "*" in tags or version.etag in tags


def _second(version: ObjectVersion) -> datetime:
    """HTTP dates have no fractions."""
    return last_modified(version).replace(microsecond=0)
