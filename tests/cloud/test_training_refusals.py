"""What CreateTrainingJob refuses, in AWS's words, and that nothing of a refused job remains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud.training import Workshop
from tests.cloud_process import CloudProcess


@pytest.fixture(scope="module")
def shop(cloud: CloudProcess) -> Workshop:
    return Workshop(cloud)


def refusal(shop: Workshop, change: Callable[[dict[str, Any]], object]) -> tuple[str, str]:
    request = shop.request("pass")
    change(request)
    with pytest.raises(ClientError) as refused:
        shop.sagemaker.create_training_job(**request)
    with pytest.raises(ClientError):
        shop.describe(request["TrainingJobName"])
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_taken_name(shop: Workshop) -> None:
    name = shop.create("pass")
    with pytest.raises(shop.sagemaker.exceptions.ResourceInUse) as refused:
        shop.create("pass", name=name)
    arn = f"arn:aws:sagemaker:us-east-1:{shop.cloud.account_id}:training-job/{name}"
    assert refused.value.response["Error"]["Message"] == (
        "Training job names must be unique within an AWS account and region, and a training job with this name "
        f"already exists ({arn})"
    )


def test_an_unknown_role(shop: Workshop) -> None:
    role = f"arn:aws:iam::{shop.cloud.account_id}:role/nobody"
    code, message = refusal(shop, lambda request: request.update(RoleArn=role))
    assert code == "ValidationException"
    assert message == (
        f"Could not assume role {role}. Please ensure that the role exists and allows principal "
        "'sagemaker.amazonaws.com' to assume the role."
    )


def test_a_role_that_does_not_trust_sagemaker(shop: Workshop) -> None:
    trust = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},'
        '"Action":"sts:AssumeRole"}]}'
    )
    role = shop.cloud.client("iam").create_role(RoleName="only-ec2", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    code, message = refusal(shop, lambda request: request.update(RoleArn=role))
    assert (code, message.startswith(f"Could not assume role {role}.")) == ("ValidationException", True)


def test_an_instance_type_that_does_not_exist(shop: Workshop) -> None:
    code, message = refusal(shop, lambda request: request["ResourceConfig"].update(InstanceType="ml.m5.huge"))
    assert code == "ValidationException"
    assert "Value 'ml.m5.huge' at 'resourceConfig.instanceType' failed to satisfy constraint" in message


def test_a_name_that_is_none(shop: Workshop) -> None:
    code, message = refusal(shop, lambda request: request.update(TrainingJobName="bad name!!"))
    assert code == "ValidationException"
    assert "trainingJobName" in message


def test_an_image_that_nobody_can_pull(shop: Workshop) -> None:
    image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/my/own:latest"
    code, message = refusal(shop, lambda request: request["AlgorithmSpecification"].update(TrainingImage=image))
    assert code == "ValidationException"
    assert message.startswith(
        "Cannot find repository: my/own in registry ID: 123456789012 Please check if your ECR repository exists and "
        f"role {shop.role_arn} has proper pull permissions for SageMaker: ecr:BatchCheckLayerAvailability"
    )


def test_an_inference_image(shop: Workshop) -> None:
    image = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312"
    code, _ = refusal(shop, lambda request: request["AlgorithmSpecification"].update(TrainingImage=image))
    assert code == "ValidationException"


def test_waiting_time_without_spot_and_spot_without_waiting_time(shop: Workshop) -> None:
    def wait(request: dict[str, Any]) -> None:
        request["StoppingCondition"] = {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 30}

    _, message = refusal(shop, wait)
    assert message == "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is set to true"

    def spot(request: dict[str, Any]) -> None:
        wait(request)
        request["EnableManagedSpotTraining"] = True

    _, message = refusal(shop, spot)
    assert "must be present and be greater than or equal to MaxRuntimeInSeconds" in message


def test_a_metric_whose_expression_captures_nothing(shop: Workshop) -> None:
    definitions = [{"Name": "loss", "Regex": "loss=.*"}]
    code, message = refusal(
        shop, lambda request: request["AlgorithmSpecification"].update(MetricDefinitions=definitions)
    )
    assert (code, "'loss'" in message) == ("ValidationException", True)


def test_stopping_a_job_that_is_over(shop: Workshop) -> None:
    name = shop.run("pass")["TrainingJobName"]
    with pytest.raises(ClientError) as refused:
        shop.sagemaker.stop_training_job(TrainingJobName=name)
    assert refused.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": "The request was rejected because the training job is in status Completed.",
    }


def test_an_unknown_job(shop: Workshop) -> None:
    for operation in ("describe_training_job", "stop_training_job", "delete_training_job"):
        with pytest.raises(ClientError, match=r"\(ValidationException\).*Requested resource not found\."):
            getattr(shop.sagemaker, operation)(TrainingJobName="nobody")


def test_a_running_job_cannot_be_deleted(shop: Workshop) -> None:
    name = shop.create("import time; time.sleep(600)")
    with pytest.raises(shop.sagemaker.exceptions.ResourceInUse):
        shop.sagemaker.delete_training_job(TrainingJobName=name)
    shop.sagemaker.stop_training_job(TrainingJobName=name)
    assert shop.ended(name)["TrainingJobStatus"] == "Stopped"


def test_pages_are_refused_with_other_filters(shop: Workshop) -> None:
    shop.run("pass"), shop.run("pass")
    token = shop.sagemaker.list_training_jobs(MaxResults=1)["NextToken"]
    for given in ({"NextToken": token, "NameContains": "x"}, {"NextToken": "nonsense"}):
        with pytest.raises(ClientError, match="ValidationException"):
            shop.sagemaker.list_training_jobs(**given)


def test_a_group_without_instances(shop: Workshop) -> None:
    groups = [{"InstanceGroupName": "none", "InstanceType": "ml.m5.large", "InstanceCount": 0}]
    resources = {"VolumeSizeInGB": 10, "InstanceGroups": groups}
    code, message = refusal(shop, lambda request: request.update(ResourceConfig=resources))
    assert code == "ValidationException"
    assert message == "ResourceConfig.InstanceGroups: InstanceCount of none must be at least 1."
