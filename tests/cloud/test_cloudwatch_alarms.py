"""CloudWatch alarms through boto3: configured, listed, set by hand, told in a history, tagged; three wire forms."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import cbor2
import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.cloud.alarms import code_of, described, history, on_math, query, settings
from tests.cloud.people import People, allow
from tests.cloud_process import CloudProcess

HOUR = timedelta(hours=1)
TOPIC = "arn:aws:sns:us-east-1:123456789012:people"


@pytest.fixture(scope="module")
def cloudwatch(cloud: CloudProcess) -> Any:
    return cloud.client("cloudwatch")


@pytest.fixture
def name(cloudwatch: Any) -> Iterator[str]:
    """The beginning of the names of a test's alarms."""
    prefix = f"test-{uuid.uuid4().hex}"
    yield prefix
    for page in cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix):
        cloudwatch.delete_alarms(AlarmNames=[alarm["AlarmName"] for alarm in page["MetricAlarms"]])


def test_all_that_was_configured_is_described(cloudwatch: Any, name: str) -> None:
    given = settings(
        name,
        AlarmDescription="too many",
        ActionsEnabled=False,
        OKActions=[TOPIC],
        AlarmActions=[f"{TOPIC}-1", f"{TOPIC}-2"],
        InsufficientDataActions=[TOPIC],
        ExtendedStatistic="p99.9",
        Dimensions=[{"Name": "EndpointName", "Value": "dogs"}],
        Period=10,
        Unit="Count",
        DatapointsToAlarm=2,
        EvaluateLowSampleCountPercentile="ignore",
    )
    cloudwatch.put_metric_alarm(**given)
    alarm = described(cloudwatch, name)
    assert given.items() <= alarm.items()
    assert alarm["AlarmArn"] == f"arn:aws:cloudwatch:us-east-1:123456789012:alarm:{name}"
    assert (alarm["StateValue"], alarm["StateReason"]) == ("INSUFFICIENT_DATA", "Unchecked: Initial alarm creation")
    assert "Statistic" not in alarm
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="test")
    cloudwatch.put_metric_alarm(**settings(name, Threshold=7.0))
    changed = described(cloudwatch, name)
    assert (changed["Threshold"], changed["StateValue"], changed["AlarmActions"]) == (7.0, "OK", [])
    assert "AlarmDescription" not in changed
    assert changed["AlarmConfigurationUpdatedTimestamp"] > alarm["AlarmConfigurationUpdatedTimestamp"]


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"Statistic": None}, "ValidationError"),
        ({"MetricName": None}, "ValidationError"),
        ({"Namespace": None}, "ValidationError"),
        ({"Period": None}, "ValidationError"),
        ({"Threshold": None}, "ValidationError"),
        ({"ExtendedStatistic": "p99", "Statistic": "Sum"}, "ValidationError"),
        ({"ExtendedStatistic": "p101"}, "ValidationError"),
        ({"ExtendedStatistic": "tm99"}, "NotImplemented"),
        ({"Period": 45}, "ValidationError"),
        ({"Period": 5}, "ValidationError"),
        ({"Period": 3000, "EvaluationPeriods": 29}, "ValidationError"),
        ({"Period": 3600, "EvaluationPeriods": 169}, "ValidationError"),
        ({"DatapointsToAlarm": 4}, "ValidationError"),
        ({"TreatMissingData": "forget"}, "ValidationError"),
        ({"EvaluateLowSampleCountPercentile": "ignore"}, "ValidationError"),
        ({"AlarmActions": ["people"]}, "ValidationError"),
        ({"Dimensions": [{"Name": "A", "Value": "1"}, {"Name": "A", "Value": "2"}]}, "ValidationError"),
        ({"ComparisonOperator": "GreaterThanUpperThreshold"}, "NotImplemented"),
        ({"Metrics": [{"Id": "e", "Expression": "1"}]}, "ValidationError"),
        ({"Tags": [{"Key": "aws:x", "Value": "1"}]}, "InvalidParameterValue"),
    ],
)
def test_bad_configurations_are_refused(cloudwatch: Any, name: str, members: dict[str, Any], code: str) -> None:
    assert code_of(cloudwatch.put_metric_alarm, **settings(name, **members)) == code
    assert cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"] == []


