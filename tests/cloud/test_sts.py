"""Who am I, and temporary keys, as boto3 sees them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.config import Config

from tests.cloud.test_iam_users import allowing, refusal, signed_with
from tests.cloud_process import CloudProcess


def trust(principal: dict[str, Any], **members: Any) -> str:
    """A trust policy that names `principal`."""
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **members}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def iam(cloud: CloudProcess) -> Any:
    return cloud.client("iam")


@pytest.fixture
def sts(cloud: CloudProcess) -> Any:
    return cloud.client("sts")


@pytest.fixture
def role(iam: Any, cloud: CloudProcess) -> Iterator[dict[str, Any]]:
    """A role that its account may assume."""
    document = trust({"AWS": f"arn:aws:iam::{cloud.account_id}:root"})
    made = iam.create_role(RoleName=f"role-{uuid.uuid4().hex[:8]}", AssumeRolePolicyDocument=document)["Role"]
    yield made
    for policy in iam.list_role_policies(RoleName=made["RoleName"])["PolicyNames"]:
        iam.delete_role_policy(RoleName=made["RoleName"], PolicyName=policy)
    iam.delete_role(RoleName=made["RoleName"])


@pytest.fixture
def user(iam: Any) -> Iterator[dict[str, Any]]:
    """A user with a key."""
    name = f"user-{uuid.uuid4().hex[:8]}"
    made = iam.create_user(UserName=name)["User"]
    key = iam.create_access_key(UserName=name)["AccessKey"]
    yield {**made, **key}
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=name)


def session_client(cloud: CloudProcess, keys: dict[str, Any], service: str = "sts", **changes: Any) -> Any:
    """A client with temporary keys."""
    return cloud.client(
        service,
        **{
            "aws_access_key_id": keys["AccessKeyId"],
            "aws_secret_access_key": keys["SecretAccessKey"],
            "aws_session_token": keys["SessionToken"],
            **changes,
        },
    )


def test_root_is_root(sts: Any, cloud: CloudProcess) -> None:
    identity = sts.get_caller_identity()
    assert identity["Arn"] == f"arn:aws:iam::{cloud.account_id}:root"
    assert identity["UserId"] == identity["Account"] == cloud.account_id


def test_a_role_is_assumed(sts: Any, role: dict[str, Any], cloud: CloudProcess) -> None:
    answer = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="me@here", DurationSeconds=900)
    keys = answer["Credentials"]
    arn = f"arn:aws:sts::{cloud.account_id}:assumed-role/{role['RoleName']}/me@here"
    assert answer["AssumedRoleUser"] == {"Arn": arn, "AssumedRoleId": f"{role['RoleId']}:me@here"}
    assert keys["AccessKeyId"].startswith("ASIA")
    left = keys["Expiration"] - datetime.now(UTC)
    assert timedelta(seconds=880) < left <= timedelta(seconds=900)
    identity = session_client(cloud, keys).get_caller_identity()
    assert (identity["Arn"], identity["UserId"]) == (arn, f"{role['RoleId']}:me@here")


def test_a_session_works_for_every_protocol(sts: Any, iam: Any, role: dict[str, Any], cloud: CloudProcess) -> None:
    actions = ["s3:ListAllMyBuckets", "sagemaker:ListModels", "iam:ListRoles"]
    iam.put_role_policy(RoleName=role["RoleName"], PolicyName="lists", PolicyDocument=allowing(actions))
    keys = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="ss")["Credentials"]
    assert "Buckets" in session_client(cloud, keys, "s3").list_buckets()
    assert "Models" in session_client(cloud, keys, "sagemaker").list_models()
    roles = session_client(cloud, keys, "iam").list_roles(MaxItems=1000)["Roles"]
    assert role["Arn"] in [one["Arn"] for one in roles]


def test_a_session_needs_its_own_token(sts: Any, role: dict[str, Any], cloud: CloudProcess) -> None:
    one, two = (sts.assume_role(RoleArn=role["Arn"], RoleSessionName=name)["Credentials"] for name in ("one", "two"))
    for token in (None, two["SessionToken"]):
        client = session_client(cloud, one, aws_session_token=token)
        assert refusal(client.get_caller_identity)[:2] == ("InvalidClientTokenId", 403)
        s3 = session_client(cloud, one, "s3", aws_session_token=token)
        assert refusal(s3.list_buckets)[:2] == ("InvalidToken", 400)


class TestTrust:
    def test_a_role_for_a_service_is_not_for_people(self, sts: Any, iam: Any, cloud: CloudProcess) -> None:
        name = f"role-{uuid.uuid4().hex[:8]}"
        document = trust({"Service": "sagemaker.amazonaws.com"})
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        root = f"arn:aws:iam::{cloud.account_id}:root"
        assert refusal(sts.assume_role, RoleArn=arn, RoleSessionName="s1") == (
            "AccessDenied",
            403,
            f"User: {root} is not authorized to perform: sts:AssumeRole on resource: {arn}",
        )
        iam.delete_role(RoleName=name)

    def test_a_role_that_is_not_there_is_denied_alike(self, sts: Any, cloud: CloudProcess) -> None:
        arn = f"arn:aws:iam::{cloud.account_id}:role/nobody"
        assert refusal(sts.assume_role, RoleArn=arn, RoleSessionName="s1")[:2] == ("AccessDenied", 403)

    def test_one_user_is_named_and_no_other_may(
        self, sts: Any, iam: Any, user: dict[str, Any], cloud: CloudProcess
    ) -> None:
        name = f"role-{uuid.uuid4().hex[:8]}"
        document = trust({"AWS": user["Arn"]})
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        signed_with(cloud, user).assume_role(RoleArn=arn, RoleSessionName="s1")
        assert refusal(sts.assume_role, RoleArn=arn, RoleSessionName="s1")[0] == "AccessDenied"
        iam.delete_role(RoleName=name)

    def test_a_role_may_be_named_and_its_sessions_chain_for_an_hour(
        self, sts: Any, iam: Any, role: dict[str, Any], cloud: CloudProcess
    ) -> None:
        name = f"role-{uuid.uuid4().hex[:8]}"
        made = iam.create_role(
            RoleName=name, AssumeRolePolicyDocument=trust({"AWS": role["Arn"]}), MaxSessionDuration=7200
        )["Role"]
        first = session_client(cloud, sts.assume_role(RoleArn=role["Arn"], RoleSessionName="s1")["Credentials"])
        first.assume_role(RoleArn=made["Arn"], RoleSessionName="s2")
        code, _, message = refusal(first.assume_role, RoleArn=made["Arn"], RoleSessionName="s2", DurationSeconds=7200)
        assert code == "ValidationError"
        assert "1 hour session limit for roles assumed by role chaining" in message
        iam.delete_role(RoleName=name)

    def test_the_external_id_counts(self, sts: Any, iam: Any, cloud: CloudProcess) -> None:
        name = f"role-{uuid.uuid4().hex[:8]}"
        condition = {"StringEquals": {"sts:ExternalId": "secret-handshake"}}
        document = trust({"AWS": cloud.account_id}, Condition=condition)
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        assert refusal(sts.assume_role, RoleArn=arn, RoleSessionName="s1")[0] == "AccessDenied"
        wrong = refusal(sts.assume_role, RoleArn=arn, RoleSessionName="s1", ExternalId="handshake")
        assert wrong[0] == "AccessDenied"
        sts.assume_role(RoleArn=arn, RoleSessionName="s1", ExternalId="secret-handshake")
        iam.delete_role(RoleName=name)


def test_a_session_is_no_longer_than_its_role_allows(role: dict[str, Any], cloud: CloudProcess) -> None:
    sts = cloud.client("sts", config=Config(parameter_validation=False))
    assert refusal(sts.assume_role, RoleArn=role["Arn"], RoleSessionName="s1", DurationSeconds=3601) == (
        "ValidationError",
        400,
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
    )
    code, _, message = refusal(sts.assume_role, RoleArn=role["Arn"], RoleSessionName="s1", DurationSeconds=899)
    assert code == "ValidationError"
    assert "Member must have value greater than or equal to 900" in message


def test_the_use_of_a_role_is_remembered(sts: Any, iam: Any, role: dict[str, Any], cloud: CloudProcess) -> None:
    sts.assume_role(RoleArn=role["Arn"], RoleSessionName="s1")
    used = iam.get_role(RoleName=role["RoleName"])["Role"]["RoleLastUsed"]
    assert used["Region"] == cloud.region
    assert datetime.now(UTC) - used["LastUsedDate"] < timedelta(minutes=5)


def test_a_user_gets_temporary_keys_of_its_own(user: dict[str, Any], cloud: CloudProcess) -> None:
    keys = signed_with(cloud, user).get_session_token(DurationSeconds=900)["Credentials"]
    session = session_client(cloud, keys)
    assert session.get_caller_identity()["Arn"] == user["Arn"]
    assert refusal(session.get_session_token) == (
        "AccessDenied",
        403,
        "Cannot call GetSessionToken with session credentials",
    )


def test_a_key_is_of_the_account(sts: Any, user: dict[str, Any], cloud: CloudProcess) -> None:
    assert sts.get_access_key_info(AccessKeyId=user["AccessKeyId"])["Account"] == cloud.account_id


def test_sessions_survive_kill_9(own_cloud: CloudProcess) -> None:
    iam, sts = own_cloud.client("iam"), own_cloud.client("sts")
    document = trust({"AWS": own_cloud.account_id})
    arn = iam.create_role(RoleName="kept", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    keys = sts.assume_role(RoleArn=arn, RoleSessionName="kept")["Credentials"]
    own_cloud.restart(kill=True)
    assert session_client(own_cloud, keys).get_caller_identity()["Arn"].endswith("assumed-role/kept/kept")
