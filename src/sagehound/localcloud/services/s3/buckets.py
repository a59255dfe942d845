"""Buckets: create, head, list, where they are, delete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError, not_implemented
from sagehound.localcloud.services.s3.names import check_bucket_name
from sagehound.localcloud.services.s3.ownership import OWNER_ONLY, owner
from sagehound.localcloud.services.s3.records import Bucket, BucketTable, ObjectTable
from sagehound.localcloud.state.clock import Clock

_HOME = "us-east-1"
_MAX_BUCKETS = 10_000
_CLOSED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


class Buckets:
    """The operations on buckets themselves."""

    def __init__(
        self,
        buckets: BucketTable,
        objects: ObjectTable,
        clock: Clock,
        account_id: str,
        abort_uploads: Callable[[str], None],
    ) -> None:
        self._buckets = buckets
        self._objects = objects
        self._clock = clock
        self._account_id = account_id
        self._abort_uploads = abort_uploads

    def CreateBucket(self, call: Call, request: Request) -> Response:
        """An own bucket again is a success in us-east-1 and BucketAlreadyOwnedByYou elsewhere, as S3 has it."""
        name = request["Bucket"]
        check_bucket_name(name)
        configuration = request.get("CreateBucketConfiguration") or {}
        region = _region(call.region, configuration)
        if request.get("ObjectLockEnabledForBucket"):
            raise not_implemented("s3", "CreateBucket with ObjectLockEnabledForBucket")
        existing = self._buckets.find(name)
        if existing is not None:
            if region == existing["Region"] == _HOME:
                return {"Location": f"/{name}", "BucketArn": f"arn:aws:s3:::{name}"}
            message = "Your previous request to create the named bucket succeeded and you already own it."
            raise AwsError("BucketAlreadyOwnedByYou", message, 409, members={"BucketName": name})
        ownership = request.get("ObjectOwnership", "BucketOwnerEnforced")
        acl = request.get("ACL", "private")
        if acl not in OWNER_ONLY:
            message = "Bucket cannot have public ACLs set with BlockPublicAccess enabled"
            if ownership == "BucketOwnerEnforced":
                message = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"
            raise AwsError("InvalidBucketAclWithObjectOwnership", message, 400)
        bucket: Bucket = {
            "Name": name,
            "Region": region,
            "CreationDate": self._clock.now(),
            "OwnershipControls": {"Rules": [{"ObjectOwnership": ownership}]},
            "PublicAccessBlockConfiguration": _CLOSED,
        }
        if configuration.get("Tags"):
            bucket["TagSet"] = configuration["Tags"]
        self._buckets.save(bucket)
        location = f"/{name}" if region == _HOME else f"http://{name}.s3.amazonaws.com/"
        return {"Location": location, "BucketArn": f"arn:aws:s3:::{name}"}

    def HeadBucket(self, call: Call, request: Request) -> Response:
        """Whether a bucket exists, and in which region."""
        bucket = self._buckets.require(request)
        return {"BucketRegion": bucket["Region"], "BucketArn": f"arn:aws:s3:::{bucket['Name']}"}

    def ListBuckets(self, call: Call, request: Request) -> Response:
        """All buckets of the account by name, or pages of them when MaxBuckets is given."""
        limit = request.get("MaxBuckets", _MAX_BUCKETS)
        prefix = request.get("Prefix", "")
        region = request.get("BucketRegion")
        after = request.get("ContinuationToken", "")
        found = [
            bucket
            for bucket in self._buckets.all()
            if bucket["Name"].startswith(prefix) and bucket["Name"] > after and region in (None, bucket["Region"])
        ]
        paged = "MaxBuckets" in request
        answer: Response = {
            "Owner": owner(self._account_id),
            "Buckets": [_listed(bucket, with_region=paged or region is not None) for bucket in found[:limit]],
        }
        if prefix:
            answer["Prefix"] = prefix
        if len(found) > limit:
            answer["ContinuationToken"] = found[limit - 1]["Name"]
        return answer

    def GetBucketLocation(self, call: Call, request: Request) -> Response:
        """The region of a bucket; us-east-1 is said by saying nothing."""
        bucket = self._buckets.require(request)
        return {} if bucket["Region"] == _HOME else {"LocationConstraint": bucket["Region"]}

    def DeleteBucket(self, call: Call, request: Request) -> Response:
        """Only an empty bucket can be deleted: no version, no delete marker; multipart uploads go with it."""
        bucket = self._buckets.require(request)
        name = bucket["Name"]
        if self._objects.has_any(name):
            message = "The bucket you tried to delete is not empty"
            if bucket.get("VersioningConfiguration"):
                message += ". You must delete all versions in the bucket."
            raise AwsError("BucketNotEmpty", message, 409, members={"BucketName": name})
        with self._objects.transaction():
            self._abort_uploads(name)
            self._buckets.delete(name)
        return {}


def _region(endpoint: str, configuration: dict[str, Any]) -> str:
    """The region of a new bucket from its LocationConstraint and the region of the endpoint that was asked."""
    constraint = configuration.get("LocationConstraint")
    if configuration.get("Location") or configuration.get("Bucket"):
        raise not_implemented("s3", "CreateBucket of directory buckets")
    if endpoint == _HOME:
        if constraint == _HOME:
            raise AwsError(
                "InvalidLocationConstraint",
                "The specified location-constraint is not valid",
                400,
                members={"LocationConstraint": constraint},
            )
        return "eu-west-1" if constraint == "EU" else constraint or _HOME
    if constraint != endpoint and not (constraint == "EU" and endpoint == "eu-west-1"):
        named = f"{constraint} " if constraint else "unspecified "
        message = (
            f"The {named}location constraint is incompatible for the region specific endpoint this request was sent to."
        )
        raise AwsError("IllegalLocationConstraintException", message, 400)
    return endpoint


def _listed(bucket: Bucket, *, with_region: bool) -> dict[str, Any]:
    entry = {"Name": bucket["Name"], "CreationDate": bucket["CreationDate"]}
    if with_region:
        entry["BucketRegion"] = bucket["Region"]
    return entry
