"""Inline and managed policies, the customer's and AWS's, as boto3 sees them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cloud.test_iam_roles import iam, name  # noqa: F401 (fixtures)
from tests.cloud.test_iam_users import allowing, refusal
from tests.cloud_process import CloudProcess

FULL_ACCESS = "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"
LAMBDA = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"


def document(**statement: Any) -> str:
    """A policy of one statement, changed by `statement`; None removes a member."""
    whole = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*", **statement}
    return json.dumps({"Version": "2012-10-17", "Statement": [{k: v for k, v in whole.items() if v is not None}]})


@pytest.fixture
def arn(iam: Any) -> Iterator[str]:  # noqa: F811
    """A managed policy of this test."""
    made = iam.create_policy(PolicyName=f"policy-{uuid.uuid4().hex[:8]}", PolicyDocument=document())["Policy"]
    yield made["Arn"]
    for version in iam.list_policy_versions(PolicyArn=made["Arn"])["Versions"]:
        if not version["IsDefaultVersion"]:
            iam.delete_policy_version(PolicyArn=made["Arn"], VersionId=version["VersionId"])
    iam.delete_policy(PolicyArn=made["Arn"])


def test_an_inline_policy_comes_back_as_it_went(iam: Any, name: str) -> None:  # noqa: F811
    text = document(Resource=["arn:aws:s3:::b/ü*", "*"])
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=text)
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == ["p"]
    assert iam.get_role_policy(RoleName=name, PolicyName="p")["PolicyDocument"] == json.loads(text)
    iam.delete_role_policy(RoleName=name, PolicyName="p")
    assert refusal(iam.get_role_policy, RoleName=name, PolicyName="p") == (
        "NoSuchEntity",
        404,
        "The role policy with name p cannot be found.",
    )


def test_inline_policies_have_a_size(iam: Any, name: str) -> None:  # noqa: F811
    text = document(Resource=[f"arn:aws:s3:::bucket-{at}/*" for at in range(400)])
    code, status, message = refusal(iam.put_role_policy, RoleName=name, PolicyName="p", PolicyDocument=text)
    assert (code, status) == ("LimitExceeded", 409)
    assert message == f"Maximum policy size of 10240 bytes exceeded for role {name}"
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json", "Syntax errors in policy."),
        ('{"Version": "2012-10-17", "Version": "2012-10-17", "Statement": []}', "Syntax errors in policy."),
        (document(Extra="x"), "Syntax errors in policy."),
        (document(Principal="*"), "Policy document should not specify a principal."),
        (document(Action=None), "Policy statement must contain actions."),
        (document(Resource=None), "Policy statement must contain resources."),
        (
            document(Action="GetObject"),
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        ),
        (document(Action="a b:c"), "Vendor a b is not valid"),
        (document(Resource="my-bucket"), 'Resource my-bucket must be in ARN format or "*".'),
        (document(Resource="arn:aws:s3"), "The policy failed legacy parsing"),
        (
            document(Resource="arn:aws:s3:us-east-1::b"),
            "Resource arn:aws:s3:us-east-1::b can not contain region information.",
        ),
        (document(Resource="arn:aws:*:::x"), "Resource vendor must be fully qualified and cannot contain regexes."),
        (document(Condition={"Equals": {"aws:x": "y"}}), "Invalid Condition type : Equals."),
    ],
)
def test_a_malformed_policy_is_refused(iam: Any, text: str, message: str) -> None:  # noqa: F811
    assert refusal(iam.create_policy, PolicyName="never-made", PolicyDocument=text) == (
        "MalformedPolicyDocument",
        400,
        message,
    )


def test_sids_are_unique(iam: Any) -> None:  # noqa: F811
    statement = {"Sid": "one", "Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement, statement]})
    assert refusal(iam.create_policy, PolicyName="never-made", PolicyDocument=text)[2] == (
        "Statement IDs (SID) in a single policy must be unique."
    )


class TestVersions:
    def test_the_default_version_counts(self, iam: Any, arn: str) -> None:  # noqa: F811
        text = document(Action="s3:PutObject")
        made = iam.create_policy_version(PolicyArn=arn, PolicyDocument=text, SetAsDefault=True)["PolicyVersion"]
        assert (made["VersionId"], made["IsDefaultVersion"]) == ("v2", True)
        policy = iam.get_policy(PolicyArn=arn)["Policy"]
        assert policy["DefaultVersionId"] == "v2"
        version = iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]
        assert version["Document"] == json.loads(text)
        iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
        listed = iam.list_policy_versions(PolicyArn=arn)["Versions"]
        assert [(each["VersionId"], each["IsDefaultVersion"]) for each in listed] == [("v2", False), ("v1", True)]

    def test_there_are_five_and_numbers_are_not_used_again(self, iam: Any, arn: str) -> None:  # noqa: F811
        for _ in range(4):
            iam.create_policy_version(PolicyArn=arn, PolicyDocument=document())
        code, status, _ = refusal(iam.create_policy_version, PolicyArn=arn, PolicyDocument=document())
        assert (code, status) == ("LimitExceeded", 409)
        iam.delete_policy_version(PolicyArn=arn, VersionId="v5")
        made = iam.create_policy_version(PolicyArn=arn, PolicyDocument=document())["PolicyVersion"]
        assert made["VersionId"] == "v6"

    def test_the_default_version_stays(self, iam: Any, arn: str) -> None:  # noqa: F811
        assert refusal(iam.delete_policy_version, PolicyArn=arn, VersionId="v1") == (
            "DeleteConflict",
            409,
            "Cannot delete the default version of a policy.",
        )


def test_an_attached_policy_cannot_be_deleted(iam: Any, name: str, arn: str) -> None:  # noqa: F811
    iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
    (role,) = iam.list_entities_for_policy(PolicyArn=arn)["PolicyRoles"]
    assert role["RoleName"] == name
    assert refusal(iam.delete_policy, PolicyArn=arn)[:2] == ("DeleteConflict", 409)
    iam.detach_role_policy(RoleName=name, PolicyArn=arn)
    assert refusal(iam.detach_role_policy, RoleName=name, PolicyArn=arn)[0] == "NoSuchEntity"


class TestAwsManaged:
    def test_attaching_needs_nothing_first(self, iam: Any, name: str) -> None:  # noqa: F811
        iam.attach_role_policy(RoleName=name, PolicyArn=FULL_ACCESS)
        iam.attach_role_policy(RoleName=name, PolicyArn=LAMBDA)
        attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        assert {each["PolicyName"] for each in attached} == {
            "AmazonSageMakerFullAccess",
            "AWSLambdaBasicExecutionRole",
        }
        under = iam.list_attached_role_policies(RoleName=name, PathPrefix="/service-role/")["AttachedPolicies"]
        assert [each["PolicyArn"] for each in under] == [LAMBDA]

    def test_the_document_is_awss(self, iam: Any) -> None:  # noqa: F811
        policy = iam.get_policy(PolicyArn=FULL_ACCESS)["Policy"]
        assert policy["Arn"] == FULL_ACCESS
        version = iam.get_policy_version(PolicyArn=FULL_ACCESS, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
        actions = json.dumps(version["Document"])
        assert "sagemaker:*" in actions
        assert version["IsDefaultVersion"]

    @pytest.mark.parametrize("arn", ["arn:aws:iam::aws:policy/NoSuch", LAMBDA.replace("/service-role", "")])
    def test_one_that_aws_has_not_is_refused(self, iam: Any, name: str, arn: str) -> None:  # noqa: F811
        assert refusal(iam.attach_role_policy, RoleName=name, PolicyArn=arn) == (
            "NoSuchEntity",
            404,
            f"Policy {arn} does not exist or is not attachable.",
        )

    def test_a_service_linked_one_is_not_attachable(self, iam: Any, name: str) -> None:  # noqa: F811
        arn = "arn:aws:iam::aws:policy/aws-service-role/AWSApplicationAutoscalingSageMakerEndpointPolicy"
        assert refusal(iam.attach_role_policy, RoleName=name, PolicyArn=arn)[0] == "PolicyNotAttachable"

    def test_all_are_listed(self, iam: Any, arn: str) -> None:  # noqa: F811
        pages = iam.get_paginator("list_policies").paginate(Scope="AWS", PaginationConfig={"PageSize": 1000})
        names = [policy["PolicyName"] for page in pages for policy in page["Policies"]]
        assert len(names) == len(set(names)) > 1000
        local = iam.list_policies(Scope="Local")["Policies"]
        assert arn in [policy["Arn"] for policy in local]


def test_policies_survive_kill_9(own_cloud: CloudProcess) -> None:
    iam = own_cloud.client("iam")  # noqa: F811
    allowed = allowing(["iam:GetUser", "iam:ListAttachedUserPolicies"])
    made = iam.create_policy(PolicyName="kept", PolicyDocument=allowed)["Policy"]
    iam.create_user(UserName="kept")
    key = iam.create_access_key(UserName="kept")["AccessKey"]
    iam.attach_user_policy(UserName="kept", PolicyArn=made["Arn"])
    own_cloud.restart(kill=True)
    user = own_cloud.client("iam", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    assert user.get_user()["User"]["UserName"] == "kept"
    attached = user.list_attached_user_policies(UserName="kept")["AttachedPolicies"]
    assert [policy["PolicyArn"] for policy in attached] == [made["Arn"]]
