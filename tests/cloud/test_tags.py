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


def test_fifty_tags_are_listed_on_one_page(cloud: CloudProcess, arn: str) -> None:
    sagemaker = cloud.client("sagemaker")
    added = [{"Key": f"page-{number:02}", "Value": ""} for number in range(45)]
    sagemaker.add_tags(ResourceArn=arn, Tags=added)
    answer = sagemaker.list_tags(ResourceArn=arn, MaxResults=50)
    assert [tag for tag in answer["Tags"] if tag["Key"].startswith("page-")] == added
    assert "NextToken" not in answer
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
