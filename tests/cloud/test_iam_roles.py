"""Roles, their trust policies and instance profiles, as boto3 sees them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cloud.test_iam_users import refusal
from tests.cloud_process import CloudProcess

SAGEMAKER = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@pytest.fixture
def iam(cloud: CloudProcess) -> Any:
    return cloud.client("iam")


@pytest.fixture
def name(iam: Any) -> Iterator[str]:
    """A role of this test, with all that hangs on it removed afterwards."""
    name = f"role-{uuid.uuid4().hex[:8]}"
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(SAGEMAKER), Description="of a test")
    yield name
    for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)


def test_a_role_has_what_aws_gives_it(iam: Any, name: str, cloud: CloudProcess) -> None:
    role = iam.get_role(RoleName=name)["Role"]
    assert role["Arn"] == f"arn:aws:iam::{cloud.account_id}:role/{name}"
    assert role["RoleId"].startswith("AROA")
    assert role["AssumeRolePolicyDocument"] == SAGEMAKER
    assert role["MaxSessionDuration"] == 3600
    assert role["RoleLastUsed"] == {}


def test_the_trust_policy_is_percent_encoded_on_the_wire(iam: Any, name: str) -> None:
    seen: list[bytes] = []
    iam.meta.events.register("after-call.iam.GetRole", lambda http_response, **_: seen.append(http_response.content))
    iam.get_role(RoleName=name)
    assert b"%7B%22Version%22%3A%20%222012-10-17%22" in seen[0]


def test_a_missing_role_is_named(iam: Any) -> None:
    assert refusal(iam.get_role, RoleName="nobody") == (
        "NoSuchEntity",
        404,
        "The role with name nobody cannot be found.",
    )


def test_roles_are_listed_by_path_without_tags(iam: Any) -> None:
    name, path = f"role-{uuid.uuid4().hex[:8]}", f"/{uuid.uuid4().hex[:8]}/"
    document = json.dumps(SAGEMAKER)
    tags = [{"Key": "a", "Value": "b"}]
    iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=document, Tags=tags)
    (listed,) = iam.list_roles(PathPrefix=path)["Roles"]
    assert listed["Arn"].endswith(f":role{path}{name}")
    assert "Tags" not in listed
    assert iam.get_role(RoleName=name)["Role"]["Tags"] == tags
    iam.delete_role(RoleName=name)


def test_a_role_is_changed(iam: Any, name: str) -> None:
    iam.update_role(RoleName=name, Description="other", MaxSessionDuration=7200)
    trust = {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    }
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))
    role = iam.get_role(RoleName=name)["Role"]
    assert (role["Description"], role["MaxSessionDuration"]) == ("other", 7200)
    assert role["AssumeRolePolicyDocument"] == trust


def test_a_boundary_is_set_and_removed(iam: Any, name: str) -> None:
    arn = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=arn)
    boundary = iam.get_role(RoleName=name)["Role"]["PermissionsBoundary"]
    assert boundary["PermissionsBoundaryArn"] == arn
    iam.delete_role_permissions_boundary(RoleName=name)
    assert "PermissionsBoundary" not in iam.get_role(RoleName=name)["Role"]


def trust_of(**statement: Any) -> str:
    """A trust policy of one statement, changed by `statement`; None removes a member."""
    whole = {**SAGEMAKER["Statement"][0], **statement}  # type: ignore[dict-item]
    return json.dumps({"Version": "2012-10-17", "Statement": [{k: v for k, v in whole.items() if v is not None}]})


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "Syntax errors in policy."),
        ('{"Version": "2020-01-01", "Statement": []}', "Syntax errors in policy."),
        (trust_of(Resource="*"), "Has prohibited field Resource"),
        (trust_of(Principal=None), "Missing required field Principal"),
        (trust_of(Effect=None), "Missing required field Effect"),
        (trust_of(Effect="Maybe"), "Invalid effect: Maybe"),
        (trust_of(Action="s3:GetObject"), "AssumeRole policy may only specify STS AssumeRole actions."),
        (
            trust_of(Principal={"AWS": "arn:aws:iam::123456789012:user/nobody-at-all"}),
            'Invalid principal in policy: "AWS":"arn:aws:iam::123456789012:user/nobody-at-all"',
        ),
        (trust_of(Principal={"Service": "sagemaker"}), 'Invalid principal in policy: "SERVICE":"sagemaker"'),
        (trust_of(Sid="no good"), None),
        (trust_of(Condition={"StringSounds": {"a:b": "c"}}), "Invalid Condition type : StringSounds."),
    ],
)
def test_a_malformed_trust_policy_is_refused(iam: Any, document: str, message: str | None) -> None:
    code, status, said = refusal(iam.create_role, RoleName="never-made", AssumeRolePolicyDocument=document)
    assert (code, status) == ("MalformedPolicyDocument", 400)
    assert message is None or said == message
    assert refusal(iam.get_role, RoleName="never-made")[0] == "NoSuchEntity"


def test_a_role_with_policies_cannot_be_deleted(iam: Any, name: str) -> None:
    iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AmazonSageMakerFullAccess")
    assert refusal(iam.delete_role, RoleName=name) == (
        "DeleteConflict",
        409,
        "Cannot delete entity, must detach all policies first.",
    )


def test_an_instance_profile_holds_one_role(iam: Any, name: str) -> None:
    profile = f"profile-{uuid.uuid4().hex[:8]}"
    created = iam.create_instance_profile(InstanceProfileName=profile)["InstanceProfile"]
    assert created["InstanceProfileId"].startswith("AIPA")
    assert created["Roles"] == []
    iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=name)
    assert refusal(iam.add_role_to_instance_profile, InstanceProfileName=profile, RoleName=name) == (
        "LimitExceeded",
        409,
        "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1",
    )
    (role,) = iam.get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]["Roles"]
    assert role["RoleName"] == name
    (listed,) = iam.list_instance_profiles_for_role(RoleName=name)["InstanceProfiles"]
    assert listed["InstanceProfileName"] == profile
    assert refusal(iam.delete_role, RoleName=name)[0] == "DeleteConflict"
    assert refusal(iam.delete_instance_profile, InstanceProfileName=profile)[0] == "DeleteConflict"
    iam.remove_role_from_instance_profile(InstanceProfileName=profile, RoleName=name)
    iam.delete_instance_profile(InstanceProfileName=profile)
    assert refusal(iam.get_instance_profile, InstanceProfileName=profile) == (
        "NoSuchEntity",
        404,
        f"Instance Profile {profile} cannot be found.",
    )