@pytest.mark.parametrize(
    ("metrics", "code"),
    [
        ([{"Id": "e", "Expression": "5"}], "ValidationError"),
        ([query("m1", "a")], "ValidationError"),
        ([query("m1", "a", returns=True), {"Id": "e", "Expression": "m1"}], "ValidationError"),
        ([query("m1", "a"), {"Id": "e", "Expression": "m1 +"}], "ValidationError"),
        ([query("m1", "a"), {"Id": "e", "Expression": "m2 * 2"}], "ValidationError"),
        ([query("m1", "a"), {"Id": "e", "Expression": "e * 2"}], "ValidationError"),
        ([query("m1", "a"), {"Id": "e", "Expression": "AVG(m1)"}], "ValidationError"),
        ([query("m1", "a"), {"Id": "e", "Expression": "METRICS() * 2"}], None),
        ([query("m1", "a"), query("m2", "b"), {"Id": "e", "Expression": "METRICS()"}], "ValidationError"),
        ([query("m1", "a"), query("m2", "b", period=60), {"Id": "e", "Expression": "m1 + m2"}], "ValidationError"),
        ([query("m1", "a"), {"Id": "e", "Expression": "IF(m1 > 2, 1, 0)"}], "NotImplemented"),
    ],
)
def test_expressions_that_cannot_be_watched_are_refused(
    cloudwatch: Any, name: str, metrics: list[dict[str, Any]], code: str | None
) -> None:
    if code is None:
        cloudwatch.put_metric_alarm(**on_math(name, *metrics))
        assert described(cloudwatch, name)["Metrics"] == metrics
    else:
        assert code_of(cloudwatch.put_metric_alarm, **on_math(name, *metrics)) == code


def test_composite_alarms_are_refused_by_name(cloudwatch: Any, name: str) -> None:
    with pytest.raises(ClientError, match="PutCompositeAlarm"):
        cloudwatch.put_composite_alarm(AlarmName=name, AlarmRule="ALARM(x)")


def test_listing_by_names_prefix_state_actions_and_page(cloudwatch: Any, name: str) -> None:
    for number in range(7):
        actions = [TOPIC] if number % 2 else ["arn:aws:lambda:us-east-1:123456789012:function:f"]
        cloudwatch.put_metric_alarm(**settings(f"{name}-{number}", OKActions=actions))
    cloudwatch.set_alarm_state(AlarmName=f"{name}-3", StateValue="ALARM", StateReason="test")

    def names(**arguments: Any) -> list[str]:
        pages = cloudwatch.get_paginator("describe_alarms").paginate(**arguments)
        return [alarm["AlarmName"].removeprefix(f"{name}-") for page in pages for alarm in page["MetricAlarms"]]

    assert names(AlarmNamePrefix=name) == list("0123456")
    assert names(AlarmNamePrefix=name, PaginationConfig={"PageSize": 2}) == list("0123456")
    assert names(AlarmNamePrefix=name, StateValue="ALARM") == ["3"]
    assert names(AlarmNamePrefix=name, ActionPrefix="arn:aws:sns:") == list("135")
    assert names(AlarmNames=[f"{name}-5", f"{name}-1", f"{name}-nobody"]) == ["1", "5"]
    assert names(AlarmNamePrefix=name, AlarmTypes=["CompositeAlarm"]) == []
    assert code_of(cloudwatch.describe_alarms, AlarmNames=["a"], AlarmNamePrefix="a") == "ValidationError"
    assert code_of(cloudwatch.describe_alarms, NextToken="nonsense!") == "InvalidNextToken"
    nobody = cloudwatch.describe_alarms(AlarmNamePrefix=f"{name}-x")
    assert (nobody["MetricAlarms"], nobody["CompositeAlarms"], "NextToken" in nobody) == ([], [], False)


