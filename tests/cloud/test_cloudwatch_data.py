"""GetMetricData through boto3: metrics, metric math, order, pages, labels."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud_process import CloudProcess

MINUTE = timedelta(minutes=1)
START = datetime.now(UTC).replace(second=0, microsecond=0) - 10 * MINUTE
M1 = [10, 20, 30, None, 50]
M2 = [1, 0, 3, 4, None]


@pytest.fixture(scope="module")
def cloudwatch(cloud: CloudProcess) -> Any:
    return cloud.client("cloudwatch")


@pytest.fixture(scope="module")
def namespace(cloudwatch: Any) -> str:
    """Two metrics over five minutes, each with one gap."""
    name = f"Math/{uuid.uuid4()}"
    data = [
        {"MetricName": metric, "Timestamp": START + index * MINUTE, "Value": value}
        for metric, values in (("first", M1), ("second", M2))
        for index, value in enumerate(values)
        if value is not None
    ]
    cloudwatch.put_metric_data(Namespace=name, MetricData=data)
    return name


def _metric(namespace: str, query_id: str, name: str, **members: Any) -> dict[str, Any]:
    stat = {"Metric": {"Namespace": namespace, "MetricName": name}, "Period": 60, "Stat": "Sum"}
    return {"Id": query_id, "MetricStat": stat, **members}


def _get(cloudwatch: Any, queries: list[dict[str, Any]], **arguments: Any) -> dict[str, Any]:
    answer: dict[str, Any] = cloudwatch.get_metric_data(
        MetricDataQueries=queries, StartTime=START, EndTime=START + 5 * MINUTE, **arguments
    )
    return answer


def _evaluate(cloudwatch: Any, namespace: str, expression: str) -> list[float | None]:
    """The values of an expression over m1 and m2, None for a minute without one."""
    queries = [
        _metric(namespace, "m1", "first", ReturnData=False),
        _metric(namespace, "m2", "second", ReturnData=False),
        {"Id": "e1", "Expression": expression},
    ]
    (result,) = _get(cloudwatch, queries)["MetricDataResults"]
    found = dict(zip(result["Timestamps"], result["Values"], strict=True))
    return [found.get(START + index * MINUTE) for index in range(5)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("m1 + m2", [11, 20, 33, None, None]),
        ("m1 / m2", [10, None, 10, None, None]),
        ("m1 * 2 - 5", [15, 35, 55, None, 95]),
        ("-m1 + 2 ^ 3", [-2, -12, -22, None, -42]),
        ("(m1 + m1) / 2", [10, 20, 30, None, 50]),
        ("SUM(METRICS())", [11, 20, 33, 4, 50]),
        ('AVG([m1, m2])', [5.5, 10, 16.5, 4, 50]),
        ('MAX(METRICS("m2"))', [1, 0, 3, 4, None]),
        ("m1 / SUM(m1) * 100", [pytest.approx(100 / 11), pytest.approx(200 / 11), pytest.approx(300 / 11), None,
                                pytest.approx(500 / 11)]),
        ("FILL(m1, 0) + FILL(m2, 0)", [11, 20, 33, 4, 50]),
        ("FILL(m1, REPEAT)", [10, 20, 30, 30, 50]),
        ("FILL(m1, LINEAR)", [10, 20, 30, 40, 50]),
        ("m1 / PERIOD(m1) * 60", [10, 20, 30, None, 50]),
        ("DIFF(m1)", [None, 10, 10, None, 20]),
        ("RATE(m1) * 60", [None, 10, 10, None, 10]),
        ("ABS(m2 - 2)", [1, 2, 1, 2, None]),
        ("CEIL(m1 / 20)", [1, 1, 2, None, 3]),
        ("FLOOR(m1 / 20)", [0, 1, 1, None, 2]),
        # What is too large for a number is no value, as a division by zero is none.
        ("m1 * 5e306", [pytest.approx(5e307), pytest.approx(1e308), pytest.approx(1.5e308), None, None]),
        ("SUM([m1 * 5e306, m1 * 5e306])", [pytest.approx(1e308), None, None, None, None]),
        ("AVG([m1 * 5e306, m1 * 5e306])", [pytest.approx(5e307), None, None, None, None]),
        ("CEIL(DIFF((15 - m1) * 3e307))", [None] * 5),
        ("FILL(m1, 1e999)", [10, 20, 30, None, 50]),
        ("m1 / CEIL(1e999)", [0, 0, 0, None, 0]),
    ],
)  # fmt: skip
def test_metric_math(cloudwatch: Any, namespace: str, expression: str, expected: list[float | None]) -> None:
    assert _evaluate(cloudwatch, namespace, expression) == expected


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("m1 +", "ValidationError"),
        ("m1 m2", "ValidationError"),
        ("m3 * 2", "ValidationError"),
        ("e1 + 1", "ValidationError"),
        ("SUM(m1)", "ValidationError"),
        ("METRICS() + METRICS()", "ValidationError"),
        ("(" * 1500, "ValidationError"),
        ("SEARCH('x', 'Sum', 300)", "NotImplemented"),
        ("IF(m1 > 2, 1)", "NotImplemented"),
        ("m1 > 2", "NotImplemented"),
    ],
)
def test_refused_expressions(cloudwatch: Any, namespace: str, expression: str, code: str) -> None:
    with pytest.raises(ClientError) as caught:
        _evaluate(cloudwatch, namespace, expression)
    assert caught.value.response["Error"]["Code"] == code


def test_newest_first_unless_told_otherwise(cloudwatch: Any, namespace: str) -> None:
    query = [_metric(namespace, "m1", "first")]
    (result,) = _get(cloudwatch, query)["MetricDataResults"]
    assert result["Values"] == [50, 30, 20, 10]
    assert (result["Label"], result["StatusCode"]) == ("first", "Complete")
    (result,) = _get(cloudwatch, query, ScanBy="TimestampAscending")["MetricDataResults"]
    assert result["Values"] == [10, 20, 30, 50]
    assert result["Timestamps"][0] == START


@pytest.mark.parametrize("size", [1, 3, 4, 100])
def test_pages(cloudwatch: Any, namespace: str, size: int) -> None:
    queries = [_metric(namespace, "m1", "first"), _metric(namespace, "m2", "second"), _metric(namespace, "m3", "none")]
    found: dict[str, list[float]] = {}
    arguments: dict[str, Any] = {}
    while True:
        page = _get(cloudwatch, queries, MaxDatapoints=size, ScanBy="TimestampAscending", **arguments)
        assert sum(len(result["Values"]) for result in page["MetricDataResults"]) <= size
        for result in page["MetricDataResults"]:
            found.setdefault(result["Id"], []).extend(result["Values"])
        if "NextToken" not in page:
            break
        arguments = {"NextToken": page["NextToken"]}
    assert found.get("m1") == [10, 20, 30, 50]
    assert found.get("m2") == [1, 0, 3, 4]
    assert found.get("m3", []) == []


def test_labels(cloudwatch: Any, namespace: str) -> None:
    label = "${LABEL}: ${MIN} to ${MAX}, last ${LAST}"
    (result,) = _get(cloudwatch, [_metric(namespace, "m1", "first", Label=label)])["MetricDataResults"]
    assert result["Label"] == "first: 10.0 to 50.0, last 50.0"


def test_refused_queries(cloudwatch: Any, namespace: str) -> None:
    for words, queries in [
        ("expected pattern", [_metric(namespace, "M1", "first")]),
        ("not unique", [_metric(namespace, "m1", "first")] * 2),
        ("Exactly one of", [{"Id": "m1"}]),
        ("different periods", [
            _metric(namespace, "m1", "first"),
            {"Id": "m2", "MetricStat": _metric(namespace, "m2", "second")["MetricStat"] | {"Period": 300}},
            {"Id": "e1", "Expression": "m1 + m2"},
        ]),
    ]:  # fmt: skip
        with pytest.raises(ClientError, match=words):
            _get(cloudwatch, queries)
