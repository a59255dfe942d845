"""What EC2 has before anybody made anything: images, types, regions, zones, the default network."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud_process import CloudProcess


@pytest.fixture(scope="module")
def ec2(cloud: CloudProcess) -> Any:
    return cloud.client("ec2")


def test_the_deep_learning_images_are_found_by_aws_s_names(ec2: Any) -> None:
    filters = [
        {"Name": "name", "Values": ["Deep Learning OSS Nvidia Driver AMI GPU PyTorch * (Amazon Linux 2023) ????????"]},
        {"Name": "state", "Values": ["available"]},
        {"Name": "architecture", "Values": ["x86_64"]},
    ]
    found = ec2.describe_images(Owners=["amazon"], Filters=filters)["Images"]
    newest = max(found, key=lambda image: image["CreationDate"])
    assert newest["OwnerId"] == "898082745236"
    assert "local cloud" in newest["Description"]
    assert newest["BlockDeviceMappings"][0]["DeviceName"] == newest["RootDeviceName"]
    again = ec2.describe_images(ImageIds=[newest["ImageId"]])["Images"]
    assert again == [newest]
    ubuntu = ec2.describe_images(Owners=["099720109477"])["Images"]
    assert {image["Name"].split("/")[0] for image in ubuntu} == {"ubuntu"}
    assert ec2.describe_images(Owners=["self"])["Images"] == []
    # The image of the write-up.
    name = "Deep Learning OSS Nvidia Driver AMI GPU PyTorch 1.13*(Amazon Linux 2)*"
    assert len(ec2.describe_images(Filters=[{"Name": "name", "Values": [name]}])["Images"]) == 1


@pytest.mark.parametrize(
    ("name", "vcpus", "gib", "gpus"),
    [
        ("t2.small", 1, 2, 0),
        ("t3.medium", 2, 4, 0),
        ("m5.xlarge", 4, 16, 0),
        ("c5.large", 2, 4, 0),
        ("r5.large", 2, 16, 0),
        ("g4dn.xlarge", 4, 16, 1),
        ("g5.12xlarge", 48, 192, 4),
        ("p3.2xlarge", 8, 61, 1),
    ],
)
def test_types_have_aws_s_figures(ec2: Any, name: str, vcpus: int, gib: int, gpus: int) -> None:
    found = ec2.describe_instance_types(InstanceTypes=[name])["InstanceTypes"][0]
    assert found["VCpuInfo"]["DefaultVCpus"] == vcpus
    assert found["MemoryInfo"]["SizeInMiB"] == gib * 1024
    assert sum(gpu["Count"] for gpu in found.get("GpuInfo", {}).get("Gpus", ())) == gpus


def test_types_are_filtered_and_paged(ec2: Any) -> None:
    filters = [{"Name": "instance-type", "Values": ["m5.*"]}, {"Name": "vcpu-info.default-vcpus", "Values": ["2", "4"]}]
    found = ec2.describe_instance_types(Filters=filters)["InstanceTypes"]
    assert {item["InstanceType"] for item in found} == {"m5.large", "m5.xlarge"}
    whole = [item["InstanceType"] for item in ec2.describe_instance_types()["InstanceTypes"]]
    pages = ec2.get_paginator("describe_instance_types").paginate(PaginationConfig={"PageSize": 100})
    assert [item["InstanceType"] for page in pages for item in page["InstanceTypes"]] == whole
    with pytest.raises(ClientError, match="do not exist") as unknown:
        ec2.describe_instance_types(InstanceTypes=["m5.large", "m5.huge"])
    assert unknown.value.response["Error"]["Code"] == "InvalidInstanceType"
    offered = ec2.describe_instance_type_offerings(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["t2.small"]}]
    )["InstanceTypeOfferings"]
    assert {item["Location"] for item in offered} == {f"us-east-1{letter}" for letter in "abcdef"}


def test_regions_and_zones_have_aws_s_names(cloud: CloudProcess, ec2: Any) -> None:
    regions = {item["RegionName"] for item in ec2.describe_regions()["Regions"]}
    assert {"us-east-1", "eu-central-1", "ap-southeast-2"} <= regions
    zones = ec2.describe_availability_zones()["AvailabilityZones"]
    assert [(zone["ZoneName"], zone["ZoneId"]) for zone in zones][:2] == [
        ("us-east-1a", "use1-az1"),
        ("us-east-1b", "use1-az2"),
    ]
    far = cloud.client("ec2", region_name="ap-southeast-1")
    assert far.describe_availability_zones()["AvailabilityZones"][0]["ZoneId"] == "apse1-az1"


def test_the_default_network_hangs_together(ec2: Any) -> None:
    vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]
    here = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    subnets = ec2.describe_subnets(Filters=here)["Subnets"]
    assert len({subnet["AvailabilityZone"] for subnet in subnets}) == 6
    assert all(subnet["DefaultForAz"] for subnet in subnets)
    table = ec2.describe_route_tables(Filters=here)["RouteTables"][0]
    attached = [{"Name": "attachment.vpc-id", "Values": [vpc["VpcId"]]}]
    gateway = ec2.describe_internet_gateways(Filters=attached)["InternetGateways"][0]
    assert gateway["InternetGatewayId"] in [route["GatewayId"] for route in table["Routes"]]
    options = ec2.describe_dhcp_options(DhcpOptionsIds=[vpc["DhcpOptionsId"]])["DhcpOptions"][0]
    assert options["DhcpConfigurations"][0]["Values"] == [{"Value": "ec2.internal"}]
    with pytest.raises(ClientError) as absent:
        ec2.describe_subnets(SubnetIds=["subnet-0123456789abcdef0"])
    assert absent.value.response["Error"]["Code"] == "InvalidSubnetID.NotFound"


def test_what_is_not_here_is_refused_by_name(ec2: Any) -> None:
    with pytest.raises(ClientError, match="does not implement ec2:CreateVpc"):
        ec2.create_vpc(CidrBlock="10.0.0.0/16")
