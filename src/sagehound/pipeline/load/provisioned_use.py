"""How many calls of a load met an environment that was kept ready, and how many spilled over: CloudWatch's counts"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from sagehound.pipeline.clients import Clients
from sagehound.pipeline.load.plan import FunctionTarget

_METRICS = {
    "invocations": "ProvisionedConcurrencyInvocations",
    "spillover": "ProvisionedConcurrencySpilloverInvocations",
}
_MINUTE = 60


class ProvisionedUse:
    """The counts before and after the load; their difference is exact where CloudWatch has every count at once.

    Where the metrics come minutes later there is none: cold starts are counted all the same.
    """

    def __init__(self, clients: Clients, target: FunctionTarget) -> None:
        self._clients, self._target = clients, target
        self._client: Any = None
        self._since = 0.0
        self._before: dict[str, int] | None = None

    def begin(self) -> None:
        """Remember what was counted before."""
        if not (self._clients.place.metrics_at_once and self._target.qualifier):
            return
        self._client = self._clients.client("cloudwatch")
        self._since = self._now() // _MINUTE * _MINUTE
        self._before = self._counts()

    def end(self) -> dict[str, int] | None:
        """What was counted since; None where it is not known."""
        if self._before is None:
            return None
        after = self._counts()
        return {name: after[name] - count for name, count in self._before.items()}

    def _counts(self) -> dict[str, int]:
        name = self._target.name
        dimensions = {"FunctionName": name, "Resource": f"{name}:{self._target.qualifier}"}
        listed = [{"Name": key, "Value": value} for key, value in dimensions.items()]
        queries = [
            {
                "Id": key,
                "MetricStat": {
                    "Metric": {"Namespace": "AWS/Lambda", "MetricName": metric, "Dimensions": listed},
                    "Period": _MINUTE,
                    "Stat": "Sum",
                },
            }
            for key, metric in _METRICS.items()
        ]
        pages = self._client.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries,
            StartTime=datetime.fromtimestamp(self._since, UTC),
            EndTime=datetime.fromtimestamp(self._now() + _MINUTE, UTC),
        )
        counts = dict.fromkeys(_METRICS, 0)
        for page in pages:
            for found in page["MetricDataResults"]:
                counts[found["Id"]] += round(sum(found["Values"]))
        return counts

    def _now(self) -> float:
        """What the cloud's clock says."""
        return self._clients.clock.cloud_time(time.time())
