"""Alarms as the tests of CloudWatch make and read them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sagehound.localcloud.services.cloudwatch.service import CloudWatch
from tests.cloud_process import START_LIMIT


def settings(name: str, **members: Any) -> dict[str, Any]:
    """An alarm whose metric has no data and which keeps its state then: nothing but a test changes it."""
    given: dict[str, Any] = {
        "AlarmName": name,
        "Namespace": f"Test/{name}",
        "MetricName": "m",
        "Period": 60,
        "EvaluationPeriods": 3,
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "ignore",
    }
    if "ExtendedStatistic" not in members:
        given["Statistic"] = "Average"
    return {key: value for key, value in {**given, **members}.items() if value is not None}


def breaching(name: str, **members: Any) -> dict[str, Any]:
    """An alarm on a metric that has no data, which counts as too high: it is in ALARM as soon as it is evaluated."""
    return {
        "AlarmName": name,
        "Namespace": "N",
        "MetricName": "m",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "breaching",
        **members,
    }


@asynccontextmanager
async def evaluating(cloudwatch: CloudWatch) -> AsyncIterator[None]:
    """Inside, the loops of metrics and alarms run."""
    await cloudwatch.start()
    await cloudwatch.alarms.start()
    try:
        yield
    finally:
        await cloudwatch.alarms.stop()
        await cloudwatch.stop()


def code_of(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def described(cloudwatch: Any, name: str) -> dict[str, Any]:
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return dict(alarm)


def history(cloudwatch: Any, name: str, kind: str | None = None) -> list[dict[str, Any]]:
    """The items of an alarm, oldest first."""
    kinds = {} if kind is None else {"HistoryItemType": kind}
    pages = cloudwatch.get_paginator("describe_alarm_history").paginate(
        AlarmName=name, ScanBy="TimestampAscending", **kinds
    )
    return [item for page in pages for item in page["AlarmHistoryItems"]]


def until(condition: Callable[[], Any]) -> Any:
    """What `condition` answers as soon as it is true."""
    deadline = time.monotonic() + START_LIMIT
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not become true"
        time.sleep(0.05)
    return found


def query(query_id: str, name: str, *, period: int = 3600, returns: bool = False) -> dict[str, Any]:
    stat = {"Metric": {"Namespace": "N", "MetricName": name}, "Period": period, "Stat": "Sum"}
    return {"Id": query_id, "MetricStat": stat, "ReturnData": returns}


def on_math(name: str, *metrics: dict[str, Any], **members: Any) -> dict[str, Any]:
    one_metric = dict.fromkeys(("Namespace", "MetricName", "Statistic", "Period"))
    return settings(name, **{**one_metric, "Metrics": list(metrics), **members})
