"""Listing: pages in a stable order, and tokens that fit one listing only."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

from sagehound.localcloud.call import Request, Response
from sagehound.localcloud.services.ssm.errors import invalid_next_token

Record = dict[str, Any]


def page(records: Sequence[Record], request: Request, answer: str, key: Callable[[Record], str], size: int) -> Response:
    """One page of `records`, which are in the order of `key`, as the member `answer`; NextToken when more follow.

    The token names the last record that was given, so that what is made or deleted meanwhile hides and repeats nothing.
    """
    size = request.get("MaxResults", size)
    filters = {member: value for member, value in request.items() if member not in ("NextToken", "MaxResults")}
    fingerprint = hashlib.sha256(json.dumps(filters, sort_keys=True).encode()).hexdigest()[:16]
    left = list(records)
    if request.get("NextToken"):
        after = _read(request["NextToken"], fingerprint)
        left = [record for record in left if key(record) > after]
    found: Response = {answer: left[:size]}
    if len(left) > size:
        token = json.dumps([fingerprint, key(left[size - 1])])
        found["NextToken"] = base64.urlsafe_b64encode(token.encode()).decode()
    return found


def _read(token: str, fingerprint: str) -> str:
    """What the token names. A token is signed by nobody."""
    try:
        filters, after = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, TypeError, RecursionError):
        filters, after = None, None
    if filters != fingerprint or not isinstance(after, str):
        raise invalid_next_token()
    return after
