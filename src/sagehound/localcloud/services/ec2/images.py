"""DescribeImages: the Deep Learning images with PyTorch, Amazon Linux and Ubuntu."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.ec2 import catalogue, errors, ids, selection
from sagehound.localcloud.services.ec2.tags import TagTable

Record = dict[str, Any]
ImageParameters = Callable[[str, str], str]
"""The value of a parameter of Systems Manager, by region and name (perhaps with a version); AwsError without one."""
_BY_PARAMETER = "resolve:ssm:"
_FILTERS = {
    "architecture": "Architecture",
    "block-device-mapping.device-name": "BlockDeviceMappings.DeviceName",
    "block-device-mapping.volume-type": "BlockDeviceMappings.Ebs.VolumeType",
    "block-device-mapping.volume-size": "BlockDeviceMappings.Ebs.VolumeSize",
    "block-device-mapping.delete-on-termination": "BlockDeviceMappings.Ebs.DeleteOnTermination",
    "creation-date": "CreationDate",
    "description": "Description",
    "ena-support": "EnaSupport",
    "hypervisor": "Hypervisor",
    "image-id": "ImageId",
    "image-type": "ImageType",
    "is-public": "Public",
    "name": "Name",
    "owner-alias": "ImageOwnerAlias",
    "owner-id": "OwnerId",
    "platform-details": "PlatformDetails",
    "root-device-name": "RootDeviceName",
    "root-device-type": "RootDeviceType",
    "state": "State",
    "usage-operation": "UsageOperation",
    "virtualization-type": "VirtualizationType",
}


def known(region: str, image_id: str) -> catalogue.Image:
    """The image of an id; AwsError when there is none."""
    ids.check("ami", "InvalidAMIID.Malformed", image_id)
    found = catalogue.images(region).get(image_id)
    if found is None:
        raise AwsError("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    return found


def resolved(region: str, image_id: str, parameters: ImageParameters) -> str:
    """The id that a request means: itself, or with `resolve:ssm:NAME` the value of that parameter."""
    if not image_id.startswith(_BY_PARAMETER):
        return image_id
    try:
        return parameters(region, image_id.removeprefix(_BY_PARAMETER))
    except AwsError as refusal:
        raise errors.invalid(image_id, "imageId", refusal.message) from refusal


class Images:
    """The operations."""

    def __init__(self, tags: TagTable) -> None:
        self._tags = tags

    def DescribeImages(self, call: Call, request: Request) -> Response:
        """All images, or those that are named, of these owners."""
        if request.get("ImageIds") and request.get("MaxResults") is not None:
            raise errors.combination("The parameter imageIds cannot be used with the parameter maxResults")
        for image_id in request.get("ImageIds", ()):
            known(call.region, image_id)
        named = request.get("ImageIds") or catalogue.images(call.region)
        records = [
            {**catalogue.described(image_id, image), **self._tags.shown(call.region, image_id)}
            for image_id, image in catalogue.images(call.region).items()
            if image_id in named
        ]
        if owners := request.get("Owners"):
            # Nobody makes images here: `self` owns none.
            records = [image for image in records if {image["OwnerId"], image.get("ImageOwnerAlias")} & {*owners}]
        found = selection.select(records, request.get("Filters", ()), _FILTERS)
        shown, token = selection.page(found, request, lambda image: str(image["ImageId"]), smallest=1)
        return {"Images": shown, **token}
