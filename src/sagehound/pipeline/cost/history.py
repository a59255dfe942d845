"""What CloudTrail remembers of resources, those that are gone among them: who was made, changed and deleted when"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sagehound.pipeline.aws_errors import error_of
from sagehound.pipeline.clients import Clients

_DENIED = ("AccessDenied", "AccessDeniedException", "UnknownOperationException", "InvalidAction")


@dataclass(frozen=True)
class Call:
    """One call that AWS accepted."""

    operation: str
    moment: datetime
    names: frozenset[str]
    """Names of the resources that the event names."""
    request: Mapping[str, Any]
    """requestParameters; empty where the event has none, as in the local cloud."""
    response: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class History:
    """The calls by which things that cost money come and go, the oldest first."""

    calls: list[Call] = field(default_factory=list)
    refused: str = ""
    """Why nothing is known; empty where CloudTrail answered."""

    def of(self, name: str, *operations: str) -> list[Call]:
        """The calls of these operations that concern a resource."""
        return [call for call in self.calls if call.operation in operations and name in call.names]

    def all_of(self, *operations: str) -> list[Call]:
        """The calls of these operations."""
        return [call for call in self.calls if call.operation in operations]


def read_history(clients: Clients, operations: Iterable[str], since: datetime | None) -> History:
    """The accepted calls of these operations in the region: of the last 90 days, which is what CloudTrail keeps."""
    from botocore.exceptions import ClientError

    found = History()
    window = {"StartTime": since} if since else {}
    for operation in operations:
        asked = [{"AttributeKey": "EventName", "AttributeValue": operation}]
        try:
            pages = clients.cloudtrails[0].get_paginator("lookup_events").paginate(LookupAttributes=asked, **window)
            for page in pages:
                found.calls += [call for event in page["Events"] if (call := call_of(event))]
        except ClientError as error:
            code, message = error_of(error)
            if code not in _DENIED:
                raise
            found.refused = f"CloudTrail's event history cannot be read ({code}: {message})"
            break
    found.calls.sort(key=lambda call: call.moment)
    return found


def call_of(event: Mapping[str, Any]) -> Call | None:
    """An event of LookupEvents as a call; None for one that was refused."""
    told = json.loads(event.get("CloudTrailEvent") or "{}")
    if told.get("errorCode"):
        return None
    request, response = told.get("requestParameters") or {}, told.get("responseElements") or {}
    named = {str(one.get("ResourceName", "")).rpartition("/")[2] for one in event.get("Resources", [])}
    named |= {str(value) for key, value in request.items() if key.endswith("Name") and isinstance(value, str)}
    return Call(event["EventName"], event["EventTime"], frozenset(named - {""}), request, response)
