"""LookupEvents: the event history of one region, newest first, by one attribute and between two times."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from datetime import datetime
from pathlib import Path

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.cloudtrail.record_file import Position
from sagehound.localcloud.services.cloudtrail.search import Search, find

_DEFAULT_PAGE = 50


class EventHistory:
    """The events that are in the record of calls."""

    def __init__(self, record: Path, account_id: str) -> None:
        self._record = record
        self._account_id = account_id

    async def LookupEvents(self, call: Call, request: Request) -> Response:
        """Events of the caller's region, those of the call itself not among them: it is recorded when it is answered.

        Of Insights there are none (EventCategory insight), as in an account that has not turned them on.
        """
        search = self._search(call.region, request)
        filters = _fingerprint(request)
        start = _position(request["NextToken"], filters) if "NextToken" in request else None
        if request.get("EventCategory") == "insight":
            return {"Events": []}
        count = request.get("MaxResults", _DEFAULT_PAGE)
        try:
            found, place = await asyncio.to_thread(find, self._record, search, start, count)
        except LookupError as reason:
            raise _invalid_token() from reason
        answer: Response = {"Events": [event.members for event in found]}
        if place is not None:
            token = json.dumps([filters, *place])
            answer["NextToken"] = base64.urlsafe_b64encode(token.encode()).decode()
        return answer

    def _search(self, region: str, request: Request) -> Search:
        attributes = request.get("LookupAttributes", [])
        if len(attributes) > 1:
            raise AwsError("InvalidLookupAttributesException", "You can only specify one lookup attribute.")
        after: datetime | None = request.get("StartTime")
        before: datetime | None = request.get("EndTime")
        if after is not None and before is not None and after > before:
            raise AwsError("InvalidTimeRangeException", "The start time must be before the end time.")
        return Search(
            region,
            self._account_id,
            None if after is None else after.timestamp(),
            None if before is None else before.timestamp(),
            (attributes[0]["AttributeKey"], attributes[0]["AttributeValue"]) if attributes else None,
        )


def _fingerprint(request: Request) -> str:
    """What a token belongs to: the request without the page."""
    filters = {member: value for member, value in request.items() if member not in ("NextToken", "MaxResults")}
    return hashlib.sha256(json.dumps(filters, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _position(token: str, filters: str) -> Position:
    """The place that a token names; InvalidNextTokenException when it was given for other filters, or by nobody."""
    try:
        given, file, offset = json.loads(base64.urlsafe_b64decode(token))
    except ValueError:
        raise _invalid_token() from None
    if given != filters or not isinstance(file, str) or not isinstance(offset, int):
        raise _invalid_token()
    return Position(file, offset)


def _invalid_token() -> AwsError:
    message = "The NextToken was not returned by LookupEvents with the same parameters."
    return AwsError("InvalidNextTokenException", message)
