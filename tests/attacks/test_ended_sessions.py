"""Temporary keys that have outlived their time, their role or their user."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud.people import People, Person, allow
from tests.cloud_process import CloudProcess

CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("s3", "get_object", {"Bucket": "{vault}", "Key": "secret"}),
    ("s3", "put_object", {"Bucket": "{vault}", "Key": "secret", "Body": b"changed"}),
    ("sts", "get_caller_identity", {}),
    ("iam", "create_user", {"UserName": "forged"}),
    ("sagemaker", "list_models", {}),
    ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": "any", "Body": b"x"}),
    ("logs", "describe_log_groups", {}),
    ("cloudwatch", "list_metrics", {}),
    ("cloudtrail", "lookup_events", {}),
    ("lambda", "list_functions", {}),
]


def codes(person: Person, vault: str) -> set[str]:
    """How each call is refused."""
    found = set()
    for service, method, params in CALLS:
        named = {name: vault if value == "{vault}" else value for name, value in params.items()}
        with pytest.raises(ClientError) as refused:
            getattr(person.client(service), method)(**named)
        found.add(refused.value.response["Error"]["Code"])
    return found


def age(cloud: CloudProcess, access_key_id: str) -> None:
    """Let a session's time be over, as if the cloud had stood still for long: in its store, while it is stopped."""
    cloud.stop()
    with contextlib.closing(sqlite3.connect(cloud.data_dir / "cloud.sqlite")) as database, database:
        where = "WHERE kind = 'sts-session' AND name = ?"
        (body,) = database.execute(f"SELECT body FROM records {where}", (access_key_id,)).fetchone()
        record = json.loads(body)
        record["Expiration"]["$time"] = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
        database.execute(f"UPDATE records SET body = ? {where}", (json.dumps(record), access_key_id))
    cloud.start()


def test_an_expired_session(own_cloud: CloudProcess) -> None:
    s3 = own_cloud.client("s3")
    s3.create_bucket(Bucket="vault")
    s3.put_object(Bucket="vault", Key="secret", Body=b"kept")
    people = People(own_cloud)
    session = people.session(people.role(allow("*")), DurationSeconds=900)
    assert session.client("s3").get_object(Bucket="vault", Key="secret")["Body"].read() == b"kept"
    age(own_cloud, session.keys["AccessKeyId"])
    assert codes(session, "vault") == {"ExpiredToken", "ExpiredTokenException"}
    assert s3.get_object(Bucket="vault", Key="secret")["Body"].read() == b"kept"


def test_the_session_of_a_deleted_role(people: People, vault: str, cloud: CloudProcess) -> None:
    role = people.role(allow("*"))
    session = people.session(role)
    assert session.client("s3").get_object(Bucket=vault, Key="secret")["Body"].read() == b"kept"
    people.remove_role(role.rpartition("/")[2])
    refusals = codes(session, vault)
    assert refusals <= {"InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException"} | {
        "AccessDenied",
        "AccessDeniedException",
    }
    assert cloud.client("s3").get_object(Bucket=vault, Key="secret")["Body"].read() == b"kept"


def test_a_role_that_was_made_anew_is_another(people: People, vault: str) -> None:
    """Who held a session of the deleted role gets none of the new one's rights."""
    role = people.role(allow("*"))
    session, name = people.session(role), role.rpartition("/")[2]
    document = people.iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    people.remove_role(name)
    people.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))
    people.iam.put_role_policy(RoleName=name, PolicyName="given", PolicyDocument=allow("*"))
    with pytest.raises(ClientError):
        session.client("s3").get_object(Bucket=vault, Key="secret")
    assert people.session(role).client("s3").get_object(Bucket=vault, Key="secret")["Body"].read() == b"kept"


def test_a_session_without_its_token_or_with_another_s(people: People, vault: str) -> None:
    role = people.role(allow("*"))
    one, other = people.session(role), people.session(role, RoleSessionName="other")
    for token in (None, other.keys["SessionToken"], one.keys["SessionToken"][:-1]):
        client = one.client("s3", aws_session_token=token)
        with pytest.raises(ClientError) as refused:
            client.get_object(Bucket=vault, Key="secret")
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403)


def test_the_temporary_keys_of_a_deleted_user(people: People, vault: str, cloud: CloudProcess) -> None:
    iam, name = cloud.client("iam"), f"gone-{uuid.uuid4().hex[:10]}"
    arn = iam.create_user(UserName=name)["User"]["Arn"]
    iam.put_user_policy(UserName=name, PolicyName="given", PolicyDocument=allow("*"))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    user = Person(cloud, arn, key)
    temporary = Person(cloud, arn, user.client("sts").get_session_token()["Credentials"])
    assert temporary.client("s3").get_object(Bucket=vault, Key="secret")["Body"].read() == b"kept"
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName=name, PolicyName="given")
    iam.delete_user(UserName=name)
    for person in (user, temporary):
        with pytest.raises(ClientError):
            person.client("s3").get_object(Bucket=vault, Key="secret")
