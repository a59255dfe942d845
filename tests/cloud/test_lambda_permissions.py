"""Resource policies of functions: statements added and removed, and what they let others do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cloud.lambda_functions import Bench, refusal, unique
from tests.cloud_process import CloudProcess

INVOKE = "lambda:InvokeFunction"


@pytest.fixture(scope="module")
def bench(cloud: CloudProcess) -> Bench:
    return Bench(cloud)


@pytest.fixture
def name(bench: Bench) -> str:
    return bench.create(Publish=True)


def test_a_policy_is_written_as_aws_writes_it(bench: Bench, name: str) -> None:
    added = bench.client.add_permission(
        FunctionName=name,
        StatementId="from-s3",
        Action=INVOKE,
        Principal="s3.amazonaws.com",
        SourceArn="arn:aws:s3:::my-bucket",
        SourceAccount=bench.cloud.account_id,
    )
    assert added["ResponseMetadata"]["HTTPStatusCode"] == 201
    statement = {
        "Sid": "from-s3",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": INVOKE,
        "Resource": bench.arn(name),
        "Condition": {
            "StringEquals": {"AWS:SourceAccount": bench.cloud.account_id},
            "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::my-bucket"},
        },
    }
    assert json.loads(added["Statement"]) == statement
    found = bench.client.get_policy(FunctionName=name)
    assert json.loads(found["Policy"]) == {"Version": "2012-10-17", "Id": "default", "Statement": [statement]}
    assert found["RevisionId"] == bench.client.get_function_configuration(FunctionName=name)["RevisionId"]


@pytest.mark.parametrize(
    ("given", "principal", "condition"),
    [
        ({"Principal": "210987654321"}, {"AWS": "arn:aws:iam::210987654321:root"}, None),
        (
            {"Principal": "arn:aws:iam::210987654321:role/theirs"},
            {"AWS": "arn:aws:iam::210987654321:role/theirs"},
            None,
        ),
        (
            {"Principal": "*", "PrincipalOrgID": "o-1234567890"},
            "*",
            {"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}},
        ),
        (
            {"Principal": "*", "Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE"},
            "*",
            {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}},
        ),
        (
            {"Principal": "*", "InvokedViaFunctionUrl": True},
            "*",
            {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}},
        ),
    ],
    ids=["account", "role", "organisation", "url", "via-url"],
)
def test_principals_and_conditions(
    bench: Bench, name: str, given: dict[str, Any], principal: Any, condition: Any
) -> None:
    added = bench.client.add_permission(**{"FunctionName": name, "StatementId": "s", "Action": INVOKE, **given})
    statement = json.loads(added["Statement"])
    assert statement["Principal"] == principal
    assert statement.get("Condition") == condition


def test_what_makes_no_statement_is_refused(bench: Bench, name: str) -> None:
    good = {"FunctionName": name, "StatementId": "s", "Action": INVOKE, "Principal": "s3.amazonaws.com"}
    cases = (
        ({"Principal": "nobody"}, "InvalidParameterValueException", "The provided principal was invalid."),
        ({"StatementId": "not good"}, "ValidationException", "'statementId'"),
        ({"Action": "s3:GetObject"}, "ValidationException", "'action'"),
        ({"FunctionUrlAuthType": "NONE"}, "InvalidParameterValueException", "only supported for"),
        ({"EventSourceToken": "token"}, "InvalidParameterValueException", "Alexa"),
        ({"RevisionId": "stale"}, "PreconditionFailedException", "Call the GetPolicy API"),
        ({"Qualifier": "$LATEST"}, "InvalidParameterValueException", "adding policies for $LATEST"),
        ({"Qualifier": "9"}, "ResourceNotFoundException", f"Function not found: {bench.arn(name, '9')}"),
        ({"FunctionName": "none"}, "ResourceNotFoundException", "Function not found"),
    )
    for changes, code, words in cases:
        found = refusal(bench.client.add_permission, **{**good, **changes})
        assert found[0] == code
        assert words in found[1]
    bench.client.add_permission(**good)
    code, message = refusal(bench.client.add_permission, **good)
    assert (code, message.partition(". ")[0]) == (
        "ResourceConflictException",
        "The statement id (s) provided already exists",
    )


def test_statements_are_removed_one_by_one_and_the_policy_with_the_last(bench: Bench, name: str) -> None:
    assert refusal(bench.client.get_policy, FunctionName=name)[0] == "ResourceNotFoundException"
    for sid in ("one", "two"):
        bench.client.add_permission(FunctionName=name, StatementId=sid, Action=INVOKE, Principal="s3.amazonaws.com")
    before = bench.client.get_policy(FunctionName=name)["RevisionId"]
    removed = bench.client.remove_permission(FunctionName=name, StatementId="one", RevisionId=before)
    assert removed["ResponseMetadata"]["HTTPStatusCode"] == 204
    stale = refusal(bench.client.remove_permission, FunctionName=name, StatementId="two", RevisionId=before)
    assert stale[0] == "PreconditionFailedException"
    missing = refusal(bench.client.remove_permission, FunctionName=name, StatementId="one")
    assert missing == ("ResourceNotFoundException", "Statement one is not found in resource policy.")
    bench.client.remove_permission(FunctionName=name, StatementId="two")
    assert refusal(bench.client.get_policy, FunctionName=name)[0] == "ResourceNotFoundException"
    none = refusal(bench.client.remove_permission, FunctionName=name, StatementId="two")
    assert none == ("ResourceNotFoundException", "No policy is associated with the given resource.")


def test_versions_and_aliases_have_policies_of_their_own(bench: Bench, name: str) -> None:
    bench.client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    for qualifier in ("live", "1"):
        added = bench.client.add_permission(
            FunctionName=name, StatementId="s", Action=INVOKE, Principal="s3.amazonaws.com", Qualifier=qualifier
        )
        assert json.loads(added["Statement"])["Resource"] == bench.arn(name, qualifier)
    alias = bench.client.get_alias(FunctionName=name, Name="live")
    assert bench.client.get_policy(FunctionName=name, Qualifier="live")["RevisionId"] == alias["RevisionId"]
    assert refusal(bench.client.get_policy, FunctionName=name)[0] == "ResourceNotFoundException"
    bench.client.remove_permission(FunctionName=f"{name}:live", StatementId="s")
    assert refusal(bench.client.get_policy, FunctionName=name, Qualifier="live")[0] == "ResourceNotFoundException"
    assert bench.client.get_policy(FunctionName=bench.arn(name, "1"))["Policy"]


def test_a_policy_that_grows_too_long_is_refused(bench: Bench, name: str) -> None:
    with pytest.raises(bench.client.exceptions.PolicyLengthExceededException) as caught:
        for number in range(200):
            bench.client.add_permission(
                FunctionName=name, StatementId=f"s{number}", Action=INVOKE, Principal="s3.amazonaws.com"
            )
    assert "bigger than the limit (20480)" in caught.value.response["Error"]["Message"]


def test_a_policy_lets_a_role_call_what_its_own_policies_do_not(bench: Bench, name: str) -> None:
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": bench.cloud.account_id}, "Action": "sts:AssumeRole"},
        ],
    }
    role = bench.role(unique("caller"), trust)
    keys = bench.cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    client = bench.cloud.client(
        "lambda",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    code, message = refusal(client.invoke, FunctionName=name, Qualifier="1", InvocationType="DryRun")
    assert code == "AccessDeniedException"
    assert f"lambda:InvokeFunction on resource: {bench.arn(name, '1')}" in message
    bench.active(name, Qualifier="1")
    bench.client.add_permission(FunctionName=name, StatementId="r", Action=INVOKE, Principal=role, Qualifier="1")
    assert client.invoke(FunctionName=name, Qualifier="1", InvocationType="DryRun")["StatusCode"] == 204
    assert refusal(client.invoke, FunctionName=name, InvocationType="DryRun")[0] == "AccessDeniedException"
