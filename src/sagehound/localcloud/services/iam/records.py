"""IAM's records in the store: unique ids, names, the errors for missing ones, and paging."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

from sagehound.localcloud.call import Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.state.store import Record, Store

USER, ROLE, POLICY, PROFILE, KEY, ALIAS = (
    "iam-user",
    "iam-role",
    "iam-policy",
    "iam-instance-profile",
    "iam-access-key",
    "iam-account-alias",
)
_MISSING = {
    USER: "The user with name {} cannot be found.",
    ROLE: "The role with name {} cannot be found.",
    PROFILE: "Instance Profile {} cannot be found.",
}
_TITLES = {USER: "User", ROLE: "Role", PROFILE: "Instance Profile"}
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_SECRET_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
DEFAULT_PAGE = 100


def unique_id(prefix: str) -> str:
    """A unique id with AWS's prefix: AIDA user, AROA role, ANPA policy, AIPA profile, AKIA key, ASIA session key."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(20 - len(prefix)))


def secret_key() -> str:
    """The 40 characters of a secret access key."""
    return "".join(secrets.choice(_SECRET_ALPHABET) for _ in range(40))


def add(store: Store, kind: str, name: str, record: Record) -> None:
    """Create a record; EntityAlreadyExists when the name is taken, in whatever case."""
    if not store.add(kind, "", name.lower(), record):
        raise AwsError("EntityAlreadyExists", f"{_TITLES[kind]} with name {name} already exists.", 409)


def get(store: Store, kind: str, name: str) -> Record:
    """The record of a user, role or instance profile; NoSuchEntity when there is none."""
    record = store.get(kind, "", name.lower())
    if record is None:
        raise AwsError("NoSuchEntity", _MISSING[kind].format(name), 404)
    return record


def by_arn(store: Store, kind: str, arn: str) -> Record | None:
    """The record with this ARN, path and all; None when there is none."""
    record = store.get(kind, "", arn.rpartition("/")[2].lower())
    return record if record is not None and record["Arn"] == arn else None


def put(store: Store, kind: str, name: str, record: Record) -> None:
    """Replace a record."""
    store.put(kind, "", name.lower(), record)


def delete(store: Store, kind: str, name: str) -> None:
    """Remove a record."""
    store.delete(kind, "", name.lower())


def under_path(records: Iterable[Record], request: Request) -> list[Record]:
    """Those whose Path begins with the request's PathPrefix."""
    prefix = request.get("PathPrefix", "/")
    return [record for record in records if record["Path"].startswith(prefix)]


def page(request: Request, member: str, items: list[Any], key: Callable[[Any], str]) -> Response:
    """One page of `items`, ordered by `key`: MaxItems after Marker, with IsTruncated and the next Marker."""
    items = sorted(items, key=key)
    if "Marker" in request:
        after = _position(request["Marker"])
        items = [item for item in items if key(item) > after]
    size = request.get("MaxItems", DEFAULT_PAGE)
    shown = items[:size]
    answer: Response = {member: shown, "IsTruncated": len(items) > size}
    if answer["IsTruncated"]:
        answer["Marker"] = base64.urlsafe_b64encode(key(shown[-1]).encode()).decode()
    return answer


def _position(marker: str) -> str:
    try:
        return base64.urlsafe_b64decode(marker).decode()
    except ValueError as reason:
        raise AwsError("ValidationError", "Invalid Marker.") from reason


def encoded(document: str) -> str:
    """A policy document as IAM's answers carry it: percent-encoded (RFC 3986)."""
    return quote(document, safe="")


def boundary(arn: str) -> Record:
    """The PermissionsBoundary member of users and roles."""
    return {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn}


def put_boundary(store: Store, kind: str, name: str, arn: str) -> None:
    """Set the boundary of a user or role."""
    put(store, kind, name, {**get(store, kind, name), "PermissionsBoundary": boundary(arn)})


def delete_boundary(store: Store, kind: str, name: str) -> None:
    """Take the boundary of a user or role away."""
    record = get(store, kind, name)
    record.pop("PermissionsBoundary", None)
    put(store, kind, name, record)
