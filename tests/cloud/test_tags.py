"""Tags of SageMaker resources."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from tests.cloud.training import Workshop
from tests.cloud_process import CloudProcess


@pytest.fixture(scope="module")
def arn(cloud: CloudProcess) -> str:
    shop = Workshop(cloud)
    job = shop.run("pass", Tags=[{"Key": "project", "Value": "dogs"}])
    return str(job["TrainingJobArn"])


def test_tags_are_added_changed_and_removed(cloud: CloudProcess, arn: str) -> None:
    sagemaker = cloud.client("sagemaker")
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "project", "Value": "cats"}, {"Key": "cost", "Value": "7"}])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [
        {"Key": "cost", "Value": "7"},
        {"Key": "project", "Value": "cats"},
    ]
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["cost", "not-there"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "project", "Value": "cats"}]


def test_tags_are_listed_in_pages(cloud: CloudProcess, arn: str) -> None:
    sagemaker = cloud.client("sagemaker")
    added = [{"Key": f"page-{number:02}", "Value": ""} for number in range(12)]
    sagemaker.add_tags(ResourceArn=arn, Tags=added)
    pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn, PaginationConfig={"PageSize": 5})
    found = [tag["Key"] for page in pages for tag in page["Tags"]]
    assert [key for key in found if key.startswith("page-")] == [tag["Key"] for tag in added]
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=[tag["Key"] for tag in added])


def test_fifty_tags_are_the_limit(cloud: CloudProcess, arn: str) -> None:
    sagemaker = cloud.client("sagemaker")
    with pytest.raises(ClientError, match="ValidationException"):
        sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": f"k{number}", "Value": ""} for number in range(50)])


def test_reserved_keys_and_unknown_resources_are_refused(cloud: CloudProcess, arn: str) -> None:
    sagemaker = cloud.client("sagemaker")
    with pytest.raises(ClientError, match="reserved for system use"):
        sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "aws:mine", "Value": "x"}])
    with pytest.raises(ClientError, match=r"\(ValidationException\)"):
        sagemaker.list_tags(ResourceArn=arn + "-other")