def test_alarms_of_a_metric(cloudwatch: Any, name: str) -> None:
    dimensions = [{"Name": "A", "Value": "1"}, {"Name": "B", "Value": "2"}]
    metric = {"Namespace": f"Test/{name}", "MetricName": "m"}
    cloudwatch.put_metric_alarm(**settings(f"{name}-1", **metric, Dimensions=dimensions))
    cloudwatch.put_metric_alarm(**settings(f"{name}-2", **metric, Dimensions=dimensions, Statistic="Sum", Period=300))
    cloudwatch.put_metric_alarm(**settings(f"{name}-3", **metric))

    def found(**arguments: Any) -> list[str]:
        answer = cloudwatch.describe_alarms_for_metric(**metric, **arguments)
        return [alarm["AlarmName"].removeprefix(f"{name}-") for alarm in answer["MetricAlarms"]]

    assert found() == ["3"]
    assert found(Dimensions=dimensions[::-1]) == ["1", "2"]
    assert found(Dimensions=dimensions, Statistic="Sum") == ["2"]
    assert found(Dimensions=dimensions, Period=60) == ["1"]
    assert found(Dimensions=dimensions[:1]) == []


def test_a_state_set_by_hand_and_its_history(cloudwatch: Any, name: str) -> None:
    cloudwatch.put_metric_alarm(**settings(name, AlarmActions=[TOPIC], OKActions=[f"{TOPIC}-ok"]))
    data = json.dumps({"because": "of a test"})
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="testing", StateReasonData=data)
    alarm = described(cloudwatch, name)
    assert (alarm["StateValue"], alarm["StateReason"], alarm["StateReasonData"]) == ("ALARM", "testing", data)
    cloudwatch.disable_alarm_actions(AlarmNames=[name, f"{name}-nobody"])
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="tested")
    cloudwatch.enable_alarm_actions(AlarmNames=[name])
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="tested again")
    alarm = described(cloudwatch, name)
    assert (alarm["StateReason"], "StateReasonData" in alarm) == ("tested again", False)
    assert alarm["StateTransitionedTimestamp"] < alarm["StateUpdatedTimestamp"]
    cloudwatch.delete_alarms(AlarmNames=[name])
    assert [(item["HistoryItemType"], item["HistorySummary"]) for item in history(cloudwatch, name)] == [
        ("ConfigurationUpdate", f'Alarm "{name}" created'),
        ("StateUpdate", "Alarm updated from INSUFFICIENT_DATA to ALARM"),
        ("Action", f"Failed to execute action {TOPIC}"),
        ("ConfigurationUpdate", f'Alarm "{name}" updated'),
        ("StateUpdate", "Alarm updated from ALARM to OK"),
        ("ConfigurationUpdate", f'Alarm "{name}" updated'),
        ("ConfigurationUpdate", f'Alarm "{name}" deleted'),
    ]
    created, state, action, *_ = (json.loads(item["HistoryData"]) for item in history(cloudwatch, name))
    assert (created["type"], created["createdAlarm"]["threshold"]) == ("Create", 5.0)
    assert created["createdAlarm"]["okActions"] == [f"{TOPIC}-ok"]
    assert state["oldState"] == {
        "stateValue": "INSUFFICIENT_DATA",
        "stateReason": "Unchecked: Initial alarm creation",
    }
    assert state["newState"] == {
        "stateValue": "ALARM",
        "stateReason": "testing",
        "stateReasonData": {"because": "of a test"},
    }
    assert (action["actionState"], action["notificationResource"]) == ("Failed", TOPIC)
    assert "Nothing was sent" in action["error"]


