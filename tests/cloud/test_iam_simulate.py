"""Simulated policies, as boto3 and the aws CLI ask for them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cloud.test_iam_roles import iam, name  # noqa: F401 (fixtures)
from tests.cloud.test_iam_users import allowing, refusal
from tests.cloud_process import CloudProcess

FULL_ACCESS = "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"
SDK_ASKS = [
    "cloudwatch:PutMetricData",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "ecr:GetAuthorizationToken",
    "ec2:CreateNetworkInterface",
]


def custom(iam: Any, policies: list[str], actions: list[str], **more: Any) -> list[dict[str, Any]]:  # noqa: F811
    """EvaluationResults of SimulateCustomPolicy."""
    answer = iam.simulate_custom_policy(PolicyInputList=policies, ActionNames=actions, **more)
    assert answer["IsTruncated"] is False
    results: list[dict[str, Any]] = answer["EvaluationResults"]
    return results


def decision(iam: Any, policies: list[str], action: str, **more: Any) -> str:  # noqa: F811
    """The one decision."""
    (result,) = custom(iam, policies, [action], **more)
    found: str = result["EvalDecision"]
    return found


def entry(key: str, *values: str, kind: str = "string") -> dict[str, Any]:
    """A context entry."""
    return {"ContextKeyName": key, "ContextKeyValues": list(values), "ContextKeyType": kind}


def test_the_example_of_the_aws_cli(iam: Any) -> None:  # noqa: F811
    policy = (
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*",'
        '"Condition":{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}'
    )
    later = entry("aws:CurrentTime", "2019-04-25T11:00:00Z", kind="date")
    (result,) = custom(iam, [policy], ["dynamodb:CreateBackup"], ContextEntries=[later])
    assert result == {
        "EvalActionName": "dynamodb:CreateBackup",
        "EvalResourceName": "*",
        "EvalDecision": "allowed",
        "MatchedStatements": [
            {
                "SourcePolicyId": "PolicyInputList.1",
                "SourcePolicyType": "none",
                "StartPosition": {"Line": 1, "Column": 38},
                "EndPosition": {"Line": 1, "Column": 167},
            }
        ],
        "MissingContextValues": [],
    }
    earlier = entry("aws:CurrentTime", "2014-04-25T11:00:00Z", kind="date")
    (result,) = custom(iam, [policy], ["dynamodb:CreateBackup"], ContextEntries=[earlier])
    assert (result["EvalDecision"], result["MatchedStatements"]) == ("implicitDeny", [])
    (result,) = custom(iam, [policy], ["dynamodb:CreateBackup"])
    assert (result["EvalDecision"], result["MissingContextValues"]) == ("implicitDeny", ["aws:CurrentTime"])


def test_a_deny_is_the_only_statement_named(iam: Any) -> None:  # noqa: F811
    allow = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    deny = {"Effect": "Deny", "Action": "s3:DeleteBucket", "Resource": "*"}
    both = json.dumps({"Version": "2012-10-17", "Statement": [allow, deny]})
    results = custom(iam, [both, allowing("s3:DeleteBucket")], ["s3:DeleteBucket", "s3:GetObject", "sqs:SendMessage"])
    assert [result["EvalDecision"] for result in results] == ["explicitDeny", "allowed", "implicitDeny"]
    (only,) = results[0]["MatchedStatements"]
    assert both[only["StartPosition"]["Column"] - 1 : only["EndPosition"]["Column"] - 1] == ", " + json.dumps(deny)


def test_one_result_an_action_and_each_resource_inside(iam: Any) -> None:  # noqa: F811
    policy = allowing("s3:GetObject", "arn:aws:s3:::dogs/*")
    resources = ["arn:aws:s3:::dogs/a", "arn:aws:s3:::cats/a"]
    (result,) = custom(iam, [policy], ["s3:GetObject"], ResourceArns=resources)
    assert result["EvalResourceName"] == "arn:${Partition}:s3:::${BucketName}/${ObjectName}"
    assert result["EvalDecision"] == "implicitDeny"
    found = {one["EvalResourceName"]: one["EvalResourceDecision"] for one in result["ResourceSpecificResults"]}
    assert found == {"arn:aws:s3:::dogs/a": "allowed", "arn:aws:s3:::cats/a": "implicitDeny"}
    assert [len(one["MatchedStatements"]) for one in result["ResourceSpecificResults"]] == [1, 0]
    (result,) = custom(iam, [policy], ["nobody:Knows"], ResourceArns=resources[:1])
    assert result["EvalResourceName"] == "*"


def test_missing_values_are_those_of_statements_about_the_resource(iam: Any) -> None:  # noqa: F811
    home = allowing("s3:*", "arn:aws:s3:::dogs/${aws:username}/*", Condition={"Bool": {"aws:SecureTransport": "true"}})
    other = allowing("sqs:*", Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}})
    arn = "arn:aws:s3:::dogs/alice/x"
    (result,) = custom(iam, [home, other], ["s3:GetObject"], ResourceArns=[arn])
    assert result["MissingContextValues"] == ["aws:username"]
    known = [entry("aws:username", "alice")]
    (result,) = custom(iam, [home, other], ["s3:GetObject"], ResourceArns=[arn], ContextEntries=known)
    assert result["ResourceSpecificResults"][0]["MissingContextValues"] == ["aws:SecureTransport"]
    known.append(entry("aws:SecureTransport", "true", kind="boolean"))
    assert decision(iam, [home], "s3:GetObject", ResourceArns=[arn], ContextEntries=known) == "allowed"


def test_lists_of_values_are_lists(iam: Any) -> None:  # noqa: F811
    policy = allowing("iam:TagRole", Condition={"ForAllValues:StringEquals": {"aws:TagKeys": ["team", "cost"]}})
    for keys, expected in ((("team", "cost"), "allowed"), (("team", "x"), "implicitDeny")):
        entries = [entry("aws:TagKeys", *keys, kind="stringList")]
        assert decision(iam, [policy], "iam:TagRole", ContextEntries=entries) == expected


def test_a_boundary_limits_and_is_told(iam: Any) -> None:  # noqa: F811
    more: dict[str, Any] = {"PermissionsBoundaryPolicyInputList": [allowing("s3:Get*")]}
    results = custom(iam, [allowing("s3:*")], ["s3:GetObject", "s3:PutObject"], **more)
    assert [result["EvalDecision"] for result in results] == ["allowed", "implicitDeny"]
    detail = [result["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"] for result in results]
    assert detail == [True, False]
    assert [one["SourcePolicyId"] for one in results[0]["MatchedStatements"]] == ["PolicyInputList.1"]


def test_a_resource_policy_and_its_caller(iam: Any, cloud: CloudProcess) -> None:  # noqa: F811
    alice = f"arn:aws:iam::{cloud.account_id}:user/alice"
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Principal": {"AWS": alice}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    asked: dict[str, Any] = {"ResourceArns": ["arn:aws:s3:::b/k"], "ResourcePolicy": policy}
    (result,) = custom(iam, [allowing("sqs:*")], ["s3:GetObject"], CallerArn=alice, **asked)
    assert result["EvalDecision"] == "allowed"
    assert [one["SourcePolicyType"] for one in result["MatchedStatements"]] == ["resource"]
    assert decision(iam, [allowing("sqs:*")], "s3:GetObject", CallerArn=alice + "2", **asked) == "implicitDeny"
    elsewhere = {**asked, "ResourceOwner": "arn:aws:iam::999999999999:root", "CallerArn": alice}
    assert decision(iam, [allowing("sqs:*")], "s3:GetObject", **elsewhere) == "implicitDeny"
    assert decision(iam, [allowing("s3:*")], "s3:GetObject", **elsewhere) == "allowed"


def test_results_come_in_pages(iam: Any) -> None:  # noqa: F811
    actions = [f"s3:Action{number}" for number in range(25)]
    pages = iam.get_paginator("simulate_custom_policy").paginate(
        PolicyInputList=[allowing("s3:*")], ActionNames=actions, PaginationConfig={"PageSize": 10}
    )
    found = [[result["EvalActionName"] for result in page["EvaluationResults"]] for page in pages]
    assert found == [actions[:10], actions[10:20], actions[20:]]


def test_the_policies_of_a_role(iam: Any, name: str, cloud: CloudProcess) -> None:  # noqa: F811
    arn = f"arn:aws:iam::{cloud.account_id}:role/{name}"

    def simulate(action: str, **more: Any) -> dict[str, Any]:
        answer = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=[action], **more)
        result: dict[str, Any] = answer["EvaluationResults"][0]
        return result

    assert simulate("sagemaker:CreateModel")["EvalDecision"] == "implicitDeny"
    iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=allowing("sagemaker:Create*"))
    (found,) = simulate("sagemaker:CreateModel")["MatchedStatements"]
    assert (found["SourcePolicyId"], found["SourcePolicyType"]) == ("inline", "role")
    iam.attach_role_policy(RoleName=name, PolicyArn=FULL_ACCESS)
    kinds = [one["SourcePolicyType"] for one in simulate("sagemaker:CreateModel")["MatchedStatements"]]
    assert kinds == ["role", "aws-managed"]
    assert simulate("iam:CreateUser")["EvalDecision"] == "implicitDeny"
    assert simulate("iam:CreateUser", PolicyInputList=[allowing("iam:*")])["EvalDecision"] == "allowed"
    version = iam.get_policy(PolicyArn=FULL_ACCESS)["Policy"]["DefaultVersionId"]
    (_, found) = simulate("sagemaker:CreateModel")["MatchedStatements"]
    assert found["SourcePolicyId"] == "AmazonSageMakerFullAccess"
    assert found["StartPosition"]["Line"] > 1, f"{version} is shown over several lines"
    without = [{"PolicyArn": "arn:aws:iam::aws:policy/AmazonSage*"}]
    kinds = [
        one["SourcePolicyType"]
        for one in simulate("sagemaker:CreateModel", PolicyExclusionList=without)["MatchedStatements"]
    ]
    assert kinds == ["role"]
    inline = {"PolicyName": "inline", "AttachmentType": "role", "AttachmentName": name}
    without.append({"InlinePolicyIdentifier": inline})  # type: ignore[dict-item]
    assert simulate("sagemaker:CreateModel", PolicyExclusionList=without)["EvalDecision"] == "implicitDeny"


def test_the_boundary_of_a_role(iam: Any, name: str, cloud: CloudProcess) -> None:  # noqa: F811
    arn = f"arn:aws:iam::{cloud.account_id}:role/{name}"
    iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=allowing("*"))
    iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=FULL_ACCESS)
    asked: dict[str, Any] = {"PolicySourceArn": arn, "ActionNames": ["iam:CreateUser"]}
    (result,) = iam.simulate_principal_policy(**asked)["EvaluationResults"]
    assert result["EvalDecision"] == "implicitDeny"
    assert result["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}
    without = [{"PolicyType": "permission-boundary"}]
    (result,) = iam.simulate_principal_policy(**asked, PolicyExclusionList=without)["EvaluationResults"]
    assert result["EvalDecision"] == "allowed"
    iam.delete_role_permissions_boundary(RoleName=name)


def test_what_the_sagemaker_sdk_asks_before_it_trains(iam: Any, name: str, cloud: CloudProcess) -> None:  # noqa: F811
    iam.attach_role_policy(RoleName=name, PolicyArn=FULL_ACCESS)
    arn = f"arn:aws:iam::{cloud.account_id}:role/{name}"
    answer = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=SDK_ASKS, ResourceArns=["*"])
    found = {result["EvalActionName"]: result["EvalDecision"] for result in answer["EvaluationResults"]}
    assert found == dict.fromkeys(SDK_ASKS, "allowed")
    assert all("ResourceSpecificResults" not in result for result in answer["EvaluationResults"])


def test_context_keys(iam: Any, name: str, cloud: CloudProcess) -> None:  # noqa: F811
    policy = allowing(
        "s3:*", "arn:aws:s3:::b/${aws:username}/*", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    )
    asked = iam.get_context_keys_for_custom_policy(PolicyInputList=[policy])
    assert sorted(asked["ContextKeyNames"]) == ["aws:SourceIp", "aws:username"]
    held = allowing("s3:*", Condition={"StringEquals": {"aws:sourceip": "x", "aws:PrincipalTag/team": "ml"}})
    iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=held)
    arn = f"arn:aws:iam::{cloud.account_id}:role/{name}"
    found = iam.get_context_keys_for_principal_policy(PolicySourceArn=arn, PolicyInputList=[policy])
    assert sorted(found["ContextKeyNames"]) == ["aws:PrincipalTag/team", "aws:sourceip", "aws:username"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ActionNames": ["GetObject"]}, "Invalid action name: GetObject"),
        ({"ActionNames": ["s3:*"]}, "Invalid action name: s3:*"),
        ({"PolicyInputList": ["{}"]}, "PolicyInputList.1: Missing required field Statement"),
        ({"PolicyInputList": [allowing("s3:*"), "{"]}, "PolicyInputList.2: Syntax errors in policy."),
        ({"PermissionsBoundaryPolicyInputList": [allowing("s3:*")] * 2}, "You can input only one permissions boundary"),
        ({"ResourcePolicy": allowing("s3:*")}, "ResourcePolicy: Missing required field Principal"),
        ({"ResourcePolicy": "{}", "CallerArn": "arn:aws:iam::123456789012:user/a"}, "ResourcePolicy: "),
        ({"CallerArn": "arn:aws:sts::123456789012:assumed-role/r/s"}, "Invalid CallerArn: "),
        ({"CallerArn": "arn:aws:iam::123456789012:root"}, "Invalid CallerArn: "),
        ({"OrderedOrganizationPolicyInputList": [{"ServiceControlPolicyInputList": ["{}"]}]}, "OrderedOrganization"),
    ],
)
def test_what_is_no_simulation(iam: Any, changed: dict[str, Any], message: str) -> None:  # noqa: F811
    asked = {"PolicyInputList": [allowing("s3:*")], "ActionNames": ["s3:GetObject"], **changed}
    code, status, said = refusal(iam.simulate_custom_policy, **asked)
    assert (code, status) == ("InvalidInput", 400)
    assert said.startswith(message)


def test_a_resource_policy_needs_a_caller(iam: Any) -> None:  # noqa: F811
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    asked = {"PolicyInputList": [allowing("s3:*")], "ActionNames": ["s3:GetObject"], "ResourcePolicy": policy}
    assert refusal(iam.simulate_custom_policy, **asked)[0] == "InvalidInput"


def test_whose_policies(iam: Any, cloud: CloudProcess) -> None:  # noqa: F811
    start = f"arn:aws:iam::{cloud.account_id}:"
    for arn, code in (
        (start + "role/nobody-at-all", "NoSuchEntity"),
        (start + "user/nobody-at-all", "NoSuchEntity"),
        (start + "root", "InvalidInput"),
        (f"arn:aws:sts::{cloud.account_id}:assumed-role/r/s", "InvalidInput"),
    ):
        assert refusal(iam.simulate_principal_policy, PolicySourceArn=arn, ActionNames=["s3:GetObject"])[0] == code
        assert refusal(iam.get_context_keys_for_principal_policy, PolicySourceArn=arn)[0] == code
