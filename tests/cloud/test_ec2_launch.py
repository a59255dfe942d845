"""RunInstances: what it refuses and in which words, what it does once, and what a new instance has."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud.ec2_instances import Machines
from tests.cloud_process import CloudProcess

REGION = "eu-west-2"


@pytest.fixture
def machines(cloud: CloudProcess) -> Iterator[Machines]:
    made = Machines(cloud, REGION)
    yield made
    made.remove()


def refused(machines: Machines, **options: Any) -> tuple[str, str]:
    """Code and message; nothing may have been made."""
    before = machines.ec2.describe_instances()["Reservations"]
    with pytest.raises(ClientError) as error:
        machines.run(**options)
    after = machines.ec2.describe_instances()["Reservations"]
    assert [group["ReservationId"] for group in after] == [group["ReservationId"] for group in before]
    found = error.value.response["Error"]
    return found["Code"], found["Message"]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ({"ImageId": "ami-0123456789abcdef0"}, "InvalidAMIID.NotFound", "'[ami-0123456789abcdef0]' does not exist"),
        ({"ImageId": "nonsense"}, "InvalidAMIID.Malformed", 'Invalid id: "nonsense"'),
        ({"InstanceType": "t2.huge"}, "InvalidParameterValue", "Invalid value 't2.huge' for InstanceType."),
        ({"InstanceType": "m6g.large"}, "InvalidParameterValue", "does not match the architecture 'x86_64'"),
        ({"KeyName": "nobody"}, "InvalidKeyPair.NotFound", "The key pair 'nobody' does not exist"),
        ({"SecurityGroupIds": ["sg-0123456789abcdef0"]}, "InvalidGroup.NotFound", "'sg-0123456789abcdef0'"),
        ({"SecurityGroups": ["nobody"]}, "InvalidGroup.NotFound", "does not exist in default VPC 'vpc-"),
        ({"SubnetId": "subnet-0123456789abcdef0"}, "InvalidSubnetID.NotFound", "subnet-0123456789abcdef0"),
        ({"IamInstanceProfile": {"Name": "no"}}, "InvalidParameterValue", "iamInstanceProfile.name is invalid"),
        ({"MinCount": 3, "MaxCount": 2}, "InvalidParameterValue", "maxCount"),
        ({"MinCount": 0, "MaxCount": 2}, "InvalidParameterValue", "minCount"),
        ({"UserData": "x" * 16385}, "InvalidParameterValue", "User data is limited to 16384 bytes"),
        ({"InstanceMarketOptions": {"MarketType": "spot"}}, "UnsupportedOperation", "spot instances"),
        ({"InstanceInitiatedShutdownBehavior": "explode"}, "InvalidParameterValue", "'explode'"),
        ({"MetadataOptions": {"HttpTokens": "sometimes"}}, "InvalidParameterValue", "'sometimes'"),
        ({"MetadataOptions": {"HttpPutResponseHopLimit": 65}}, "InvalidParameterValue", "between 1 and 64"),
        ({"Placement": {"AvailabilityZone": "us-east-1a"}}, "InvalidParameterValue", "availability zone"),
        ({"PrivateIpAddress": "nowhere"}, "InvalidParameterValue", "privateIpAddress"),
        ({"PrivateIpAddress": "10.0.0.1"}, "InvalidParameterValue", "does not fall within the subnet"),
        (
            {"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8}}]},
            "InvalidBlockDeviceMapping",
            "smaller than snapshot",
        ),
        (
            {"BlockDeviceMappings": [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 8}}]},
            "UnsupportedOperation",
            "beside the root volume",
        ),
        (
            {"InstanceType": "m5.large", "CreditSpecification": {"CpuCredits": "unlimited"}},
            "InvalidParameterCombination",
            "not supported for the m5.large",
        ),
        (
            {"TagSpecifications": [{"ResourceType": "vpc", "Tags": [{"Key": "a", "Value": "b"}]}]},
            "InvalidParameterValue",
            "'vpc' is not a valid taggable resource type",
        ),
        (
            {"TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "aws:x", "Value": "b"}]}]},
            "InvalidParameterValue",
            "reserved for internal use",
        ),
        (
            {"NetworkInterfaces": [{"DeviceIndex": 0, "AssociatePublicIpAddress": True}]},
            "UnsupportedOperation",
            "public addresses",
        ),
        (
            {"NetworkInterfaces": [{"DeviceIndex": 0, "SecondaryPrivateIpAddressCount": 2}]},
            "UnsupportedOperation",
            "SecondaryPrivateIpAddressCount of a network interface",
        ),
        (
            {"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeType": "gp2", "Iops": 3000}}]},
            "InvalidParameterCombination",
            "The parameter iops is not supported for gp2 volumes.",
        ),
        (
            {"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeType": "io1"}}]},
            "MissingParameter",
            "iops",
        ),
        ({"PrivateDnsNameOptions": {"HostnameType": "resource-name"}}, "UnsupportedOperation", "private address"),
        (
            {"IamInstanceProfile": {"Name": "one", "Arn": "arn:aws:iam::123456789012:instance-profile/other"}},
            "InvalidParameterCombination",
            "'iamInstanceProfile.name' may not be used in combination with 'iamInstanceProfile.arn'",
        ),
        ({"ImageId": "resolve:ssm:/nothing/here"}, "InvalidParameterValue", "Parameter /nothing/here not found."),
    ],
)
def test_what_makes_no_sense_is_refused_in_aws_s_words(
    machines: Machines, options: dict[str, Any], code: str, message: str
) -> None:
    found = refused(machines, **options)
    assert found[0] == code
    assert message in found[1]


def test_a_type_must_be_named(machines: Machines) -> None:
    with pytest.raises(ClientError, match=r"type : m1\.small"):
        machines.ec2.run_instances(ImageId=machines.image(), MinCount=1, MaxCount=1)
    with pytest.raises(ClientError, match="The request must contain the parameter ImageId") as missing:
        machines.ec2.run_instances(InstanceType="t3.micro", MinCount=1, MaxCount=1)
    assert missing.value.response["Error"]["Code"] == "MissingParameter"


def test_a_dry_run_checks_everything_and_makes_nothing(machines: Machines) -> None:
    found = refused(machines, DryRun=True)
    assert found == ("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
    assert refused(machines, DryRun=True, KeyName="nobody")[0] == "InvalidKeyPair.NotFound"
    with pytest.raises(ClientError) as dry:
        machines.ec2.create_key_pair(KeyName="dry", DryRun=True)
    assert dry.value.response["Error"]["Code"] == "DryRunOperation"
    assert dry.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert machines.ec2.describe_key_pairs()["KeyPairs"] == []


def test_a_client_token_makes_an_instance_once(machines: Machines) -> None:
    first = machines.run(ClientToken="once")
    again = machines.run(ClientToken="once")
    assert again["InstanceId"] == first["InstanceId"]
    code, message = refused(machines, ClientToken="once", InstanceType="t3.small")
    assert code == "IdempotentParameterMismatch"
    assert "inconsistent" in message


def test_where_it_is_and_what_it_has(machines: Machines) -> None:
    group = machines.ec2.create_security_group(GroupName="of one", Description="d")["GroupId"]
    subnet = machines.ec2.describe_subnets()["Subnets"][1]
    free = subnet["AvailableIpAddressCount"]
    volume = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 200, "VolumeType": "gp3"}}
    tags = [{"Key": "run", "Value": "one"}]
    made = machines.run(
        NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet["SubnetId"], "Groups": [group]}],
        BlockDeviceMappings=[volume],
        TagSpecifications=[
            {"ResourceType": "volume", "Tags": tags},
            {"ResourceType": "network-interface", "Tags": tags},
        ],
    )
    assert made["Placement"]["AvailabilityZone"] == subnet["AvailabilityZone"]
    assert [item["GroupId"] for item in made["SecurityGroups"]] == [group]
    tagged = [{"Name": "tag:run", "Values": ["one"]}]
    volumes = machines.ec2.describe_volumes(Filters=tagged)["Volumes"]
    assert [(item["Size"], item["VolumeType"], item["Iops"], item["Tags"]) for item in volumes] == [
        (200, "gp3", 3000, tags)
    ]
    interfaces = machines.ec2.describe_network_interfaces(Filters=tagged)["NetworkInterfaces"]
    assert [item["Groups"][0]["GroupName"] for item in interfaces] == ["of one"]
    after = machines.ec2.describe_subnets(SubnetIds=[subnet["SubnetId"]])["Subnets"][0]
    assert after["AvailableIpAddressCount"] == free - 1
    with pytest.raises(ClientError) as used:
        machines.ec2.delete_security_group(GroupId=group)
    assert used.value.response["Error"]["Code"] == "DependencyViolation"
    machines.remove()
    machines.ec2.delete_security_group(GroupId=group)


def test_several_of_one_request_are_one_reservation(machines: Machines) -> None:
    answer = machines.ec2.run_instances(ImageId=machines.image(), InstanceType="t3.nano", MinCount=2, MaxCount=3)
    machines.ids += [item["InstanceId"] for item in answer["Instances"]]
    assert [item["AmiLaunchIndex"] for item in answer["Instances"]] == [0, 1, 2]
    assert len({item["PrivateIpAddress"] for item in answer["Instances"]}) == 3
    found = machines.ec2.describe_instances(Filters=[{"Name": "reservation-id", "Values": [answer["ReservationId"]]}])
    assert len(found["Reservations"]) == 1


def test_the_image_may_be_a_parameter_of_systems_manager(cloud: CloudProcess, machines: Machines) -> None:
    public = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    ssm = cloud.client("ssm", region_name=REGION)
    known = ssm.get_parameter(Name=public)["Parameter"]["Value"]
    assert machines.run(ImageId=f"resolve:ssm:{public}")["ImageId"] == known
    ssm.put_parameter(Name="/images/mine", Type="String", Value=machines.image())
    ssm.put_parameter(Name="/images/mine", Type="String", Value=known, Overwrite=True)
    assert machines.run(ImageId="resolve:ssm:/images/mine:1")["ImageId"] == machines.image() != known
    ssm.delete_parameter(Name="/images/mine")


def test_metadata_needs_a_token_where_the_image_says_so(machines: Machines) -> None:
    def options(name: str) -> tuple[str, int]:
        found = machines.run(ImageId=machines.image(name))["MetadataOptions"]
        return found["HttpTokens"], found["HttpPutResponseHopLimit"]

    assert options("Deep Learning * PyTorch 2.6.0 (Amazon Linux 2023)*") == ("required", 2)
    # Of December 2023, and of an older system.
    assert options("Deep Learning * PyTorch 1.13.1 (Amazon Linux 2) 2023*") == ("optional", 1)


def test_user_data_that_is_no_base64_is_refused(machines: Machines) -> None:
    encoded = base64.b64encode(b"#!/bin/sh\necho\n").decode()
    # The client makes base64 of whatever it is given; what a wrong one would send is this.
    machines.ec2.meta.events.register_last(
        "request-created.ec2.RunInstances",
        lambda request, **_: request.data.update(UserData=request.data["UserData"].replace("=", "%")),
    )
    with pytest.raises(ClientError) as wrong:
        machines.run(encoded)
    assert wrong.value.response["Error"]["Code"] == "InvalidUserData.Malformed"