def test_histories_by_type_time_and_page(cloudwatch: Any, name: str) -> None:
    cloudwatch.put_metric_alarm(**settings(name))
    for number in range(5):
        state = "ALARM" if number % 2 else "OK"
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason=str(number))
    states = history(cloudwatch, name, "StateUpdate")
    assert [json.loads(item["HistoryData"])["newState"]["stateReason"] for item in states] == list("01234")
    newest = cloudwatch.describe_alarm_history(AlarmName=name, MaxRecords=2)
    assert [item["HistorySummary"] for item in newest["AlarmHistoryItems"]] == [
        "Alarm updated from ALARM to OK",
        "Alarm updated from OK to ALARM",
    ]
    rest = cloudwatch.describe_alarm_history(AlarmName=name, NextToken=newest["NextToken"])
    assert len(rest["AlarmHistoryItems"]) == 4
    assert "NextToken" not in rest
    since = states[2]["Timestamp"]
    later = cloudwatch.describe_alarm_history(AlarmName=name, StartDate=since)["AlarmHistoryItems"]
    assert len(later) == 3
    none = cloudwatch.describe_alarm_history(AlarmName=name, EndDate=since - HOUR)["AlarmHistoryItems"]
    assert none == []
    assert cloudwatch.describe_alarm_history(AlarmName=name, AlarmTypes=["CompositeAlarm"])["AlarmHistoryItems"] == []


def test_the_history_of_a_long_configuration_names_the_alarm(cloudwatch: Any, name: str) -> None:
    """HistoryData holds 4,095 characters."""
    description = "d" * 1024
    actions = [f"arn:aws:sns:us-east-1:123456789012:{'t' * 200}-{number}" for number in range(5)]
    parts = dict.fromkeys(("OKActions", "AlarmActions", "InsufficientDataActions"), actions)
    total = {"Id": "e1", "Expression": "m1 * 2", "ReturnData": True}
    cloudwatch.put_metric_alarm(**on_math(name, query("m1", "m"), total, AlarmDescription=description, **parts))
    (created,) = history(cloudwatch, name, "ConfigurationUpdate")
    arn = described(cloudwatch, name)["AlarmArn"]
    assert json.loads(created["HistoryData"])["createdAlarm"] == {"alarmName": name, "alarmArn": arn}


def test_alarms_that_are_not_there(cloudwatch: Any, name: str) -> None:
    cloudwatch.put_metric_alarm(**settings(name))
    missing = f"{name}-nobody"
    assert code_of(cloudwatch.delete_alarms, AlarmNames=[name, missing]) == "ResourceNotFound"
    assert described(cloudwatch, name)["AlarmName"] == name, "all of them or none"
    state = {"AlarmName": missing, "StateValue": "OK", "StateReason": "x"}
    assert code_of(cloudwatch.set_alarm_state, **state) == "ResourceNotFound"
    bad = {"AlarmName": name, "StateValue": "OK", "StateReason": "x", "StateReasonData": "{"}
    assert code_of(cloudwatch.set_alarm_state, **bad) == "InvalidFormat"
    arn = described(cloudwatch, name)["AlarmArn"]
    assert code_of(cloudwatch.list_tags_for_resource, ResourceARN=arn + "-x") == "ResourceNotFoundException"


def test_tags(cloudwatch: Any, name: str) -> None:
    cloudwatch.put_metric_alarm(**settings(name, Tags=[{"Key": "b", "Value": "1"}]))
    arn = described(cloudwatch, name)["AlarmArn"]
    cloudwatch.tag_resource(ResourceARN=arn, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "3"}])
    cloudwatch.put_metric_alarm(**settings(name, Tags=[{"Key": "c", "Value": "ignored at an update"}]))
    tags = cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"]
    assert tags == [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "3"}]
    cloudwatch.untag_resource(ResourceARN=arn, TagKeys=["a", "nobody"])
    assert cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "b", "Value": "3"}]
    assert "Tags" not in described(cloudwatch, name)


