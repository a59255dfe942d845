"""Instance profiles: the role's keys inside an instance, associations, and who may hand a role to an instance."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud.ec2_instances import Machines
from tests.cloud.people import People, allow, document, statement
from tests.cloud_process import CloudProcess

REGION = "eu-north-1"
TRUSTED = {"Service": "ec2.amazonaws.com"}


@pytest.fixture
def machines(cloud: CloudProcess) -> Iterator[Machines]:
    made = Machines(cloud, REGION)
    yield made
    made.remove()


@pytest.fixture
def profile(cloud: CloudProcess, people: People) -> Iterator[Any]:
    """Makes a profile whose name is not its role's: profile name, role ARN."""
    iam, made = cloud.client("iam"), []

    def make(principal: dict[str, Any] = TRUSTED, policy: str | None = None) -> tuple[str, str]:
        role = people.role(policy, principal=principal)
        name = f"profile-{uuid.uuid4().hex[:8]}"
        iam.create_instance_profile(InstanceProfileName=name)
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role.rpartition("/")[2])
        made.append((name, role.rpartition("/")[2]))
        return name, role

    yield make
    for name, role in made:
        iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=role)
        iam.delete_instance_profile(InstanceProfileName=name)


ASK = """#!/bin/bash
base=$AWS_EC2_METADATA_SERVICE_ENDPOINT/latest
token=$(curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $base/api/token)
get() { curl -s -H "X-aws-ec2-metadata-token: $token" $base/$1; }
echo "role: $(get meta-data/iam/security-credentials/)"
echo "id: $(get meta-data/instance-id)"
echo "zone: $(get meta-data/placement/availability-zone)"
echo "account: $(get dynamic/instance-identity/document | grep accountId)"
echo "tag: $(get meta-data/tags/instance/run)"
source activate PyTorch
AWS_DEFAULT_REGION=eu-north-1 python3 -c "
import boto3
print('who:', boto3.client('sts').get_caller_identity()['Arn'])"
echo all asked
"""


def test_programs_of_an_instance_are_its_role(machines: Machines, profile: Any) -> None:
    name, role = profile()
    instance = machines.run(
        ASK,
        IamInstanceProfile={"Name": name},
        MetadataOptions={"InstanceMetadataTags": "enabled"},
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "run", "Value": "number one"}]}],
    )
    instance_id = instance["InstanceId"]
    assert instance["IamInstanceProfile"]["Arn"].endswith(f":instance-profile/{name}")
    said = machines.console(instance_id, "all asked")
    own = role.rpartition("/")[2]
    assert f"role: {own}" in said
    assert f"id: {instance_id}" in said
    assert f"zone: {instance['Placement']['AvailabilityZone']}" in said
    assert '"accountId": "123456789012"' in said
    assert "tag: number one" in said
    assert f"who: arn:aws:sts::123456789012:assumed-role/{own}/{instance_id}" in said


def test_a_role_that_does_not_trust_ec2_gives_no_keys(machines: Machines, profile: Any) -> None:
    name, role = profile({"Service": "lambda.amazonaws.com"})
    script = ASK.replace("python3 -c", "false").replace(
        "echo all asked", f"get meta-data/iam/security-credentials/{role.rpartition('/')[2]}; echo all asked"
    )
    instance_id = machines.run(script, IamInstanceProfile={"Name": name})["InstanceId"]
    said = machines.console(instance_id, "all asked")
    assert "AssumeRoleUnauthorizedAccess" in said
    assert "SecretAccessKey" not in said


