"""The output of commands in S3: the instance's role puts it there, as AWS's agent does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.ssm import shell_script
from sagehound.localcloud.services.ssm.fleet import Fleet
from sagehound.localcloud.services.ssm.needs import Objects, RoleAccess
from sagehound.localcloud.services.ssm.output import Output

logger = logging.getLogger(__name__)
Record = dict[str, Any]
VIA = "ssm.amazonaws.com"


class Upload:
    """Puts both streams into the bucket of the command."""

    def __init__(self, objects: Objects, access: RoleAccess, fleet: Fleet, endpoint_url: Callable[[], str]) -> None:
        self._objects = objects
        self._access = access
        self._fleet = fleet
        self._endpoint_url = endpoint_url

    def check(self, bucket: str) -> None:
        """InvalidOutputFolder when there is no such bucket."""
        if self._objects.bucket_region(bucket) is None:
            raise AwsError("InvalidOutputFolder", f"The S3 bucket doesn't exist: {bucket}.")

    def urls(self, command: Record, instance_id: str) -> dict[str, str]:
        """Where the streams are (to be)."""
        bucket = command["OutputS3BucketName"]
        return {
            f"Standard{name}Url": f"{self._endpoint_url()}/{bucket}/{_key(command, instance_id, stream)}"
            if bucket
            else ""
            for name, stream in (("Output", "stdout"), ("Error", "stderr"))
        }

    async def put(self, command: Record, instance_id: str, output: Output) -> None:
        """Upload what is not empty; AwsError when the role may not or the bucket is gone."""
        bucket, region = command["OutputS3BucketName"], command["region"]
        if not bucket:
            return
        machine = self._fleet.machine(region, instance_id)
        for stream in ("stdout", "stderr"):
            path, key = output.path(stream), _key(command, instance_id, stream)
            if not path.stat().st_size:
                continue
            if machine is None or machine.role_arn is None:
                raise AwsError("AccessDenied", f"the instance {instance_id} has no role any more", 403)
            resource = f"arn:aws:s3:::{bucket}/{key}"
            refusal = self._access.denied_among(
                machine.role_arn, instance_id, "s3:PutObject", (resource,), resource, None, region=region, via=VIA
            )
            if refusal is not None:
                raise AwsError("AccessDenied", refusal[1], 403)
            await asyncio.to_thread(self._objects.put_file, bucket, key, path, "text/plain")


def _key(command: Record, instance_id: str, stream: str) -> str:
    prefix = command["OutputS3KeyPrefix"].strip("/")
    step = shell_script.STEP
    path = f"{command['CommandId']}/{instance_id}/{step}/0.{step}/{stream}"
    return f"{prefix}/{path}" if prefix else path
