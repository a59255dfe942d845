"""ListMetrics: which metrics have had data."""

from __future__ import annotations

import base64
from typing import Any

from sagehound.localcloud.call import Call
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.cloudwatch.aggregator import MetricAggregator
from sagehound.localcloud.services.cloudwatch.tables import DAY, HOUR, Dimensions, MetricTables
from sagehound.localcloud.state.clock import Clock

PAGE = 500


class MetricListing:
    """The metrics of a region."""

    def __init__(self, clock: Clock, tables: MetricTables, aggregator: MetricAggregator) -> None:
        self._clock = clock
        self._tables = tables
        self._aggregator = aggregator

    def ListMetrics(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Metrics with data in the last two weeks (or three hours) that have all the dimensions asked for."""
        self._aggregator.flush()
        age = 3 * HOUR if request.get("RecentlyActive") else 14 * DAY
        found = self._tables.matching(
            call.region,
            request.get("Namespace"),
            request.get("MetricName"),
            int(self._clock.time()) - age,
            parse_token(request.get("NextToken")),
        )
        filters = request.get("Dimensions", [])
        matching = [metric for metric in found if _has(metric[3], filters)]
        answer: dict[str, Any] = {
            "Metrics": [
                {
                    "Namespace": namespace,
                    "MetricName": name,
                    "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions],
                }
                for _, namespace, name, dimensions in matching[:PAGE]
            ]
        }
        if len(matching) > PAGE:
            answer["NextToken"] = make_token(matching[PAGE - 1][0])
        return answer


def _has(dimensions: Dimensions, filters: list[dict[str, str]]) -> bool:
    return all(
        any(name == wanted["Name"] and value == wanted.get("Value", value) for name, value in dimensions)
        for wanted in filters
    )


def make_token(place: int) -> str:
    """A paging token that says where to go on."""
    return base64.b64encode(str(place).encode()).decode()


def parse_token(text: str | None) -> int:
    """The inverse of `make_token`; 0 for no token."""
    if text is None:
        return 0
    try:
        return int(base64.b64decode(text, validate=True))
    except ValueError:
        raise AwsError("InvalidNextToken", "The next token specified is invalid.") from None