def test_associations_come_change_and_go(machines: Machines, profile: Any) -> None:
    (first, _), (second, _) = profile(), profile()
    instance_id = machines.run()["InstanceId"]
    machines.wait(instance_id, "running")
    ec2, mine = machines.ec2, [{"Name": "instance-id", "Values": [instance_id]}]
    made = ec2.associate_iam_instance_profile(InstanceId=instance_id, IamInstanceProfile={"Name": first})
    assert made["IamInstanceProfileAssociation"]["State"] == "associating"
    with pytest.raises(ClientError) as twice:
        ec2.associate_iam_instance_profile(InstanceId=instance_id, IamInstanceProfile={"Name": second})
    assert twice.value.response["Error"]["Code"] == "IncorrectState"
    association = made["IamInstanceProfileAssociation"]["AssociationId"]
    changed = ec2.replace_iam_instance_profile_association(
        AssociationId=association, IamInstanceProfile={"Name": second}
    )["IamInstanceProfileAssociation"]
    found = ec2.describe_iam_instance_profile_associations(Filters=mine)["IamInstanceProfileAssociations"]
    assert [item["AssociationId"] for item in found] == [changed["AssociationId"]]
    assert found[0]["State"] == "associated"
    assert found[0]["IamInstanceProfile"]["Arn"].endswith(second)
    assert machines.get(instance_id)["IamInstanceProfile"]["Arn"].endswith(second)
    ec2.disassociate_iam_instance_profile(AssociationId=changed["AssociationId"])
    assert ec2.describe_iam_instance_profile_associations(Filters=mine)["IamInstanceProfileAssociations"] == []
    assert "IamInstanceProfile" not in machines.get(instance_id)
    with pytest.raises(ClientError) as gone:
        ec2.disassociate_iam_instance_profile(AssociationId=association)
    assert gone.value.response["Error"]["Code"] == "InvalidAssociationID.NotFound"


def test_launching_with_a_profile_needs_pass_role_on_the_role_that_is_in_it(
    machines: Machines, people: People, profile: Any
) -> None:
    name, role = profile()
    person = people.user(allow("ec2:*"))
    ec2 = person.client("ec2", region_name=REGION)
    request = {"ImageId": machines.image(), "InstanceType": "t3.nano", "MinCount": 1, "MaxCount": 1}
    with pytest.raises(ClientError, match="iam:PassRole") as refused:
        ec2.run_instances(**request, IamInstanceProfile={"Name": name})
    assert refused.value.response["Error"]["Code"] == "UnauthorizedOperation"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    # A role of the profile's own name is another one.
    other = role.replace(role.rpartition("/")[2], name)
    for given, error in ((other, "UnauthorizedOperation"), (role, "DryRunOperation")):
        person.may(document(statement("Allow", "ec2:*"), statement("Allow", "iam:PassRole", given)))
        with pytest.raises(ClientError) as answered:
            ec2.run_instances(**request, IamInstanceProfile={"Name": name}, DryRun=True)
        assert answered.value.response["Error"]["Code"] == error


def test_policies_see_types_tags_and_instances(machines: Machines, people: People) -> None:
    own = machines.run(TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "owner", "Value": "me"}]}])
    foreign = machines.run()["InstanceId"]
    small = statement("Allow", "ec2:RunInstances", "*", Condition={"StringLikeIfExists": {"ec2:InstanceType": "t3.*"}})
    mine = statement(
        "Allow", "ec2:TerminateInstances", "*", Condition={"StringEquals": {"ec2:ResourceTag/owner": "me"}}
    )
    ec2 = people.user(document(small, mine)).client("ec2", region_name=REGION)
    request = {"ImageId": machines.image(), "MinCount": 1, "MaxCount": 1, "DryRun": True}
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "owner", "Value": "me"}]}]
    expected = (
        ({"InstanceType": "t3.micro"}, "DryRunOperation"),
        ({"InstanceType": "m5.large"}, "UnauthorizedOperation"),
        ({"InstanceType": "t3.micro", "TagSpecifications": tags}, "UnauthorizedOperation"),  # needs CreateTags, too
    )
    for options, code in expected:
        with pytest.raises(ClientError) as answered:
            ec2.run_instances(**request, **options)
        assert answered.value.response["Error"]["Code"] == code
    with pytest.raises(ClientError, match=f"instance/{foreign}"):
        ec2.terminate_instances(InstanceIds=[foreign])
    ec2.terminate_instances(InstanceIds=[own["InstanceId"]])
    with pytest.raises(ClientError, match="ec2:DescribeInstances"):
        ec2.describe_instances()


def denying(people: People, action: str, resource: str) -> Any:
    """A client that may do everything in EC2 but this."""
    return people.user(document(statement("Allow", "ec2:*"), statement("Deny", action, resource))).client(
        "ec2", region_name=REGION
    )


