"""What CloudTrail remembers of resources, those that are gone among them: who was made, changed and deleted when"""

from __future__ import annotations

import json
from collections.abc import Mapping
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


class History:
    """The calls by which things that cost money come and go, each operation looked up when it is first asked for:
    CloudTrail answers two questions a second."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._calls: dict[str, list[Call]] = {}
        self.refused = ""
        """Why nothing is known; empty where CloudTrail has answered all that was asked so far."""

    def of(self, name: str, *operations: str) -> list[Call]:
        """The accepted calls of these operations that concern a resource, the oldest first."""
        return [call for call in self.all_of(*operations) if name in call.names]

    def all_of(self, *operations: str) -> list[Call]:
        """The accepted calls of these operations in the region: of 90 days, which is what CloudTrail keeps."""
        found = [call for operation in operations for call in self._looked_up(operation)]
        return sorted(found, key=lambda call: call.moment)

    def _looked_up(self, operation: str) -> list[Call]:
        from botocore.exceptions import ClientError

        if operation not in self._calls and not self.refused:
            asked = [{"AttributeKey": "EventName", "AttributeValue": operation}]
            # The first is that of the region; the others are for IAM.
            pages = self._clients.cloudtrails[0].get_paginator("lookup_events")
            try:
                events = [event for page in pages.paginate(LookupAttributes=asked) for event in page["Events"]]
            except ClientError as error:
                code, message = error_of(error)
                if code not in _DENIED:
                    raise
                self.refused = f"CloudTrail's event history cannot be read ({code}: {message})"
                return []
            self._calls[operation] = [call for event in events if (call := call_of(event))]
        return self._calls.get(operation, [])


def call_of(event: Mapping[str, Any]) -> Call | None:
    """An event of LookupEvents as a call; None for one that was refused."""
    told = json.loads(event.get("CloudTrailEvent") or "{}")
    if told.get("errorCode"):
        return None
    request, response = told.get("requestParameters") or {}, told.get("responseElements") or {}
    named = {str(one.get("ResourceName", "")).rpartition("/")[2] for one in event.get("Resources", [])}
    named |= {str(value) for key, value in request.items() if key.endswith("Name") and isinstance(value, str)}
    return Call(event["EventName"], event["EventTime"], frozenset(named - {""}), request, response)
