"""Where a deployment package comes from: the request itself or S3, in AWS's limits."""

from __future__ import annotations

import asyncio
from typing import Any

from sagehound.localcloud.call import Call
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.lambda_.code import Package, Packages
from sagehound.localcloud.services.lambda_.errors import invalid, unsupported
from sagehound.localcloud.services.lambda_.needs import Objects
from sagehound.localcloud.services.lambda_.unzip import MAX_UNZIPPED, BadPackage

MAX_ZIPPED = 52_428_800
"""Bytes of a package in a request: AWS's 50 MB. One that lies in S3 may have up to the unpacked limit."""
MAX_FROM_S3 = MAX_UNZIPPED
_NOT_HERE = {
    "ImageUri": "container images (PackageType Image)",
    "SourceKMSKeyArn": "encryption of packages with keys of KMS",
}


class Deployments:
    """Fetches packages and keeps them."""

    def __init__(self, packages: Packages, objects: Objects) -> None:
        self._packages = packages
        self._objects = objects

    async def fetch(self, call: Call, source: dict[str, Any]) -> Package:
        """The package that Code, Content or UpdateFunctionCode names; refused in AWS's words."""
        for member, what in _NOT_HERE.items():
            if source.get(member):
                raise unsupported(what)
        if source.get("S3ObjectStorageMode", "COPY") != "COPY":
            raise unsupported("S3ObjectStorageMode REFERENCE (packages are copied)")
        data = source.get("ZipFile")
        if data is None and not ("S3Bucket" in source and "S3Key" in source):
            raise invalid("Please provide a source for function code.")
        if data is not None and any(member in source for member in ("S3Bucket", "S3Key", "S3ObjectVersion")):
            raise invalid("Please do not provide other FunctionCode parameters when providing a ZipFile.")
        if data is not None and len(data) > MAX_ZIPPED:
            message = f"Zipped size must be smaller than {MAX_ZIPPED} bytes"
            raise AwsError("RequestEntityTooLargeException", message, 413)
        if data is not None and not data:
            raise invalid("Uploaded file must be a non-empty zip")
        return await asyncio.to_thread(self._keep, call.region, source, data)

    def _keep(self, region: str, source: dict[str, Any], data: bytes | None) -> Package:
        try:
            return self._packages.keep(self._from_s3(region, source) if data is None else data)
        except BadPackage as reason:
            raise invalid(str(reason)) from reason

    def _from_s3(self, region: str, source: dict[str, Any]) -> bytes:
        bucket, key, version = source["S3Bucket"], source["S3Key"], source.get("S3ObjectVersion")
        found_in = self._objects.bucket_region(bucket)
        if found_in is None:
            raise _s3_error("NoSuchBucket", "The specified bucket does not exist")
        if found_in != region:
            advice = f"The bucket is in this region: {found_in}. Please use this region to retry the request"
            raise _s3_error("PermanentRedirect", advice)
        try:
            if self._objects.object_size(bucket, key, version) > MAX_FROM_S3:
                raise invalid(f"Unzipped size must be smaller than {MAX_FROM_S3} bytes")
            return self._objects.read_object(bucket, key, version)
        except KeyError as missing:
            if version is not None:
                raise _s3_error("NoSuchVersion", "The specified version does not exist.") from missing
            raise _s3_error("NoSuchKey", "The specified key does not exist.") from missing


def _s3_error(code: str, message: str) -> AwsError:
    return invalid(f"Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {message}")
