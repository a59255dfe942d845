"""Pages of Lambda's lists: Marker, MaxItems and NextMarker."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from sagehound.localcloud.services.lambda_.errors import invalid

Record = dict[str, Any]

MOST = 50
"""Items of a page, however many are asked for."""


def page(items: list[Record], request: Record, member: str, key: Callable[[Record], str]) -> Record:
    """One page of `items`, which are in a fixed order and told apart by `key`; NextMarker when more follow.

    The marker names the last item that was given, so that items made meanwhile neither hide nor repeat others.
    """
    first = 0
    if "Marker" in request:
        position, last = _read(request["Marker"])
        keys = [key(item) for item in items]
        # An item that is gone since has left its place to the one behind it.
        first = keys.index(last) + 1 if last in keys else position - 1
    size = min(request.get("MaxItems", MOST), MOST)
    given = items[first : first + size]
    answer: Record = {member: given}
    if first + size < len(items):
        answer["NextMarker"] = base64.urlsafe_b64encode(f"{first + size} {key(given[-1])}".encode()).decode()
    return answer


def _read(marker: str) -> tuple[int, str]:
    try:
        position, _, last = base64.urlsafe_b64decode(marker).decode().partition(" ")
        return max(int(position), 1), last
    except (binascii.Error, ValueError) as reason:
        raise invalid("The provided marker is invalid.") from reason
