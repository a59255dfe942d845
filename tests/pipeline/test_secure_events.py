"""What was called, read from CloudTrail: with verdicts here, from names and resources on AWS, and of whose role."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sagehound.pipeline.clients import Clients, connect_local
from sagehound.pipeline.secure.events import Use, role_of, uses_of
from sagehound.pipeline.secure.used import usage_of
from tests.cloud_process import CloudProcess

ROLE = "arn:aws:iam::123456789012:role/path/dogs"


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            {
                "eventSource": "sagemaker.amazonaws.com",
                "eventName": "DeleteEndpoint",
                "resources": [{"ARN": "arn:aws:sagemaker:us-east-1:123456789012:endpoint/dogs"}],
            },
            [Use("sagemaker:DeleteEndpoint", "arn:aws:sagemaker:us-east-1:123456789012:endpoint/dogs", True)],
        ),
        (
            {"eventSource": "lambda.amazonaws.com", "eventName": "UpdateFunctionCode20150331v2"},
            [Use("lambda:UpdateFunctionCode", "", True)],
        ),
        (
            {"eventSource": "monitoring.amazonaws.com", "eventName": "PutMetricAlarm"},
            [Use("cloudwatch:PutMetricAlarm", "", True)],
        ),
        ({"eventSource": "s3.amazonaws.com", "eventName": "HeadBucket"}, [Use("s3:ListBucket", "", True)]),
        ({"eventSource": "s3.amazonaws.com", "eventName": "ListBuckets"}, [Use("s3:ListAllMyBuckets", "*", True)]),
        (
            {"eventSource": "sagemaker.amazonaws.com", "eventName": "ListEndpoints", "errorCode": "AccessDenied"},
            [Use("sagemaker:ListEndpoints", "*", False)],
        ),
        ({"eventSource": "signin.amazonaws.com", "eventName": "ConsoleLogin"}, []),
        (
            {"additionalEventData": {"authorizations": [{"action": "s3:getobject", "resource": "r", "verdict": "x"}]}},
            [Use("s3:GetObject", "r", False)],
        ),
        ({"additionalEventData": {"authorizations": []}, "eventName": "GetCallerIdentity"}, []),
    ],
)
def test_an_event_is_the_permissions_that_it_needed(event: dict[str, Any], expected: list[Use]) -> None:
    assert uses_of(event) == expected


@pytest.mark.parametrize(
    ("identity", "role"),
    [
        ({"type": "AssumedRole", "sessionContext": {"sessionIssuer": {"type": "Role", "arn": ROLE}}}, ROLE),
        (
            {"type": "AssumedRole", "arn": "arn:aws:sts::123456789012:assumed-role/dogs/session"},
            "arn:aws:iam::123456789012:role/dogs",
        ),
        ({"type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/anna"}, ""),
        ({"type": "FederatedUser", "sessionContext": {"sessionIssuer": {"type": "IAMUser", "arn": ROLE}}}, ""),
        ({"type": "AWSService", "invokedBy": "sagemaker.amazonaws.com"}, ""),
    ],
)
def test_whose_role_it_was(identity: dict[str, Any], role: str) -> None:
    assert role_of({"userIdentity": identity}) == role


def test_the_calls_of_a_role_and_of_no_other(own_cloud: CloudProcess) -> None:
    clients = connect_local(own_cloud.data_dir, own_cloud.region)
    clients.s3.create_bucket(Bucket="pictures")
    clients.s3.put_object(Bucket="pictures", Key="p1/a.png", Body=b"a")
    anna, ben = (session(own_cloud, clients, name) for name in ("anna", "ben"))
    for _ in range(60):  # more than one page of the history
        anna.get_object(Bucket="pictures", Key="p1/a.png")
    ben.list_objects_v2(Bucket="pictures")
    with pytest.raises(clients.s3.exceptions.ClientError, match="AccessDenied"):
        ben.delete_object(Bucket="pictures", Key="p1/a.png")
    own_cloud.calls(66)
    made = datetime.now(UTC) - timedelta(hours=1)
    arns = {name: f"arn:aws:iam::{clients.account_id}:role/{name}" for name in ("anna", "ben", "carl")}
    found = usage_of(clients.cloudtrails, dict.fromkeys(arns.values(), made), whole=True)
    anna_used, ben_used, carl_used = (found[arns[name]] for name in ("anna", "ben", "carl"))
    assert anna_used.counts == {("s3:GetObject", "arn:aws:s3:::pictures/p1/a.png"): 60}
    assert (anna_used.calls, ben_used.calls, carl_used.calls) == (60, 2, 0)
    assert list(ben_used.uses) == [("s3:ListBucket", "arn:aws:s3:::pictures")]
    assert ben_used.denied == {("s3:DeleteObject", "arn:aws:s3:::pictures/p1/a.png"): 1}
    assert not ben_used.used("s3:DeleteObject")
    # The history begins with the first call of this cloud, not an hour ago: only that much was looked at.
    assert anna_used.since > made + timedelta(minutes=30)
    assert anna_used.since <= anna_used.until
    assert json.dumps(anna_used.as_dict())


def test_calls_of_iam_are_kept_in_another_region(own_cloud: CloudProcess) -> None:
    clients = connect_local(own_cloud.data_dir, "eu-west-1")
    dora = session(own_cloud, clients, "dora", "iam")
    with pytest.raises(dora.exceptions.ClientError, match="AccessDenied"):
        dora.list_users()
    own_cloud.calls(4)
    arn = f"arn:aws:iam::{clients.account_id}:role/dora"
    found = usage_of(clients.cloudtrails, {arn: datetime.now(UTC) - timedelta(hours=1)}, whole=True)
    assert [action for action, _ in found[arn].denied] == ["iam:ListUsers"]


def test_a_cloud_whose_clock_runs_ahead_has_its_calls_in_the_history(fast_cloud: CloudProcess) -> None:
    clients = connect_local(fast_cloud.data_dir, fast_cloud.region)
    clients.s3.create_bucket(Bucket="pictures")
    session(fast_cloud, clients, "anna").list_objects_v2(Bucket="pictures")
    fast_cloud.calls(5)
    role = clients.iam.get_role(RoleName="anna")["Role"]
    assert role["CreateDate"] > datetime.now(UTC)
    (found,) = usage_of(clients.cloudtrails, {role["Arn"]: role["CreateDate"]}, whole=True).values()
    assert list(found.uses) == [("s3:ListBucket", "arn:aws:s3:::pictures")]
    assert found.since <= role["CreateDate"] <= found.until


def test_on_aws_the_last_minutes_are_not_counted_as_looked_at(own_cloud: CloudProcess) -> None:
    clients = connect_local(own_cloud.data_dir, own_cloud.region)
    clients.s3.create_bucket(Bucket="pictures")
    session(own_cloud, clients, "anna").list_objects_v2(Bucket="pictures")
    own_cloud.calls(5)
    arn = f"arn:aws:iam::{clients.account_id}:role/anna"
    made = datetime.now(UTC) - timedelta(hours=1)
    (found,) = usage_of(clients.cloudtrails, {arn: made}, whole=False).values()
    assert found.calls == 0
    assert found.until < datetime.now(UTC) - timedelta(minutes=14)
    assert found.since <= found.until


def session(cloud: CloudProcess, clients: Clients, name: str, service: str = "s3") -> Any:
    """A client of a role that may read from S3."""
    account = clients.account_id
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"}
    reading = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"}
    version = {"Version": "2012-10-17"}
    document = json.dumps({**version, "Statement": trust})
    clients.iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)
    document = json.dumps({**version, "Statement": reading})
    clients.iam.put_role_policy(RoleName=name, PolicyName="reading", PolicyDocument=document)
    sts = clients.client("sts")
    keys = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/{name}", RoleSessionName="test")["Credentials"]
    return cloud.client(
        service,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
