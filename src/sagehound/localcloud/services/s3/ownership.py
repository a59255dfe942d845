"""Who owns what: the canonical user of an account, and the grants that canned ACLs stand for."""

from __future__ import annotations

import hashlib
from typing import Any

_GROUPS = "http://acs.amazonaws.com/groups"
_EVERYONE = f"{_GROUPS}/global/AllUsers"
_CANNED: dict[str, list[tuple[str, str]]] = {
    "private": [],
    "public-read": [(_EVERYONE, "READ")],
    "public-read-write": [(_EVERYONE, "READ"), (_EVERYONE, "WRITE")],
    "authenticated-read": [(f"{_GROUPS}/global/AuthenticatedUsers", "READ")],
    "log-delivery-write": [(f"{_GROUPS}/s3/LogDelivery", "WRITE"), (f"{_GROUPS}/s3/LogDelivery", "READ_ACP")],
    "bucket-owner-read": [],
    "bucket-owner-full-control": [],
    "aws-exec-read": [],
}
OWNER_ONLY = ("private", "bucket-owner-full-control", "bucket-owner-read", "aws-exec-read")
"""Canned ACLs that grant nobody but the owner of everything here: one account has all buckets."""


def owner(account_id: str) -> dict[str, str]:
    """The Owner structure of an account: its canonical user id."""
    return {"ID": hashlib.sha256(f"canonical user of {account_id}".encode()).hexdigest()}


def grants(account_id: str, canned: str) -> list[dict[str, Any]]:
    """The grants of a canned ACL on what `account_id` owns."""
    full = {"Grantee": {**owner(account_id), "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}
    others = [{"Grantee": {"Type": "Group", "URI": uri}, "Permission": what} for uri, what in _CANNED[canned]]
    return [full, *others]
