"""Findings about real roles, buckets, functions and keys of a running cloud, each with its evidence and a way out."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from sagehound.errors import StepFailed
from sagehound.pipeline.bucket import BLOCKS
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.names import Names
from sagehound.pipeline.secure.buckets import check_bucket
from sagehound.pipeline.secure.escalation import WAYS, check_escalation
from sagehound.pipeline.secure.findings import SEVERITIES, Finding, in_order
from sagehound.pipeline.secure.functions import check_function, project_functions
from sagehound.pipeline.secure.gathering import Role, managed_policy_arn, read_role
from sagehound.pipeline.secure.grants import check_policy
from sagehound.pipeline.secure.keys import check_keys
from sagehound.pipeline.secure.results import Findings
from sagehound.pipeline.secure.statements import Policy
from sagehound.pipeline.secure.trust import check_trust, tightened

SAGEMAKER = {"Service": "sagemaker.amazonaws.com"}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trusting(principal: Any, condition: dict[str, Any] | None = None) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return {**statement, "Condition": condition} if condition else statement


def make_role(clients: Clients, name: str, *statements: dict[str, Any], trust: Iterable[dict[str, Any]] = ()) -> Role:
    clients.iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(*(trust or [trusting(SAGEMAKER)])))
    if statements:
        clients.iam.put_role_policy(RoleName=name, PolicyName="given", PolicyDocument=document(*statements))
    found = read_role(clients.iam, name)
    assert found is not None
    return found


def by_code(findings: Iterable[Finding]) -> dict[str, Finding]:
    return {finding.code: finding for finding in findings}


def test_the_usual_choice_is_found(clients: Clients, names: Names) -> None:
    make_role(clients, names.function_role)
    arn = managed_policy_arn(clients.iam, "AmazonSageMakerFullAccess", "secure")
    assert arn == "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"
    assert managed_policy_arn(clients.iam, arn, "secure") == arn
    with pytest.raises(StepFailed, match="no managed policy SageMakerFullAccess"):
        managed_policy_arn(clients.iam, "SageMakerFullAccess", "secure")
    clients.iam.attach_role_policy(RoleName=names.function_role, PolicyArn=arn)
    role = read_role(clients.iam, names.function_role)
    assert role is not None
    found = by_code(finding for policy in role.policies for finding in check_policy(role, policy))
    assert {code: one.severity for code, one in found.items()} == {
        "full-access-policy": "HIGH",
        "allow-by-exclusion": "HIGH",
        "action-wildcard": "HIGH",
        "resource-wildcard": "HIGH",
        "pass-role": "HIGH",
    }
    evidence = found["action-wildcard"].evidence
    assert "AllowAllNonAdminSageMakerActions" in [part["statement"] for part in evidence]
    assert all(
        (finding.why and "--apply" in finding.way_out) or "PassedToService" in finding.way_out
        for finding in found.values()
    )
    (escalation,) = check_escalation(role, lambda _: False)
    assert "iam:PassRole + sagemaker:CreateTrainingJob" in escalation.what
    assert {part["policy"] for part in escalation.evidence} == {"AmazonSageMakerFullAccess"}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "+".join(way.actions))
def test_every_way_to_more_is_found_and_closed_by_naming_a_resource(way: Any) -> None:
    actions = list(way.actions)
    wide = _holding({"Effect": "Allow", "Action": actions, "Resource": "*"})
    assert way.leads_to in " ".join(finding.what for finding in check_escalation(wide, lambda _: False))
    named = _holding({"Effect": "Allow", "Action": actions, "Resource": "arn:aws:iam::123456789012:role/one"})
    assert list(check_escalation(named, lambda _: False)) == []
    half = _holding({"Effect": "Allow", "Action": actions[:-1] or ["s3:GetObject"], "Resource": "*"})
    assert way.actions not in [tuple(part["action"] for part in one.evidence) for one in check_escalation(half, bool)]


def _holding(statement: dict[str, Any]) -> Role:
    policy = Policy("given", {"Version": "2012-10-17", "Statement": [statement]})
    return Role("r", "arn:aws:iam::123456789012:role/r", datetime.now(UTC), None, {}, {}, (policy,), False)


@pytest.mark.parametrize(
    ("principal", "condition", "severity"),
    [
        ({"AWS": "*"}, None, "CRITICAL"),
        ("*", None, "CRITICAL"),
        ("*", {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}, None),
        ({"AWS": "arn:aws:iam::123456789012:root"}, None, "MEDIUM"),
        ({"AWS": "123456789012"}, None, "MEDIUM"),
        ({"AWS": "arn:aws:iam::123456789012:root"}, {"StringEquals": {"sts:ExternalId": "x"}}, None),
        ({"AWS": "arn:aws:iam::999999999999:root"}, None, "HIGH"),
        ({"AWS": "arn:aws:iam::999999999999:root"}, {"StringEquals": {"sts:ExternalId": "x"}}, None),
        (SAGEMAKER, None, "MEDIUM"),
        (SAGEMAKER, {"StringEquals": {"aws:SourceAccount": "123456789012"}}, None),
        (SAGEMAKER, {"ArnLike": {"AWS:SourceArn": "arn:aws:sagemaker:*:123456789012:*"}}, None),
        ({"Service": "lambda.amazonaws.com"}, None, None),
    ],
)
def test_who_may_become_the_role(
    clients: Clients, names: Names, principal: Any, condition: Any, severity: str | None
) -> None:
    role = make_role(clients, names.function_role, trust=[trusting(principal, condition)])
    found = list(check_trust(role, "123456789012"))
    assert [finding.severity for finding in found] == ([severity] if severity else [])
    clients.iam.delete_role(RoleName=names.function_role)


def test_trust_is_tightened_for_services_that_say_for_whom_they_work(clients: Clients, names: Names) -> None:
    both = {"Service": ["sagemaker.amazonaws.com", "lambda.amazonaws.com"]}
    role = make_role(clients, names.function_role, trust=[trusting(both)])
    tight = tightened(role, "123456789012")
    assert tight["Statement"] == [
        trusting({"Service": "lambda.amazonaws.com"}),
        trusting(SAGEMAKER, {"StringEquals": {"aws:SourceAccount": "123456789012"}}),
    ]
    clients.iam.update_assume_role_policy(RoleName=role.name, PolicyDocument=json.dumps(tight))
    again = read_role(clients.iam, role.name)
    assert again is not None
    assert list(check_trust(again, "123456789012")) == []
    assert tightened(again, "123456789012") == tight


def test_a_closed_bucket_has_no_findings_and_each_opening_is_one(clients: Clients, names: Names) -> None:
    s3, bucket = clients.s3, names.bucket
    assert list(check_bucket(s3, bucket)) == []  # there is none yet
    s3.create_bucket(Bucket=bucket)
    assert list(check_bucket(s3, bucket)) == []  # a new bucket is closed, as on AWS
    block = dict.fromkeys(BLOCKS, True)
    s3.put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration={**block, "BlockPublicPolicy": False, "BlockPublicAcls": False}
    )
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(everybody))
    found = by_code(check_bucket(s3, bucket))
    assert found["public-access-not-blocked"].what == "Block Public Access is off: BlockPublicAcls, BlockPublicPolicy"
    assert found["public-bucket-policy"].severity == "HIGH"  # RestrictPublicBuckets still holds it back
    s3.delete_public_access_block(Bucket=bucket)
    assert by_code(check_bucket(s3, bucket))["public-bucket-policy"].severity == "CRITICAL"
    only_ours = {**everybody, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(only_ours))
    assert by_code(check_bucket(s3, bucket)).keys() == {"public-access-not-blocked"}


def test_the_way_out_of_an_open_bucket_works_as_it_is_written(clients: Clients, names: Names) -> None:
    clients.s3.create_bucket(Bucket=names.bucket)
    clients.s3.delete_public_access_block(Bucket=names.bucket)
    (finding,) = check_bucket(clients.s3, names.bucket)
    words = finding.way_out.partition("`")[2].rstrip("`.").split()
    pairs = dict(pair.split("=") for pair in words[words.index("--public-access-block-configuration") + 1].split(","))
    given = {name: value == "true" for name, value in pairs.items()}
    clients.s3.put_public_access_block(Bucket=words[words.index("--bucket") + 1], PublicAccessBlockConfiguration=given)
    assert list(check_bucket(clients.s3, names.bucket)) == []


def make_function(clients: Clients, name: str, role: str, **more: Any) -> str:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("handler.py", "def answer(event, context):\n    return event\n")
    answer = clients.lambda_.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Handler="handler.answer",
        Role=role,
        Code={"ZipFile": content.getvalue()},
        **more,
    )
    return str(answer["FunctionArn"])


def test_doors_of_a_function(clients: Clients, names: Names) -> None:
    role = make_role(clients, names.function_role, trust=[trusting({"Service": "lambda.amazonaws.com"})])
    name = names.function
    assert list(check_function(clients.lambda_, name)) == []  # there is none yet
    make_function(
        clients,
        name,
        role.arn,
        Publish=True,
        Environment={
            "Variables": {"ENDPOINT_NAME": "dogs", "SECRET_ARN": "arn:aws:secretsmanager:us-east-1:1:secret:x"}
        },
    )
    assert list(check_function(clients.lambda_, name)) == []
    assert project_functions(clients.lambda_, names.tags[0], name) == [(name, role.arn)]
    clients.lambda_.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    clients.lambda_.update_function_configuration(
        FunctionName=name,
        Environment={
            "Variables": {"API_KEY": "0123456789abcdef", "DB": "postgres://me:hidden@db/x", "MAX_TOKENS": "9"}
        },
    )
    (secret,) = check_function(clients.lambda_, name)
    assert (secret.code, secret.severity) == ("secret-in-environment", "HIGH")
    assert secret.evidence[0]["variables"] == ["API_KEY", "DB"]
    assert "hidden" not in json.dumps(secret.as_dict())
    clients.lambda_.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    clients.lambda_.update_function_configuration(FunctionName=name, Environment={"Variables": {}})
    for auth, codes in (("AWS_IAM", set()), ("NONE", {"open-function-url"})):
        change = clients.lambda_.create_function_url_config if auth == "AWS_IAM" else None
        change = change or clients.lambda_.update_function_url_config
        change(FunctionName=name, AuthType=auth)
        assert by_code(check_function(clients.lambda_, name)).keys() == codes
    clients.lambda_.delete_function_url_config(FunctionName=name)
    allow = {"FunctionName": name, "Action": "lambda:InvokeFunction"}
    clients.lambda_.add_permission(**allow, StatementId="all", Principal="*")
    clients.lambda_.add_permission(**allow, StatementId="events", Principal="events.amazonaws.com", Qualifier="1")
    found = list(check_function(clients.lambda_, name))
    assert [(one.severity, one.evidence[0]["statement"]) for one in found] == [
        ("CRITICAL", "all"),
        ("MEDIUM", "events"),
    ]
    assert f"remove-permission --function-name {name} --statement-id events --qualifier 1" in found[1].way_out


def test_a_key_that_does_not_expire(clients: Clients, names: Names) -> None:
    user = names.function
    clients.iam.create_user(UserName=user)
    mine = [finding for finding in check_keys(clients.iam, root_has_keys=True) if finding.where == f"user {user}"]
    assert mine == []
    key = clients.iam.create_access_key(UserName=user)["AccessKey"]["AccessKeyId"]
    (found,) = [finding for finding in check_keys(clients.iam, root_has_keys=True) if finding.where == f"user {user}"]
    assert found.severity == "LOW"
    assert found.what.endswith("is 0 days old, never used")
    assert key not in found.what
    clients.iam.update_access_key(UserName=user, AccessKeyId=key, Status="Inactive")
    assert [one for one in check_keys(clients.iam, root_has_keys=True) if one.where == f"user {user}"] == []


def test_the_table_has_the_severest_first() -> None:
    def finding(severity: str, where: str, why: str) -> Finding:
        return Finding(severity, "code", where, "is too wide", why, "narrow it")

    found = [
        finding("HIGH", "role b", "one"),
        finding("CRITICAL", "role a", "one"),
        finding("CRITICAL", "role c", "two"),
    ]
    lines = Findings(in_order(found), roles=[], looked_at=[]).lines()
    severities = [line.split()[0] for line in lines if line.startswith(SEVERITIES)]
    assert severities == ["CRITICAL", "CRITICAL", "HIGH"]
