"""The states of alarms on a fast clock: statistics, percentiles, units, expressions, missing data."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.cloud.alarms import described, history, on_math, query, settings, until
from tests.cloud_process import CloudProcess

HOUR = timedelta(hours=1)


def test_the_states_follow_the_metric(fast_cloud: CloudProcess) -> None:
    """From nothing to ALARM, to OK when the values fall, and to INSUFFICIENT_DATA when they stop."""
    cloudwatch = fast_cloud.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        **settings("dogs", Namespace="N", Statistic="Maximum", EvaluationPeriods=2, TreatMissingData="missing")
    )

    def drive(value: float, state: str) -> dict[str, Any]:
        def reached() -> dict[str, Any] | None:
            cloudwatch.put_metric_data(Namespace="N", MetricData=[{"MetricName": "m", "Value": value}])
            alarm = described(cloudwatch, "dogs")
            return alarm if alarm["StateValue"] == state else None

        return dict(until(reached))

    high = drive(9.0, "ALARM")
    assert "were greater than the threshold (5.0)" in high["StateReason"]
    data = json.loads(high["StateReasonData"])
    assert (data["statistic"], data["period"], data["recentDatapoints"], data["threshold"]) == (
        "Maximum",
        60,
        [9.0, 9.0],
        5.0,
    )
    assert {point["value"] for point in data["evaluatedDatapoints"]} == {9.0}
    drive(1.0, "OK")
    until(lambda: described(cloudwatch, "dogs")["StateValue"] == "INSUFFICIENT_DATA")
    assert described(cloudwatch, "dogs")["StateReason"] == "Insufficient Data: 2 datapoints were unknown."
    assert [item["HistorySummary"] for item in history(cloudwatch, "dogs", "StateUpdate")] == [
        "Alarm updated from INSUFFICIENT_DATA to ALARM",
        "Alarm updated from ALARM to OK",
        "Alarm updated from OK to INSUFFICIENT_DATA",
    ]


def test_statistics_percentiles_units_and_missing_data(fast_cloud: CloudProcess) -> None:
    """Hours as periods: on the fast clock the data of a test stay in theirs for half a minute."""
    cloudwatch = fast_cloud.client("cloudwatch")
    cloudwatch.put_metric_alarm(**settings("clock"))
    now = described(cloudwatch, "clock")["StateUpdatedTimestamp"].astimezone(UTC)
    counts = {"Values": [float(value) for value in range(1, 101)], "Counts": [1.0] * 100}
    for age in (0, 1, 2):
        moment = now - age * HOUR - HOUR / 2
        cloudwatch.put_metric_data(
            Namespace="N",
            MetricData=[
                {"MetricName": "m", "Timestamp": moment, "Unit": "Count", **counts},
                {"MetricName": "m", "Timestamp": moment, "Unit": "Percent", "Value": 500.0},
                {"MetricName": "part", "Timestamp": moment, "Value": 1100.0},
                {"MetricName": "new", "Timestamp": moment if age == 0 else now - HOUR / 2, "Value": 1000.0},
            ],
        )
    common = {"Namespace": "N", "Period": 3600, "TreatMissingData": "missing"}
    above, expected = "GreaterThanOrEqualToThreshold", {}

    def alarm(name: str, state: str, **members: Any) -> None:
        cloudwatch.put_metric_alarm(**settings(name, **{**common, "ComparisonOperator": above, **members}))
        expected[name] = state

    alarm("sum", "ALARM", Statistic="Sum", Threshold=5050.0, Unit="Count")
    alarm("sum-of-all-units", "ALARM", Statistic="Sum", Threshold=5550.0)
    alarm("sum-too-small", "OK", Statistic="Sum", Threshold=5550.1)
    alarm("other-unit", "ALARM", Statistic="Minimum", Threshold=500.0, Unit="Percent")
    alarm("no-such-unit", "INSUFFICIENT_DATA", Threshold=0.0, Unit="Bytes")
    alarm("count", "ALARM", Statistic="SampleCount", Threshold=100.0, Unit="Count")
    alarm("p90", "ALARM", ExtendedStatistic="p90", Threshold=90.0, Unit="Count")
    alarm("p90-too-small", "OK", ExtendedStatistic="p90", Threshold=91.0, Unit="Count")
    low = {"EvaluateLowSampleCountPercentile": "ignore", "Threshold": 0.0, "Unit": "Count"}
    alarm("p90-enough", "ALARM", ExtendedStatistic="p90", **low)
    alarm("p99-too-few", "INSUFFICIENT_DATA", ExtendedStatistic="p99", **low)
    alarm("one-of-three", "ALARM", MetricName="new", DatapointsToAlarm=1, Threshold=1000.0)
    alarm("two-of-three", "INSUFFICIENT_DATA", MetricName="new", DatapointsToAlarm=2, Threshold=1000.0)
    alarm("filled", "ALARM", MetricName="new", TreatMissingData="breaching", Threshold=1000.0)
    alarm("let-off", "OK", MetricName="new", TreatMissingData="notBreaching", Threshold=1000.0)
    alarm("no-dimension", "OK", Dimensions=[{"Name": "A", "Value": "1"}], TreatMissingData="notBreaching")

    total = {"Id": "e", "Expression": "100 * m2 / m1"}
    for title, threshold, state in (("math", 19.8, "ALARM"), ("math-too-small", 19.9, "OK")):
        members = {"Threshold": threshold, "ComparisonOperator": above, "TreatMissingData": "missing"}
        cloudwatch.put_metric_alarm(**on_math(title, query("m1", "m"), query("m2", "part"), total, **members))
        expected[title] = state

    def states() -> dict[str, str]:
        alarms = cloudwatch.describe_alarms(AlarmNames=list(expected))["MetricAlarms"]
        return {one["AlarmName"]: one["StateValue"] for one in alarms}

    decided = {name for name, state in expected.items() if state != "INSUFFICIENT_DATA"}
    until(lambda: all(states()[name] != "INSUFFICIENT_DATA" for name in decided))
    assert states() == expected


def test_high_resolution_alarms_are_evaluated_each_period(fast_cloud: CloudProcess) -> None:
    cloudwatch = fast_cloud.client("cloudwatch")
    cloudwatch.put_metric_alarm(**settings("fine", Namespace="N", Period=10, EvaluationPeriods=1, Statistic="Sum"))
    assert described(cloudwatch, "fine")["Period"] == 10

    def reached() -> bool:
        datum = {"MetricName": "m", "Value": 9.0, "StorageResolution": 1}
        cloudwatch.put_metric_data(Namespace="N", MetricData=[datum])
        return bool(described(cloudwatch, "fine")["StateValue"] == "ALARM")

    until(reached)
    data = json.loads(described(cloudwatch, "fine")["StateReasonData"])
    begin = datetime.strptime(data["startDate"], "%Y-%m-%dT%H:%M:%S.%f%z")
    assert begin.timestamp() % 10 == 0
