"""Findings of long-term access keys: what does not expire is found sooner or later by somebody else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sagehound.pipeline.secure.findings import HIGH, LOW, MEDIUM, Finding

_OLD_DAYS = 90


def check_keys(iam: Any, *, root_has_keys: bool) -> Iterator[Finding]:
    """Active access keys of users, and those of root where it has none by design (``root_has_keys``)."""
    now = datetime.now(UTC)
    for page in iam.get_paginator("list_users").paginate():
        for user in page["Users"]:
            yield from _of_user(iam, user["UserName"], now)
    if not root_has_keys and iam.get_account_summary()["SummaryMap"].get("AccountAccessKeysPresent"):
        yield Finding(
            HIGH,
            "root-access-key",
            "account root",
            "the root user has an access key",
            "No policy limits root: whoever has this key has the account.",
            "Delete it in the console (Security credentials), and work with a role.",
        )


def _of_user(iam: Any, user: str, now: datetime) -> Iterator[Finding]:
    for page in iam.get_paginator("list_access_keys").paginate(UserName=user):
        for key in page["AccessKeyMetadata"]:
            if key["Status"] != "Active":
                continue
            days = max(0, (now - key["CreateDate"]).days)
            used = iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])["AccessKeyLastUsed"]
            last = used.get("LastUsedDate")
            when = f"last used on {last:%Y-%m-%d}" if last else "never used"
            yield Finding(
                MEDIUM if days >= _OLD_DAYS else LOW,
                "long-term-key",
                f"user {user}",
                f"access key {key['AccessKeyId'][:4]}...{key['AccessKeyId'][-4:]} is {days} days old, {when}",
                "It works from anywhere until somebody deletes it: in a notebook, in a repository, in a log.",
                f"Sign in for sessions (`aws sso login`) or take a role; then `aws iam delete-access-key --user-name "
                f"{user} --access-key-id {key['AccessKeyId']}`.",
            )
