"""Which container images this cloud can run, and with which python."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from sagehound.localcloud.errors import AwsError, validation

_AWS_REGISTRIES = frozenset(
    [
        "763104351884",
        "364406365360",
        "626614931356",
        "780543022126",
        "871362719292",
        "772153158452",
        "907027046896",
        "457447274322",
        "727897471807",
        "380420809688",
        "692866216735",
        "503227376785",
        "217643126080",
        "914824155844",
        "446045086412",
        "442386744353",
        "204538143572",
        "550225433462",
        "590183813437",
        "633930458069",
        "637423239942",
        "975050140332",
        "124382933778",
    ]
)
"""The accounts from which AWS gives out its deep learning images, over all regions of AWS and AWS China."""
_ECR = re.compile(
    r"(?P<registry>\d{12})\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/(?P<name>[\w./-]+?)(?P<tag>[:@].+)?"
)
_TAG = re.compile(r"(?P<torch>\d+(?:\.\d+)*)-(?P<processor>[a-z]+)-py(?P<major>\d)(?P<minor>\d*)")
_PY3 = "6"
"""The minor version of Python in the images whose tag says only py3."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the tag of one of AWS's images says is in it."""

    torch: str
    python: str
    gpu: bool


@dataclass(frozen=True, slots=True)
class Image:
    """An image as it is run here: by an interpreter of this machine."""

    uri: str
    python: str

    @property
    def asked(self) -> Asked | None:
        """What the image has where it is really run; None for one whose tag does not say."""
        tag = _TAG.match(self.uri.rpartition("/")[2].partition(":")[2])
        if tag is None:
            return None
        return Asked(tag["torch"], f"{tag['major']}.{tag['minor'] or _PY3}", tag["processor"] == "gpu")


def find(uri: str, use: str, mapped: Mapping[str, str], role_arn: str) -> Image:
    """How `uri` is run: AWS's PyTorch image for `use` (training or inference), or one that the settings map.

    Anything else cannot be pulled: AWS's words for a repository that the role cannot see.
    """
    python = _mapped(uri, mapped)
    if python is not None:
        return Image(uri, str(Path(python).expanduser()))
    ecr = _ECR.fullmatch(uri)
    if ecr and ecr["registry"] in _AWS_REGISTRIES and ecr["name"] == f"pytorch-{use}" and ecr["tag"]:
        return Image(uri, sys.executable)
    raise _not_found(uri, use, role_arn)


def _mapped(uri: str, mapped: Mapping[str, str]) -> str | None:
    """The python that the settings name for an image: for its URI, else for the first pattern that fits."""
    if uri in mapped:
        return mapped[uri]
    tagged = uri.rpartition("/")[2]
    fits = (python for pattern, python in mapped.items() if fnmatchcase(uri, pattern) or fnmatchcase(tagged, pattern))
    return next(fits, None)


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
