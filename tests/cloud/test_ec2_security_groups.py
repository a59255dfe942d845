"""Security groups: made, given rules, asked for, deleted, and refused in AWS's words."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud_process import CloudProcess

SSH = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}


@pytest.fixture(scope="module")
def ec2(cloud: CloudProcess) -> Any:
    return cloud.client("ec2", region_name="ap-south-1")


@pytest.fixture
def group(ec2: Any) -> str:
    name = f"group {uuid.uuid4().hex[:8]}"
    return str(ec2.create_security_group(GroupName=name, Description="of a test")["GroupId"])


def code(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**request)
    return str(refused.value.response["Error"]["Code"])


def shown(ec2: Any, group: str) -> dict[str, Any]:
    return dict(ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0])


def test_a_new_group_lets_everything_out_and_nothing_in(ec2: Any, group: str) -> None:
    ec2.get_waiter("security_group_exists").wait(GroupIds=[group])
    found = shown(ec2, group)
    assert found["IpPermissions"] == []
    assert [item["IpRanges"] for item in found["IpPermissionsEgress"]] == [[{"CidrIp": "0.0.0.0/0"}]]
    assert found["VpcId"] == ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    assert code(ec2.create_security_group, GroupName=found["GroupName"], Description="d") == "InvalidGroup.Duplicate"


def test_rules_come_and_go_by_what_they_say_and_by_their_ids(ec2: Any, group: str) -> None:
    ranges = [{"CidrIp": "10.0.0.0/8", "Description": "office"}, {"CidrIp": "192.168.1.7/32"}]
    asked = [{**SSH, "IpRanges": ranges}, {**SSH, "FromPort": 80, "ToPort": 80, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}]
    made = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=asked)["SecurityGroupRules"]
    assert [rule.get("CidrIpv4") or rule["CidrIpv6"] for rule in made] == ["10.0.0.0/8", "192.168.1.7/32", "::/0"]
    assert {rule["IsEgress"] for rule in made} == {False}
    permissions = {item["FromPort"]: item for item in shown(ec2, group)["IpPermissions"]}
    assert permissions[22]["IpRanges"] == ranges
    assert permissions[80]["Ipv6Ranges"] == [{"CidrIpv6": "::/0"}]
    filters = [{"Name": "group-id", "Values": [group]}]
    rules = ec2.describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
    assert len(rules) == 4  # with the one for everything that goes out
    with pytest.raises(ClientError) as twice:
        ec2.authorize_security_group_ingress(
            GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="10.0.0.0/8"
        )
    assert twice.value.response["Error"] == {
        "Code": "InvalidPermission.Duplicate",
        "Message": 'the specified rule "peer: 10.0.0.0/8, TCP, from port: 22, to port: 22, ALLOW" already exists',
    }
    ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=asked[1:])
    ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[made[0]["SecurityGroupRuleId"]])
    assert shown(ec2, group)["IpPermissions"] == [
        {**SSH, "IpRanges": ranges[1:], "Ipv6Ranges": [], "PrefixListIds": [], "UserIdGroupPairs": []}
    ]
    assert code(ec2.revoke_security_group_ingress, GroupId=group, IpPermissions=asked[1:]) == (
        "InvalidPermission.NotFound"
    )


def test_of_several_rules_all_are_added_or_none(ec2: Any, group: str) -> None:
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[{**SSH, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}])
    both = [{**SSH, "IpRanges": [{"CidrIp": "172.16.0.0/12"}, {"CidrIp": "10.0.0.0/8"}]}]
    assert code(ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=both) == (
        "InvalidPermission.Duplicate"
    )
    assert len(shown(ec2, group)["IpPermissions"][0]["IpRanges"]) == 1


def test_a_group_that_another_names_cannot_go(ec2: Any, group: str) -> None:
    other = ec2.create_security_group(GroupName=f"other {group}", Description="d")["GroupId"]
    pair = [{**SSH, "UserIdGroupPairs": [{"GroupId": other}]}]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=pair)
    assert code(ec2.delete_security_group, GroupId=other) == "DependencyViolation"
    ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=pair)
    ec2.delete_security_group(GroupId=other)
    assert code(ec2.describe_security_groups, GroupIds=[other]) == "InvalidGroup.NotFound"


def test_the_default_group_stays(ec2: Any) -> None:
    found = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"][0]
    assert found["IpPermissions"][0]["UserIdGroupPairs"][0]["GroupId"] == found["GroupId"]
    assert code(ec2.delete_security_group, GroupId=found["GroupId"]) == "CannotDelete"


@pytest.mark.parametrize(
    ("permission", "expected"),
    [
        ({**SSH, "IpRanges": [{"CidrIp": "10.0.0/8"}]}, "InvalidParameterValue"),
        (
            {**SSH, "IpProtocol": "carrier-pigeon", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
            "InvalidPermission.Malformed",
        ),
        ({**SSH, "ToPort": 70000, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}, "InvalidParameterValue"),
        (SSH, "InvalidParameterValue"),
        ({**SSH, "UserIdGroupPairs": [{"GroupId": "sg-0123456789abcdef0"}]}, "InvalidGroup.NotFound"),
    ],
)
def test_rules_that_make_no_sense_are_refused(ec2: Any, group: str, permission: dict[str, Any], expected: str) -> None:
    assert code(ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[permission]) == expected
    assert shown(ec2, group)["IpPermissions"] == []


def test_tags_are_found_everywhere_and_go_with_their_group(ec2: Any, group: str) -> None:
    ec2.create_tags(Resources=[group], Tags=[{"Key": "run", "Value": group}, {"Key": "kept", "Value": "yes"}])
    found = ec2.describe_security_groups(Filters=[{"Name": "tag:run", "Values": [group]}])["SecurityGroups"]
    assert [item["GroupId"] for item in found] == [group]
    mine = [{"Name": "resource-id", "Values": [group]}]
    kinds = {(tag["Key"], tag["ResourceType"]) for tag in ec2.describe_tags(Filters=mine)["Tags"]}
    assert kinds == {("run", "security-group"), ("kept", "security-group")}
    ec2.delete_tags(Resources=[group], Tags=[{"Key": "run"}, {"Key": "kept", "Value": "no"}])
    assert [tag["Key"] for tag in ec2.describe_tags(Filters=mine)["Tags"]] == ["kept"]
    ec2.delete_security_group(GroupId=group)
    assert ec2.describe_tags(Filters=mine)["Tags"] == []
    assert code(ec2.create_tags, Resources=[group], Tags=[{"Key": "a", "Value": "b"}]) == "InvalidGroup.NotFound"
    assert code(ec2.create_tags, Resources=["nonsense"], Tags=[{"Key": "a", "Value": "b"}]) == "InvalidID"


def test_a_filter_of_many_wildcards_keeps_nobody_waiting(ec2: Any, group: str) -> None:
    ec2.create_tags(Resources=[group], Tags=[{"Key": "long", "Value": "a" * 256}])

    def found(pattern: str) -> list[str]:
        filters = [{"Name": "tag:long", "Values": [pattern]}]
        return [item["GroupId"] for item in ec2.describe_security_groups(Filters=filters)["SecurityGroups"]]

    assert found("*a" * 100) == [group]
    assert found("*a" * 100 + "b") == []  # an expression that looks back would be at it for years
    assert found("a?*") == [group]
    assert found("a\\*") == []  # no wildcard, but the character
    assert code(ec2.create_tags, Resources=[group], Tags=[{"Key": "long", "Value": "a" * 257}]) == (
        "InvalidParameterValue"
    )
