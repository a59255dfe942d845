"""Users and their access keys, as boto3 sees them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud_process import CloudProcess


@pytest.fixture
def iam(cloud: CloudProcess) -> Any:
    return cloud.client("iam")


@pytest.fixture
def name(iam: Any) -> Iterator[str]:
    """A user of this test, with all that hangs on it removed afterwards."""
    name = f"user-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    yield name
    for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    for policy in iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]:
        iam.detach_user_policy(UserName=name, PolicyArn=policy["PolicyArn"])
    for policy in iam.list_user_policies(UserName=name)["PolicyNames"]:
        iam.delete_user_policy(UserName=name, PolicyName=policy)
    iam.delete_user(UserName=name)


def allowing(action: str | list[str], resource: str | list[str] = "*", **members: Any) -> str:
    """An identity policy of one statement."""
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, **members}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def refusal(call: Any, **params: Any) -> tuple[str, int, str]:
    """Code, HTTP status and message of what must be refused."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    error = caught.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Message"]


def test_a_user_has_what_aws_gives_it(iam: Any, name: str, cloud: CloudProcess) -> None:
    user = iam.get_user(UserName=name)["User"]
    assert user["Arn"] == f"arn:aws:iam::{cloud.account_id}:user/{name}"
    assert user["UserId"].startswith("AIDA")
    assert len(user["UserId"]) == 20
    assert user["Path"] == "/"
    assert user["CreateDate"].tzinfo is not None


def test_a_name_is_taken_in_any_case(iam: Any, name: str) -> None:
    code, status, message = refusal(iam.create_user, UserName=name.upper())
    assert (code, status) == ("EntityAlreadyExists", 409)
    assert message == f"User with name {name.upper()} already exists."


def test_a_missing_user_is_named(iam: Any) -> None:
    assert refusal(iam.get_user, UserName="nobody") == (
        "NoSuchEntity",
        404,
        "The user with name nobody cannot be found.",
    )


def test_a_bad_name_is_refused_in_the_words_of_aws(iam: Any) -> None:
    code, status, message = refusal(iam.create_user, UserName="a b")
    assert (code, status) == ("ValidationError", 400)
    assert message.startswith("1 validation error detected: Value 'a b' at 'userName' failed to satisfy constraint: ")


def test_users_are_listed_in_pages_and_by_path(iam: Any) -> None:
    path = f"/{uuid.uuid4().hex[:8]}/"
    names = [f"paged-{uuid.uuid4().hex[:8]}-{at}" for at in range(5)]
    for user in names:
        iam.create_user(UserName=user, Path=path)
    pages = list(iam.get_paginator("list_users").paginate(PathPrefix=path, PaginationConfig={"PageSize": 2}))
    assert [len(page["Users"]) for page in pages] == [2, 2, 1]
    assert sorted(user["UserName"] for page in pages for user in page["Users"]) == sorted(names)
    for user in names:
        iam.delete_user(UserName=user)


def test_a_renamed_user_keeps_its_keys(iam: Any, cloud: CloudProcess) -> None:
    old, new = (f"user-{uuid.uuid4().hex[:8]}" for _ in range(2))
    iam.create_user(UserName=old)
    key = iam.create_access_key(UserName=old)["AccessKey"]
    iam.update_user(UserName=old, NewUserName=new, NewPath="/team/")
    identity = signed_with(cloud, key).get_caller_identity()
    assert identity["Arn"] == f"arn:aws:iam::{cloud.account_id}:user/team/{new}"
    assert refusal(iam.get_user, UserName=old)[0] == "NoSuchEntity"
    iam.delete_access_key(UserName=new, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=new)


def test_tags_are_set_replaced_and_removed(iam: Any, name: str) -> None:
    iam.tag_user(UserName=name, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    iam.tag_user(UserName=name, Tags=[{"Key": "A", "Value": "3"}])
    iam.untag_user(UserName=name, TagKeys=["b"])
    assert iam.list_user_tags(UserName=name)["Tags"] == [{"Key": "A", "Value": "3"}]
    code, _, message = refusal(iam.tag_user, UserName=name, Tags=[{"Key": k, "Value": ""} for k in ("x", "X")])
    assert (code, message) == (
        "InvalidInput",
        "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
    )


def signed_with(cloud: CloudProcess, key: dict[str, str], service: str = "sts") -> Any:
    """A client with a user's key."""
    return cloud.client(service, aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])


