"""CloudWatch metrics through boto3: put, statistics, percentiles, listing; over the three wire forms."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import cbor2
import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.cloud_process import CloudProcess

MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def cloudwatch(cloud: CloudProcess) -> Any:
    return cloud.client("cloudwatch")


@pytest.fixture
def namespace() -> str:
    return f"Test/{uuid.uuid4()}"


@pytest.fixture
def start() -> datetime:
    """A whole minute, ten minutes ago."""
    return datetime.now(UTC).replace(second=0, microsecond=0) - 10 * MINUTE


def _statistics(cloudwatch: Any, namespace: str, start: datetime, **arguments: Any) -> list[dict[str, Any]]:
    if "ExtendedStatistics" not in arguments:
        arguments.setdefault("Statistics", ["SampleCount", "Sum", "Average", "Minimum", "Maximum"])
    given = {"MetricName": "m", "StartTime": start, "EndTime": start + 20 * MINUTE, "Period": 60, **arguments}
    points = cloudwatch.get_metric_statistics(Namespace=namespace, **given)["Datapoints"]
    return sorted(points, key=lambda point: point["Timestamp"])


def test_values_counts_and_statistic_sets_add_up(cloudwatch: Any, namespace: str, start: datetime) -> None:
    data = [
        {"MetricName": "m", "Timestamp": start, "Value": 1.0, "Unit": "Count"},
        {
            "MetricName": "m",
            "Timestamp": start + timedelta(seconds=59),
            "Values": [2, 3],
            "Counts": [2, 1],
            "Unit": "Count",
        },
        {"MetricName": "m", "Timestamp": start + MINUTE, "Value": -5.5, "Unit": "Count"},
        {
            "MetricName": "m",
            "Timestamp": start,
            "StatisticValues": {"SampleCount": 4, "Sum": 40, "Minimum": 0.5, "Maximum": 30},
            "Unit": "Count",
        },
    ]
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)
    first, second = _statistics(cloudwatch, namespace, start)
    assert first == {
        "Timestamp": start,
        "SampleCount": 8.0,
        "Sum": 48.0,
        "Average": 6.0,
        "Minimum": 0.5,
        "Maximum": 30.0,
        "Unit": "Count",
    }
    assert (second["Timestamp"], second["Sum"]) == (start + MINUTE, -5.5)
    (both,) = _statistics(cloudwatch, namespace, start, Period=300, Statistics=["Sum"])
    assert both == {"Timestamp": start, "Sum": 42.5, "Unit": "Count"}


def test_dimensions_and_units_tell_data_apart(cloudwatch: Any, namespace: str, start: datetime) -> None:
    one = [{"Name": "Host", "Value": "algo-1"}, {"Name": "Job", "Value": "j"}]
    for dimensions, unit, value in [
        (one, "Seconds", 1),
        (one, "Bytes", 2),
        ([one[1], one[0]], "Bytes", 3),
        ([], "Bytes", 9),
    ]:
        datum = {"MetricName": "m", "Dimensions": dimensions, "Timestamp": start, "Value": value, "Unit": unit}
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=[datum])

    def sums(**arguments: Any) -> dict[str, float]:
        points = _statistics(cloudwatch, namespace, start, Statistics=["Sum"], **arguments)
        return {point["Unit"]: point["Sum"] for point in points}

    assert sums(Dimensions=one) == {"Seconds": 1, "Bytes": 5}
    assert sums(Dimensions=one, Unit="Bytes") == {"Bytes": 5}
    assert sums() == {"Bytes": 9}
    assert sums(Dimensions=one[:1]) == {}


def test_percentiles(cloudwatch: Any, namespace: str, start: datetime) -> None:
    for first in range(1, 1001, 100):
        values = [float(value) for value in range(first, first + 100)]
        datum = {"MetricName": "m", "Timestamp": start, "Values": values}
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=[datum])
    (point,) = _statistics(cloudwatch, namespace, start, ExtendedStatistics=["p50", "p99", "p99.9", "p0", "p100"])
    found = point["ExtendedStatistics"]
    expected = {"p0": 1, "p50": 500, "p99": 990, "p99.9": 999, "p100": 1000}
    assert {name: pytest.approx(value, rel=0.01) for name, value in expected.items()} == found
    with pytest.raises(ClientError, match="NotImplemented"):
        _statistics(cloudwatch, namespace, start, ExtendedStatistics=["tm90"])


def test_high_resolution(cloudwatch: Any, namespace: str, start: datetime) -> None:
    data = [
        {"MetricName": "m", "Timestamp": start + timedelta(seconds=second), "Value": second, "StorageResolution": 1}
        for second in range(20)
    ]
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)
    points = _statistics(cloudwatch, namespace, start, EndTime=start + MINUTE, Period=5, Statistics=["Sum"])
    assert [point["Sum"] for point in points] == [10, 35, 60, 85]
    points = _statistics(
        cloudwatch, namespace, start + timedelta(seconds=7.5), EndTime=start + timedelta(seconds=10), Period=1
    )
    assert [point["Sum"] for point in points] == [7, 8, 9]


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"Value": 1, "StatisticValues": {"SampleCount": 1, "Sum": 1, "Minimum": 1, "Maximum": 1}},
         "InvalidParameterCombination", "mutually exclusive and you have specified both"),
        ({}, "MissingParameter", "At least one of"),
        ({"Value": float("nan")}, "InvalidParameterValue", "MetricData.member.1.Value is invalid"),
        ({"Values": [1, 2], "Counts": [1]}, "InvalidParameterValue", "same size"),
        ({"Values": list(range(151))}, "InvalidParameterValue", "must not have a size greater than 150"),
        ({"Value": 1, "Timestamp": datetime(2020, 1, 1, tzinfo=UTC)}, "InvalidParameterValue", "two weeks"),
        ({"Value": 1, "StorageResolution": 7}, "InvalidParameterValue", "StorageResolution"),
        ({"Value": 1, "Dimensions": [{"Name": "a", "Value": "1"}] * 2}, "InvalidParameterValue", "twice"),
    ],
)  # fmt: skip
def test_refused_data(cloudwatch: Any, namespace: str, change: dict[str, Any], code: str, words: str) -> None:
    with pytest.raises(ClientError, match=words) as caught:
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=[{"MetricName": "m", **change}])
    assert caught.value.response["Error"]["Code"] == code
    assert cloudwatch.list_metrics(Namespace=namespace)["Metrics"] == []


def test_refused_requests(cloudwatch: Any, namespace: str, start: datetime) -> None:
    refused: list[tuple[str, dict[str, Any]]] = [
        ("1,440", {"EndTime": start + timedelta(days=2)}),
        ("Period", {"Period": 61}),
        ("StartTime must be less", {"EndTime": start}),
    ]
    for words, arguments in refused:
        with pytest.raises(ClientError, match=words):
            _statistics(cloudwatch, namespace, start, **arguments)
    with pytest.raises(ClientError, match="Statistics and ExtendedStatistics"):
        cloudwatch.get_metric_statistics(
            Namespace=namespace, MetricName="m", StartTime=start, EndTime=start + MINUTE, Period=60
        )
    with pytest.raises(ClientError, match="AWS/SageMaker for parameter Namespace is invalid"):
        cloudwatch.put_metric_data(Namespace="AWS/SageMaker", MetricData=[{"MetricName": "m", "Value": 1}])


def test_large_requests_that_clients_compress(cloudwatch: Any, namespace: str, start: datetime) -> None:
    """Botocore compresses PutMetricData of 10 KB and more with gzip."""
    data = [{"MetricName": "m", "Timestamp": start, "Value": 1}] * 1000
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)
    (point,) = _statistics(cloudwatch, namespace, start)
    assert point["SampleCount"] == 1000
    with pytest.raises(ClientError, match="must not have a size greater than 1000"):
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=[*data, data[0]])


def test_list_metrics(cloudwatch: Any, namespace: str) -> None:
    now = datetime.now(UTC)
    for first in range(0, 700, 100):
        data = [
            {"MetricName": f"m{number % 2}", "Dimensions": [{"Name": "N", "Value": str(number)}], "Value": 1}
            for number in range(first, first + 100)
        ]
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)
    old = {"MetricName": "old", "Timestamp": now - timedelta(days=2), "Value": 1}
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=[old])
    pages = list(cloudwatch.get_paginator("list_metrics").paginate(Namespace=namespace))
    assert [len(page["Metrics"]) for page in pages] == [500, 201]
    recent = cloudwatch.get_paginator("list_metrics").paginate(Namespace=namespace, RecentlyActive="PT3H")
    assert sum(len(page["Metrics"]) for page in recent) == 700
    filters = [{"Name": "N", "Value": "7"}]
    assert cloudwatch.list_metrics(Namespace=namespace, Dimensions=filters)["Metrics"] == [
        {"Namespace": namespace, "MetricName": "m1", "Dimensions": filters}
    ]
    named = cloudwatch.list_metrics(Namespace=namespace, MetricName="old", Dimensions=[{"Name": "N"}])
    assert named["Metrics"] == []
    with pytest.raises(ClientError, match="token"):
        cloudwatch.list_metrics(NextToken="nonsense!")


def _send(cloud: CloudProcess, path: str, body: bytes, headers: dict[str, str]) -> requests.Response:
    request = AWSRequest("POST", cloud.endpoint_url + path, data=body, headers=headers)
    SigV4Auth(Credentials(cloud.access_key, cloud.secret_key), "monitoring", cloud.region).add_auth(request)
    return requests.post(request.url, data=body, headers=dict(request.headers), timeout=30)


def test_three_wire_forms(cloud: CloudProcess, cloudwatch: Any, namespace: str) -> None:
    name = namespace.replace("/", "%2F")
    query = f"Action=PutMetricData&Version=2010-08-01&Namespace={name}&MetricData.member.1.MetricName=m"
    query += "&MetricData.member.1.Values.member.1=1.5&MetricData.member.1.Dimensions.member.1.Name=Form"
    query += "&MetricData.member.1.Dimensions.member.1.Value=query"
    form = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    assert _send(cloud, "/", query.encode(), form).status_code == 200

    def request(form: str) -> dict[str, Any]:
        datum = {"MetricName": "m", "Value": 1.5, "Dimensions": [{"Name": "Form", "Value": form}]}
        return {"Namespace": namespace, "MetricData": [datum]}

    target = {"X-Amz-Target": "GraniteServiceVersion20100801.PutMetricData", "x-amzn-query-mode": "true"}
    target["Content-Type"] = "application/x-amz-json-1.0"
    assert _send(cloud, "/", json.dumps(request("json")).encode(), target).status_code == 200
    path = "/service/GraniteServiceVersion20100801/operation/PutMetricData"
    cbor = {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
    assert _send(cloud, path, cbor2.dumps(request("cbor")), cbor).status_code == 200
    metrics = cloudwatch.list_metrics(Namespace=namespace)["Metrics"]
    assert [metric["Dimensions"][0]["Value"] for metric in metrics] == ["query", "json", "cbor"]
    refused = _send(cloud, "/", query.replace("Values.member.1=1.5", "Value=nan").encode(), form)
    assert (refused.status_code, "<Code>InvalidParameterValue</Code>" in refused.text) == (400, True)
    refused = _send(cloud, "/", json.dumps(request("x") | {"Namespace": "AWS/X"}).encode(), target)
    assert refused.headers["x-amzn-query-error"] == "InvalidParameterValue;Sender"


def test_acknowledged_data_survive_kill_9(own_cloud: CloudProcess, start: datetime) -> None:
    own_cloud.client("cloudwatch").put_metric_data(
        Namespace="N", MetricData=[{"MetricName": "m", "Timestamp": start, "Value": 4}]
    )
    own_cloud.restart(kill=True)
    (point,) = _statistics(own_cloud.client("cloudwatch"), "N", start)
    assert point["Sum"] == 4
