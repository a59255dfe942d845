"""Sums of CloudWatch's metrics over any time, in as few values as CloudWatch answers"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sagehound.pipeline.clients import Clients
from sagehound.pipeline.cost.arithmetic import exact_seconds

_HOUR = 3600
_MOST = 1000
_MOST_MINUTES = 1400
"""GetMetricStatistics answers at most 1,440 values."""


def metric_sum(
    clients: Clients, namespace: str, metric: str, dimensions: Mapping[str, str], begin: datetime, end: datetime
) -> float:
    """The sum of a metric between two moments: of a day to the minute, of longer times to the hour."""
    hours = int(exact_seconds(end - begin) / _HOUR) + 1
    exact = hours <= _MOST_MINUTES // 60
    found = clients.cloudwatch.get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=begin.replace(minute=begin.minute if exact else 0, second=0, microsecond=0),
        EndTime=end + timedelta(seconds=60),  # the minute that is under way counts too
        Period=60 if exact else _HOUR * (hours // _MOST + 1),
        Statistics=["Sum"],
    )
    return float(sum(one["Sum"] for one in found["Datapoints"]))
