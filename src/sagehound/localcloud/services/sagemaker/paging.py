"""Listing as SageMaker's List* operations do it: filters, order, pages."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sagehound.localcloud.errors import AwsError, validation

Record = dict[str, Any]

_DEFAULT_PAGE = 10
_BOUNDS = (
    ("CreationTimeAfter", "CreationTime", False),
    ("CreationTimeBefore", "CreationTime", True),
    ("LastModifiedTimeAfter", "LastModifiedTime", False),
    ("LastModifiedTimeBefore", "LastModifiedTime", True),
)


def select(records: list[Record], request: Record, name_member: str, status_member: str | None = None) -> list[Record]:
    """The records that pass NameContains, StatusEquals and the time bounds of a List* request."""
    wanted = str(request.get("NameContains", "")).lower()
    found = [record for record in records if wanted in record[name_member].lower()]
    if status_member and "StatusEquals" in request:
        found = [record for record in found if record[status_member] == request["StatusEquals"]]
    for bound, member, before in _BOUNDS:
        if bound in request:
            found = [record for record in found if _passes(record[member], request[bound], before)]
    return found


def _passes(moment: datetime, bound: datetime, before: bool) -> bool:
    return moment < bound if before else moment > bound


def order(
    records: list[Record], request: Record, members: dict[str, str], default: str, direction: str
) -> list[Record]:
    """The records by SortBy (`members`: its values -> record members) and SortOrder; names break ties."""
    member, name = members[request.get("SortBy", default)], members["Name"]
    descending = request.get("SortOrder", direction) == "Descending"
    return sorted(records, key=lambda record: (record[member], record[name]), reverse=descending)


def page(
    records: list[Record], request: Record, answer: str, name_member: str, shape: Callable[[Record], Record]
) -> Record:
    """One page of `records`, each through `shape`, as the member `answer`; NextToken when more follow.

    The token names the last record that was given, so that records made meanwhile neither hide nor repeat others.
    With other filters than it was given for it is refused, as AWS does.
    """
    filters = {member: value for member, value in request.items() if member not in ("NextToken", "MaxResults")}
    fingerprint = hashlib.sha256(json.dumps(filters, sort_keys=True, default=str).encode()).hexdigest()[:16]
    first = _after(records, request["NextToken"], fingerprint, name_member) if "NextToken" in request else 0
    size = request.get("MaxResults", _DEFAULT_PAGE)
    given = records[first : first + size]
    found: Record = {answer: [shape(record) for record in given]}
    if first + size < len(records):
        token = json.dumps([fingerprint, first + size, given[-1][name_member]])
        found["NextToken"] = base64.urlsafe_b64encode(token.encode()).decode()
    return found


def _after(records: list[Record], token: str, fingerprint: str, name_member: str) -> int:
    """The position behind the record that the token names; when that one is gone, the position where it was."""
    try:
        filters, position, name = json.loads(base64.urlsafe_b64decode(token))
    except ValueError:
        raise _invalid_token() from None
    if filters != fingerprint:
        raise _invalid_token()
    names = [record[name_member] for record in records]
    return names.index(name) + 1 if name in names else int(position)


def _invalid_token() -> AwsError:
    return validation("Invalid pagination token: it was not returned by this operation with these parameters.")
