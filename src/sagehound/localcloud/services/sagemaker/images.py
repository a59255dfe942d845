"""Which container images this cloud can run, and with which python."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from sagehound.localcloud.errors import AwsError, validation

_AWS_REGISTRIES = r"(763104351884|727897471807|626614931356|683313688378|364406365360|918309763551|858716640294)"
_AWS_PYTORCH = re.compile(
    rf"{_AWS_REGISTRIES}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/pytorch-(?P<use>training|inference):(?P<tag>[\w.-]+)"
)
_ECR = re.compile(r"(?P<registry>\d{12})\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/(?P<name>[\w./-]+?)([:@].+)?")


@dataclass(frozen=True, slots=True)
class Image:
    """An image as it is run here: by an interpreter of this machine."""

    uri: str
    python: str
    tag: str = ""


def find(uri: str, use: str, mapped: Mapping[str, str], role_arn: str) -> Image:
    """How `uri` is run: AWS's PyTorch image for `use` (training or inference), or one that the settings map.

    Anything else cannot be pulled: AWS's words for a repository that the role cannot see.
    """
    if uri in mapped:
        return Image(uri, mapped[uri])
    pytorch = _AWS_PYTORCH.fullmatch(uri)
    if pytorch and pytorch["use"] == use:
        return Image(uri, sys.executable, pytorch["tag"])
    raise _not_found(uri, use, role_arn)


def _not_found(uri: str, use: str, role_arn: str) -> AwsError:
    way_out = f"(The local cloud runs AWS's pytorch-{use} images, and those that its settings map to a python: images.)"
    ecr = _ECR.fullmatch(uri)
    if ecr is None:
        return validation(
            f"Invalid {use} image {uri}. Please provide a valid Amazon Elastic Container Registry path of the "
            f"Docker image to run. {way_out}"
        )
    return validation(
        f"Cannot find repository: {ecr['name']} in registry ID: {ecr['registry']} Please check if your ECR repository "
        f"exists and role {role_arn} has proper pull permissions for SageMaker: ecr:BatchCheckLayerAvailability, "
        f"ecr:BatchGetImage, ecr:GetDownloadUrlForLayer {way_out}"
    )
