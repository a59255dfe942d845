"""The images that instances start from: AWS's own by their real names; their ids are this cloud's."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from sagehound.localcloud.services.ec2 import ids

AMAZON_LINUX, DEEP_LEARNING, CANONICAL = "137112412989", "898082745236", "099720109477"
"""The accounts that own them on AWS."""
_AMAZON = (AMAZON_LINUX, DEEP_LEARNING)


class Image(NamedTuple):
    """One image: its name as on AWS, and what follows from the system that is in it."""

    name: str
    owner: str
    created: str
    size_gib: int
    architecture: str
    parameters: tuple[str, ...] = ()
    """Public parameters of Systems Manager whose value is its id."""

    @property
    def root_device(self) -> str:
        """`/dev/sda1` of Ubuntu, `/dev/xvda` of Amazon Linux."""
        return "/dev/sda1" if "ubuntu" in self.name.lower() else "/dev/xvda"

    @property
    def imds_v2(self) -> bool:
        """Whether its instances answer metadata requests with a token only, unless told otherwise."""
        return self.name.startswith("al2023-") or "Amazon Linux 2023" in self.name


_DLAMI = "/aws/service/deeplearning/ami/{}/oss-nvidia-driver-gpu-pytorch-{}-{}/latest/ami-id"
_LINUX = "/aws/service/ami-amazon-linux-latest/"
_UBUNTU = "/aws/service/canonical/ubuntu/server/{}/stable/current/amd64/hvm/{}/ami-id"


def _deep_learning(version: str, system: str, date: str, *, arm: bool = False, ssm: bool = True) -> Image:
    kind = "Deep Learning ARM64 AMI OSS Nvidia Driver GPU" if arm else "Deep Learning OSS Nvidia Driver AMI GPU"
    architecture = "arm64" if arm else "x86_64"
    place = system.lower().replace(" ", "-")
    short = ".".join(version.split(".")[:2])
    parameters = (_DLAMI.format(architecture, short, place),) if ssm else ()
    name = f"{kind} PyTorch {version} ({system}) {date}"
    return Image(
        name, DEEP_LEARNING, date, 45 if "Linux 2" in system and short == "1.13" else 75, architecture, parameters
    )


IMAGES = (
    _deep_learning("2.13", "Amazon Linux 2023", "20261003"),
    _deep_learning("2.11", "Amazon Linux 2023", "20261003"),
    _deep_learning("2.11", "Amazon Linux 2023", "20261009", arm=True),
    _deep_learning("2.10", "Amazon Linux 2023", "20260919"),
    _deep_learning("2.9", "Ubuntu 24.04", "20260103"),
    _deep_learning("2.7", "Ubuntu 22.04", "20260222"),
    _deep_learning("2.6.0", "Amazon Linux 2023", "20260103"),
    _deep_learning("2.6.0", "Ubuntu 22.04", "20250406"),
    _deep_learning("1.13.1", "Amazon Linux 2", "20231219", ssm=False),
    Image(
        "al2023-ami-2023.12.20260930.0-kernel-6.18-x86_64",
        AMAZON_LINUX,
        "20260930",
        8,
        "x86_64",
        (_LINUX + "al2023-ami-kernel-default-x86_64", _LINUX + "al2023-ami-kernel-6.18-x86_64"),
    ),
    Image(
        "al2023-ami-2023.12.20260930.0-kernel-6.1-x86_64",
        AMAZON_LINUX,
        "20260930",
        8,
        "x86_64",
        (_LINUX + "al2023-ami-kernel-6.1-x86_64",),
    ),
    Image(
        "al2023-ami-2023.12.20260930.0-kernel-6.18-arm64",
        AMAZON_LINUX,
        "20260930",
        8,
        "arm64",
        (_LINUX + "al2023-ami-kernel-default-arm64", _LINUX + "al2023-ami-kernel-6.18-arm64"),
    ),
    Image(
        "amzn2-ami-kernel-5.10-hvm-2.0.20260930.0-x86_64-gp2",
        AMAZON_LINUX,
        "20260930",
        8,
        "x86_64",
        (_LINUX + "amzn2-ami-kernel-5.10-hvm-x86_64-gp2",),
    ),
    Image(
        "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260904",
        CANONICAL,
        "20260904",
        8,
        "x86_64",
        (_UBUNTU.format("24.04", "ebs-gp3"),),
    ),
    Image(
        "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20260731",
        CANONICAL,
        "20260731",
        8,
        "x86_64",
        (_UBUNTU.format("22.04", "ebs-gp2"),),
    ),
)


@cache
def images(region: str) -> dict[str, Image]:
    """By id; a name has an id of its own in each region, always the same."""
    return {ids.stable("ami", region, image.name): image for image in IMAGES}


def parameters(region: str) -> dict[str, str]:
    """Systems Manager's public parameters that name an image -> its id."""
    return {name: image_id for image_id, image in images(region).items() for name in image.parameters}


def described(image_id: str, image: Image) -> dict[str, Any]:
    """An image as DescribeImages answers it."""
    day = f"{image.created[:4]}-{image.created[4:6]}-{image.created[6:]}T00:00:00.000Z"
    amazon = image.owner in _AMAZON
    return {
        "ImageId": image_id,
        "Name": image.name,
        "Description": f"{image.name}: in the local cloud, under an id of its own, with the programs of this machine",
        "ImageLocation": f"{'amazon' if amazon else image.owner}/{image.name}",
        "ImageType": "machine",
        "Public": True,
        "OwnerId": image.owner,
        **({"ImageOwnerAlias": "amazon"} if amazon else {}),
        "State": "available",
        "CreationDate": day,
        "Architecture": image.architecture,
        "PlatformDetails": "Linux/UNIX",
        "UsageOperation": "RunInstances",
        "RootDeviceType": "ebs",
        "RootDeviceName": image.root_device,
        "BlockDeviceMappings": [
            {
                "DeviceName": image.root_device,
                "Ebs": {
                    "DeleteOnTermination": True,
                    "SnapshotId": ids.stable("snap", image_id),
                    "VolumeSize": image.size_gib,
                    "VolumeType": "gp3" if image.owner == DEEP_LEARNING or "gp3" in image.name else "gp2",
                    "Encrypted": False,
                },
            }
        ],
        "VirtualizationType": "hvm",
        "Hypervisor": "xen",
        "EnaSupport": True,
        "SriovNetSupport": "simple",
        "BootMode": "uefi-preferred" if image.architecture == "x86_64" else "uefi",
        **({"ImdsSupport": "v2.0"} if image.imds_v2 else {}),
    }