class TestAccessKeys:
    def test_a_key_is_its_user(self, iam: Any, name: str, cloud: CloudProcess) -> None:
        key = iam.create_access_key(UserName=name)["AccessKey"]
        assert key["AccessKeyId"].startswith("AKIA")
        assert len(key["SecretAccessKey"]) == 40
        user = iam.get_user(UserName=name)["User"]
        identity = signed_with(cloud, key).get_caller_identity()
        assert (identity["Arn"], identity["UserId"], identity["Account"]) == (
            user["Arn"],
            user["UserId"],
            cloud.account_id,
        )
        iam.put_user_policy(UserName=name, PolicyName="self", PolicyDocument=allowing("iam:GetUser", user["Arn"]))
        assert signed_with(cloud, key, "iam").get_user()["User"]["UserName"] == name

    def test_two_are_enough(self, iam: Any, name: str) -> None:
        for _ in range(2):
            iam.create_access_key(UserName=name)
        assert refusal(iam.create_access_key, UserName=name) == (
            "LimitExceeded",
            409,
            "Cannot exceed quota for AccessKeysPerUser: 2",
        )

    def test_an_inactive_key_is_refused_until_it_is_active_again(
        self, iam: Any, name: str, cloud: CloudProcess
    ) -> None:
        key = iam.create_access_key(UserName=name)["AccessKey"]
        sts = signed_with(cloud, key)
        sts.get_caller_identity()
        iam.update_access_key(UserName=name, AccessKeyId=key["AccessKeyId"], Status="Inactive")
        assert refusal(sts.get_caller_identity)[:2] == ("InvalidClientTokenId", 403)
        assert iam.list_access_keys(UserName=name)["AccessKeyMetadata"][0]["Status"] == "Inactive"
        iam.update_access_key(UserName=name, AccessKeyId=key["AccessKeyId"], Status="Active")
        sts.get_caller_identity()

    def test_a_deleted_key_is_refused(self, iam: Any, name: str, cloud: CloudProcess) -> None:
        key = iam.create_access_key(UserName=name)["AccessKey"]
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        assert refusal(signed_with(cloud, key).get_caller_identity)[0] == "InvalidClientTokenId"
        assert refusal(iam.delete_access_key, UserName=name, AccessKeyId=key["AccessKeyId"])[0] == "NoSuchEntity"

    def test_its_last_use_is_remembered(self, iam: Any, name: str, cloud: CloudProcess) -> None:
        key = iam.create_access_key(UserName=name)["AccessKey"]
        asked = {"AccessKeyId": key["AccessKeyId"]}
        before = iam.get_access_key_last_used(**asked)
        assert before["UserName"] == name
        assert before["AccessKeyLastUsed"] == {"ServiceName": "N/A", "Region": "N/A"}
        refusal(cloud.client("s3", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key="guess").list_buckets)
        assert iam.get_access_key_last_used(**asked)["AccessKeyLastUsed"] == before["AccessKeyLastUsed"]
        # AWS counts a call that is denied as a use.
        assert refusal(signed_with(cloud, key, "s3").list_buckets)[0] == "AccessDenied"
        after = iam.get_access_key_last_used(**asked)["AccessKeyLastUsed"]
        assert (after["ServiceName"], after["Region"]) == ("s3", cloud.region)
        assert datetime.now(UTC) - after["LastUsedDate"] < timedelta(minutes=5)

    def test_the_list_has_no_secrets(self, iam: Any, name: str) -> None:
        iam.create_access_key(UserName=name)
        (listed,) = iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
        assert sorted(listed) == ["AccessKeyId", "CreateDate", "Status", "UserName"]

    def test_a_user_with_keys_or_policies_cannot_be_deleted(self, iam: Any, name: str) -> None:
        key = iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
        assert refusal(iam.delete_user, UserName=name) == (
            "DeleteConflict",
            409,
            "Cannot delete entity, must delete access keys first.",
        )
        iam.delete_access_key(UserName=name, AccessKeyId=key)
        iam.attach_user_policy(UserName=name, PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
        assert refusal(iam.delete_user, UserName=name)[0] == "DeleteConflict"


def test_root_is_the_caller_without_a_name(iam: Any, cloud: CloudProcess) -> None:
    user = iam.get_user()["User"]
    assert (user["Arn"], user["UserId"]) == (f"arn:aws:iam::{cloud.account_id}:root", cloud.account_id)
