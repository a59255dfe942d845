"""Image URIs of AWS's PyTorch containers: by region, version and instance type, as the SageMaker SDK gives them."""

from __future__ import annotations

import boto3
import pytest

from sagehound.errors import SettingsError
from sagehound.pipeline.aws_images import ACCOUNTS, PYTHONS, image_uri, processor_of
from sagehound.settings import AwsSettings, TrainSettings


def uri(kind: str, instance_type: str, region: str, **versions: str) -> str:
    return image_uri(kind, instance_type, region, TrainSettings(**versions), AwsSettings())


@pytest.mark.parametrize(
    ("region", "start"),
    [
        ("eu-west-1", "763104351884.dkr.ecr.eu-west-1.amazonaws.com/"),
        ("ap-southeast-7", "590183813437.dkr.ecr.ap-southeast-7.amazonaws.com/"),
        ("cn-north-1", "727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/"),
        ("us-gov-west-1", "442386744353.dkr.ecr.us-gov-west-1.amazonaws.com/"),
    ],
)
def test_each_region_has_its_registry(region: str, start: str) -> None:
    assert uri("training", "ml.m5.large", region) == f"{start}pytorch-training:2.6.0-cpu-py312"
    assert uri("inference", "ml.g5.xlarge", region) == f"{start}pytorch-inference:2.6.0-gpu-py312"


def test_every_region_in_which_sagemaker_is_has_one() -> None:
    session = boto3.Session()
    regions = {
        region
        for partition in ("aws", "aws-cn", "aws-us-gov")
        for region in session.get_available_regions("sagemaker", partition_name=partition)
        if "fips" not in region
    }
    assert regions - set(ACCOUNTS) == set()


@pytest.mark.parametrize(
    ("instance_type", "processor"),
    [
        ("ml.m5.xlarge", "cpu"),
        ("ml.c5.18xlarge", "cpu"),
        ("ml.t3.medium", "cpu"),
        ("ml.m6i.large", "cpu"),
        ("ml.p3.2xlarge", "gpu"),
        ("ml.g4dn.xlarge", "gpu"),
        ("ml.g6e.xlarge", "gpu"),
        ("ml.p6-b200.48xlarge", "gpu"),
    ],
)
def test_the_instance_type_chooses_cpu_or_gpu(instance_type: str, processor: str) -> None:
    assert processor_of(instance_type) == processor


@pytest.mark.parametrize(
    ("instance_type", "word"),
    [
        ("ml.inf2.xlarge", "Neuron"),
        ("ml.trn1.2xlarge", "Neuron"),
        ("ml.c7g.large", "Arm"),
        ("ml.m6gd.large", "Arm"),
        ("ml.g5g.xlarge", "Arm"),
        ("ml.p6e-gb200.36xlarge", "Arm"),
        ("m5.large", "no SageMaker instance type"),
    ],
)
def test_what_no_image_runs_on_is_refused(instance_type: str, word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        processor_of(instance_type)


def test_a_version_without_both_images_or_with_another_python_is_refused() -> None:
    for version, python in PYTHONS.items():
        assert version in uri("training", "ml.m5.large", "us-east-1", framework_version=version, py_version=python)
    with pytest.raises(SettingsError, match=r"2\.8\.0.*training and inference") as refused:
        uri("training", "ml.m5.large", "us-east-1", framework_version="2.8.0")
    assert "2.6.0" in refused.value.hint
    with pytest.raises(SettingsError, match="has py311"):
        uri("training", "ml.m5.large", "us-east-1", framework_version="2.5.1")


def test_an_unknown_region_is_refused_and_images_of_ones_own_are_the_way_out() -> None:
    with pytest.raises(SettingsError, match="xx-north-1") as refused:
        uri("training", "ml.m5.large", "xx-north-1")
    assert "aws.training_image" in refused.value.hint
    own = AwsSettings(training_image="1.dkr.ecr.xx-north-1.amazonaws.com/mine:1", inference_image="other:1")
    assert image_uri("training", "ml.m5.large", "xx-north-1", TrainSettings(), own) == own.training_image
    assert image_uri("inference", "ml.m5.large", "xx-north-1", TrainSettings(), own) == own.inference_image
