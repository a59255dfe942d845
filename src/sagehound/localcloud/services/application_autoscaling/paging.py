"""Listing: pages in a stable order, and tokens that fit one listing only."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

from sagehound.localcloud.errors import AwsError, validation
from sagehound.localcloud.services.application_autoscaling.errors import constraint

Record = dict[str, Any]


def page(
    records: Sequence[Record],
    request: Record,
    answer: str,
    key: Callable[[Record], Any],
    largest: int = 50,
) -> Record:
    """One page of `records`, which are in the order of `key`, as the member `answer`; NextToken when more follow.

    The token names the last record that was given, so that what is made or deleted meanwhile hides and repeats nothing.
    """
    if "ScalableDimension" in request and not (request.get("ResourceId") or request.get("ResourceIds")):
        raise validation("If you specify a scalable dimension, you must also specify a resource ID.")
    size = request.get("MaxResults", largest)
    if not 1 <= size <= largest:
        bound = f"less than or equal to {largest}" if size > largest else "greater than or equal to 1"
        raise constraint(size, "maxResults", f"Member must have value {bound}")
    filters = {member: value for member, value in request.items() if member not in ("NextToken", "MaxResults")}
    fingerprint = hashlib.sha256(json.dumps(filters, sort_keys=True).encode()).hexdigest()[:16]
    left = list(records)
    if "NextToken" in request:
        after = _read(request["NextToken"], fingerprint, type(key(left[0])) if left else object)
        left = [record for record in left if key(record) > after]
    found: Record = {answer: left[:size]}
    if len(left) > size:
        token = json.dumps([fingerprint, key(left[size - 1])])
        found["NextToken"] = base64.urlsafe_b64encode(token.encode()).decode()
    return found


def _read(token: str, fingerprint: str, kind: type) -> Any:
    """What the token names: a key of this kind. A token is signed by nobody."""
    try:
        filters, after = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, TypeError, RecursionError):
        filters, after = None, None
    if filters != fingerprint or not isinstance(after, kind):
        raise AwsError("InvalidNextTokenException", "The specified next token is invalid.")
    return after
