"""Models and endpoint configurations: what is stored, listed and refused, in AWS's words."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud.hosting import IMAGE, Hosting, answering
from tests.cloud_process import CloudProcess


@pytest.fixture
def hosting(cloud: CloudProcess) -> Hosting:
    return Hosting(cloud)


def create(hosting: Hosting, name: str = "m", **members: Any) -> dict[str, Any]:
    container = {
        "Image": IMAGE,
        "ModelDataUrl": f"s3://{hosting.bucket}/m/model.tar.gz",
        **members.pop("Container", {}),
    }
    asked = {
        "ModelName": hosting.name(name),
        "ExecutionRoleArn": hosting.role_arn,
        "PrimaryContainer": container,
        **members,
    }
    answer: dict[str, Any] = hosting.sagemaker.create_model(**asked)
    return answer


def test_a_model_lives_from_create_to_delete(hosting: Hosting) -> None:
    hosting.upload("m", answering("x"))
    arn = create(hosting, Tags=[{"Key": "a", "Value": "b"}], Container={"Environment": {"K": "v"}})["ModelArn"]
    assert arn == f"arn:aws:sagemaker:us-east-1:123456789012:model/{hosting.name('m')}"
    described = hosting.sagemaker.describe_model(ModelName=hosting.name("m"))
    assert described["PrimaryContainer"]["Environment"] == {"K": "v"}
    assert described["ExecutionRoleArn"] == hosting.role_arn
    assert "Tags" not in described
    assert hosting.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    listed = hosting.sagemaker.list_models(NameContains=hosting.prefix)["Models"]
    assert [model["ModelArn"] for model in listed] == [arn]
    with pytest.raises(ClientError, match=f'Cannot create already existing model "{arn}"'):
        create(hosting)
    hosting.sagemaker.delete_model(ModelName=hosting.name("m"))
    with pytest.raises(ClientError, match=f'Could not find model "{arn}"'):
        hosting.sagemaker.describe_model(ModelName=hosting.name("m"))
    with pytest.raises(ClientError, match="Could not find model"):
        hosting.sagemaker.delete_model(ModelName=hosting.name("m"))


def test_models_are_listed_in_pages_newest_first(hosting: Hosting) -> None:
    hosting.upload("m", answering("x"))
    for number in range(3):
        create(hosting, f"m{number}")
    pages = hosting.sagemaker.get_paginator("list_models").paginate(
        NameContains=hosting.prefix, PaginationConfig={"PageSize": 2}
    )
    names = [[model["ModelName"].rpartition("-")[2] for model in page["Models"]] for page in pages]
    assert names == [["m2", "m1"], ["m0"]]


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"Container": {"ModelDataUrl": "s3://{bucket}/other/model.tar.gz"}}, "Could not find model data at s3://"),
        (
            {"Container": {"ModelDataUrl": "s3://no-bucket-of-that-name-x/m.tar.gz"}},
            "Could not find model data at s3://",
        ),
        ({"ExecutionRoleArn": "arn:aws:iam::123456789012:role/nobody"}, "Could not access model data at s3://"),
        (
            {"Container": {"Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1"}},
            "Cannot find repository: mine in registry ID: 123456789012",
        ),
        ({"Container": {"Image": IMAGE.replace("inference", "training")}}, "Cannot find repository: pytorch-training"),
        ({"Container": {"Mode": "MultiModel"}}, "do not have multi-model containers"),
        ({"EnableNetworkIsolation": True}, "do not have EnableNetworkIsolation"),
    ],
)
def test_what_cannot_be_hosted_is_refused(hosting: Hosting, members: dict[str, Any], words: str) -> None:
    hosting.upload("m", answering("x"))
    container = {name: str(value).format(bucket=hosting.bucket) for name, value in members.get("Container", {}).items()}
    with pytest.raises(ClientError, match=words):
        create(hosting, **{**members, "Container": container})


def test_a_configuration_lives_from_create_to_delete(hosting: Hosting) -> None:
    model = hosting.model("m", answering("x"))
    name = hosting.config("c", hosting.variant(model))
    described = hosting.sagemaker.describe_endpoint_config(EndpointConfigName=name)
    assert described["ProductionVariants"] == [{**hosting.variant(model), "InitialVariantWeight": 1.0}]
    listed = hosting.sagemaker.list_endpoint_configs(NameContains=hosting.prefix)["EndpointConfigs"]
    assert [config["EndpointConfigName"] for config in listed] == [name]
    with pytest.raises(ClientError, match="Cannot create already existing endpoint configuration"):
        hosting.config("c", hosting.variant(model))
    hosting.sagemaker.delete_endpoint_config(EndpointConfigName=name)
    with pytest.raises(ClientError, match="Could not find endpoint configuration"):
        hosting.sagemaker.describe_endpoint_config(EndpointConfigName=name)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        (
            {"ModelName": "no-such-model"},
            'Could not find model "arn:aws:sagemaker:us-east-1:123456789012:model/no-such',
        ),
        ({"InstanceType": "ml.m5.enormous"}, "Member must satisfy enum value set"),
        ({"InitialVariantWeight": 0.0}, "At least one production variant"),
        ({"RoutingConfig": {"RoutingStrategy": "RANDOM"}}, "do not have RoutingStrategy RANDOM"),
    ],
)
def test_a_configuration_that_would_not_work_is_refused(hosting: Hosting, members: dict[str, Any], words: str) -> None:
    model = hosting.model("m", answering("x"))
    with pytest.raises(ClientError, match=words):
        hosting.config("c", hosting.variant(model, **members))


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("ExplainerConfig", {"ClarifyExplainerConfig": {"ShapConfig": {"ShapBaselineConfig": {}}}}),
    ],
)
def test_what_is_not_done_is_said_by_name(hosting: Hosting, member: str, value: Any) -> None:
    variant = hosting.variant(hosting.model("m", answering("x")))
    with pytest.raises(ClientError, match=f"do not have {member}") as refused:
        hosting.sagemaker.create_endpoint_config(
            EndpointConfigName=hosting.name("c"), ProductionVariants=[variant], **{member: value}
        )
    assert refused.value.response["Error"]["Code"] == "NotImplemented"