def test_a_region_has_its_own_alarms(cloud: CloudProcess, cloudwatch: Any, name: str) -> None:
    elsewhere = cloud.client("cloudwatch", region_name="eu-west-1")
    elsewhere.put_metric_alarm(**settings(name))
    assert cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"] == []
    assert ":eu-west-1:" in described(elsewhere, name)["AlarmArn"]
    elsewhere.delete_alarms(AlarmNames=[name])


def _send(cloud: CloudProcess, path: str, body: bytes, headers: dict[str, str]) -> requests.Response:
    request = AWSRequest("POST", cloud.endpoint_url + path, data=body, headers=headers)
    SigV4Auth(Credentials(cloud.access_key, cloud.secret_key), "monitoring", cloud.region).add_auth(request)
    return requests.post(request.url, data=body, headers=dict(request.headers), timeout=30)


def test_three_wire_forms(cloud: CloudProcess, cloudwatch: Any, name: str) -> None:
    query = f"Action=PutMetricAlarm&Version=2010-08-01&AlarmName={name}-query&Namespace=N&MetricName=m&Period=60"
    query += "&Statistic=Sum&EvaluationPeriods=2&Threshold=1.5&ComparisonOperator=LessThanThreshold"
    query += "&Dimensions.member.1.Name=A&Dimensions.member.1.Value=1&OKActions.member.1=arn%3Aaws%3Asns%3A%3A%3At"
    form = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    assert _send(cloud, "/", query.encode(), form).status_code == 200
    target = {"X-Amz-Target": "GraniteServiceVersion20100801.PutMetricAlarm", "x-amzn-query-mode": "true"}
    target["Content-Type"] = "application/x-amz-json-1.0"
    assert _send(cloud, "/", json.dumps(settings(f"{name}-json")).encode(), target).status_code == 200
    cbor = {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
    path = "/service/GraniteServiceVersion20100801/operation/"
    assert _send(cloud, path + "PutMetricAlarm", cbor2.dumps(settings(f"{name}-cbor")), cbor).status_code == 200
    found = described(cloudwatch, f"{name}-query")
    assert (found["Threshold"], found["OKActions"]) == (1.5, ["arn:aws:sns:::t"])
    asked = f"Action=DescribeAlarms&Version=2010-08-01&AlarmNamePrefix={name}"
    answer = _send(cloud, "/", asked.encode(), form).text
    assert [f"<AlarmName>{name}-{kind}</AlarmName>" in answer for kind in ("query", "json", "cbor")] == [True] * 3
    body = _send(cloud, path + "DescribeAlarms", cbor2.dumps({"AlarmNamePrefix": name}), cbor).content
    assert [alarm["Threshold"] for alarm in cbor2.loads(body)["MetricAlarms"]] == [5.0, 5.0, 1.5]
    refused = _send(cloud, "/", query.replace("Period=60", "Period=61").encode(), form)
    assert (refused.status_code, "<Code>ValidationError</Code>" in refused.text) == (400, True)


def test_permissions_are_about_the_alarms_that_are_named(people: People, name: str) -> None:
    own = f"arn:aws:cloudwatch:us-east-1:123456789012:alarm:{name}-*"
    user = people.user(allow("cloudwatch:*Alarm*", own)).client("cloudwatch")
    user.put_metric_alarm(**settings(f"{name}-a"))
    user.set_alarm_state(AlarmName=f"{name}-a", StateValue="OK", StateReason="x")
    assert len(user.describe_alarms(AlarmNames=[f"{name}-a"])["MetricAlarms"]) == 1
    assert code_of(user.describe_alarms) == "AccessDenied"
    assert code_of(user.put_metric_alarm, **settings("another")) == "AccessDenied"
    assert code_of(user.delete_alarms, AlarmNames=[f"{name}-a", "another"]) == "AccessDenied"
