"""Who owns what: the canonical user of the account, who alone is granted anything."""

from __future__ import annotations

import hashlib
from typing import Any

OWNER_ONLY = ("private", "bucket-owner-full-control", "bucket-owner-read", "aws-exec-read")
"""Canned ACLs that grant nobody but the owner of everything here: one account has all buckets."""


def owner(account_id: str) -> dict[str, str]:
    """The Owner structure of an account: its canonical user id."""
    return {"ID": hashlib.sha256(f"canonical user of {account_id}".encode()).hexdigest()}


def grants(account_id: str) -> list[dict[str, Any]]:
    """The one grant that there is."""
    return [{"Grantee": {**owner(account_id), "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}]