def refusal(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**request)
    return str(refused.value.response["Error"]["Code"])


def test_a_policy_is_about_a_group_however_it_is_named(machines: Machines, people: People) -> None:
    name = f"guarded {uuid.uuid4().hex[:8]}"
    group = machines.ec2.create_security_group(GroupName=name, Description="d")["GroupId"]
    own = machines.ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"][0]["GroupId"]
    ec2 = denying(people, "ec2:*", f"arn:aws:ec2:{REGION}:123456789012:security-group/{group}")
    assert refusal(ec2.delete_security_group, GroupName=name) == "UnauthorizedOperation"
    request = {"ImageId": machines.image(), "InstanceType": "t3.nano", "MinCount": 1, "MaxCount": 1, "DryRun": True}
    for groups in (
        {"SecurityGroups": [name]},
        {"SecurityGroupIds": [own], "SecurityGroups": [name]},
        {"NetworkInterfaces": [{"DeviceIndex": 0, "Groups": [own, group]}]},
    ):
        assert refusal(ec2.run_instances, **request, **groups) == "UnauthorizedOperation"
    assert refusal(ec2.run_instances, **request) == "DryRunOperation"
    machines.ec2.delete_security_group(GroupId=group)


def test_a_policy_is_about_an_instance_and_a_key_however_they_are_named(
    machines: Machines, people: People, profile: Any
) -> None:
    instance_id = machines.run(IamInstanceProfile={"Name": profile()[0]})["InstanceId"]
    mine = [{"Name": "instance-id", "Values": [instance_id]}]
    found = machines.ec2.describe_iam_instance_profile_associations(Filters=mine)["IamInstanceProfileAssociations"]
    ec2 = denying(people, "ec2:*", f"arn:aws:ec2:{REGION}:123456789012:instance/{instance_id}")
    association = found[0]["AssociationId"]
    assert refusal(ec2.disassociate_iam_instance_profile, AssociationId=association) == "UnauthorizedOperation"
    name = f"guarded-{uuid.uuid4().hex[:8]}"
    key = machines.ec2.create_key_pair(KeyName=name, KeyType="ed25519")["KeyPairId"]
    ec2 = denying(people, "ec2:*", f"arn:aws:ec2:{REGION}:123456789012:key-pair/{name}")
    assert refusal(ec2.delete_key_pair, KeyPairId=key) == "UnauthorizedOperation"
    assert refusal(ec2.create_tags, Resources=[key], Tags=[{"Key": "a", "Value": "b"}]) == "UnauthorizedOperation"
    machines.ec2.delete_key_pair(KeyName=name)


def test_tags_of_rules_and_parameters_of_images_need_permissions_of_their_own(
    machines: Machines, people: People
) -> None:
    group = machines.ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"][0]["GroupId"]
    ec2 = denying(people, "ec2:CreateTags", "*")
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.1.2.3/32"}]}
    tags = [{"ResourceType": "security-group-rule", "Tags": [{"Key": "a", "Value": "b"}]}]
    asked = {"GroupId": group, "IpPermissions": [rule], "DryRun": True}
    assert refusal(ec2.authorize_security_group_ingress, **asked) == "DryRunOperation"
    assert refusal(ec2.authorize_security_group_ingress, **asked, TagSpecifications=tags) == "UnauthorizedOperation"
    image = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    request = {"ImageId": image, "InstanceType": "t3.nano", "MinCount": 1, "MaxCount": 1, "DryRun": True}
    with pytest.raises(ClientError, match="ssm:GetParameters"):
        ec2.run_instances(**request)


def test_the_record_of_calls_names_the_instance(machines: Machines, people: People) -> None:
    instance_id = machines.run()["InstanceId"]
    person = people.user(allow("ec2:TerminateInstances", f"arn:aws:ec2:{REGION}:123456789012:instance/{instance_id}"))
    person.client("ec2", region_name=REGION).terminate_instances(InstanceIds=[instance_id])
    assert json.dumps(person.calls()[0]).count(f"instance/{instance_id}") >= 1
