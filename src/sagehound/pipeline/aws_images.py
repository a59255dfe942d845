"""AWS's PyTorch containers: their image URIs by region, version and instance type, as the SageMaker SDK knows them.

The tables are those of `image_uri_config/pytorch.json` in sagemaker-core 2.27.0 (2026-10-21), as far as an image exists
for training and for inference, for CPU and for GPU, with a Python that the classifier runs on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sagehound.errors import SettingsError
from sagehound.settings import AwsSettings, TrainSettings

USUAL_ACCOUNT = "763104351884"
_USUAL_REGIONS = (
    *("ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1"),
    *("eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1"),
    *("us-east-1", "us-east-2", "us-west-1", "us-west-2"),
)
ACCOUNTS: Mapping[str, str] = {
    **dict.fromkeys(_USUAL_REGIONS, USUAL_ACCOUNT),
    "af-south-1": "626614931356",
    "ap-east-1": "871362719292",
    "ap-east-2": "975050140332",
    "ap-northeast-3": "364406365360",
    "ap-south-2": "772153158452",
    "ap-southeast-3": "907027046896",
    "ap-southeast-4": "457447274322",
    "ap-southeast-5": "550225433462",
    "ap-southeast-6": "633930458069",
    "ap-southeast-7": "590183813437",
    "ca-west-1": "204538143572",
    "cn-north-1": "727897471807",
    "cn-northwest-1": "727897471807",
    "eu-central-2": "380420809688",
    "eu-south-1": "692866216735",
    "eu-south-2": "503227376785",
    "il-central-1": "780543022126",
    "me-central-1": "914824155844",
    "me-south-1": "217643126080",
    "mx-central-1": "637423239942",
    "us-gov-east-1": "446045086412",
    "us-gov-west-1": "442386744353",
}
"""Region -> the account whose registry gives the images out there."""
PYTHONS: Mapping[str, str] = {"2.3.0": "py311", "2.4.0": "py311", "2.5.1": "py311", "2.6.0": "py312"}
"""PyTorch -> Python of the images that exist for training and for inference."""
REPOSITORIES = ("pytorch-training", "pytorch-inference")

_TYPE = re.compile(r"^ml\.(?P<family>[a-z]+\d+[a-z0-9-]*|[a-z]+)\.[a-z0-9-]+$")
_GRAVITON = re.compile(r"^(?:[a-z]+\d+g[a-z]*|[a-z0-9]+-gb\d+)$")
"""Graviton, and the Grace processors beside GPUs: Arm."""


def image_uri(kind: str, instance_type: str, region: str, train: TrainSettings, aws: AwsSettings) -> str:
    """The image for ``kind`` (training or inference) on an instance type: the settings' own, or AWS's PyTorch one.

    Raises SettingsError where AWS has none for the region, the version or the type.
    """
    own = aws.training_image if kind == "training" else aws.inference_image
    if own:
        return own
    account = registry_account(region)
    python = PYTHONS.get(train.framework_version)
    if python is None:
        raise SettingsError(
            f"train.framework_version {train.framework_version!r}: there is no PyTorch image of it for training and "
            "inference",
            f"It is one of: {', '.join(PYTHONS)}. Or name images of your own: aws.training_image, aws.inference_image.",
        )
    if train.py_version != python:
        raise SettingsError(
            f"train.py_version {train.py_version!r}: AWS's image of PyTorch {train.framework_version} has {python}",
            f'Set train.py_version = "{python}".',
        )
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    tag = f"{train.framework_version}-{processor_of(instance_type)}-{python}"
    return f"{account}.dkr.ecr.{region}.{domain}/pytorch-{kind}:{tag}"


def registry_account(region: str) -> str:
    """The account of the registry that serves a region; raises SettingsError where AWS has none there."""
    account = ACCOUNTS.get(region)
    if account is None:
        raise SettingsError(
            f"AWS gives out no PyTorch images for training in region {region!r}",
            "Take another `region`, or name images of your own: aws.training_image and aws.inference_image.",
        )
    return account


def processor_of(instance_type: str) -> str:
    """gpu for the families p and g, cpu for the others; raises SettingsError for what no PyTorch image runs on."""
    found = _TYPE.match(instance_type)
    if found is None:
        raise SettingsError(
            f"{instance_type!r} is no SageMaker instance type", "They look like ml.m5.large or ml.g5.xlarge."
        )
    family = found["family"]
    if family.startswith(("inf", "trn")):
        raise SettingsError(
            f"{instance_type} has no GPU but Neuron cores, which take images and models compiled for them",
            "Take a GPU type (ml.g5.xlarge, ml.g4dn.xlarge) or a CPU type (ml.m5.large, ml.c5.xlarge).",
        )
    if _GRAVITON.match(family):
        raise SettingsError(
            f"{instance_type} has an Arm processor, and these images are for x86",
            "Take the x86 type of the same size, as in ml.m5.large for ml.m6g.large.",
        )
    return "gpu" if family.startswith(("p", "g")) else "cpu"
