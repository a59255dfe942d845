"""Tags of objects: get, put, delete."""

from __future__ import annotations

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.services.s3.attributes import check_tags
from sagehound.localcloud.services.s3.objects import version_member
from sagehound.localcloud.services.s3.reading import find_version
from sagehound.localcloud.services.s3.records import BucketTable, ObjectTable

_MAX_TAGS = 10


class ObjectTags:
    """GetObjectTagging, PutObjectTagging and DeleteObjectTagging."""

    def __init__(self, buckets: BucketTable, objects: ObjectTable) -> None:
        self._buckets = buckets
        self._objects = objects

    def GetObjectTagging(self, call: Call, request: Request) -> Response:
        """The tag set of the latest, or the named, version."""
        bucket = self._buckets.require(request)
        version = find_version(self._objects, bucket, request, "GET")
        return {"TagSet": version.tags, **version_member(bucket, version)}

    def PutObjectTagging(self, call: Call, request: Request) -> Response:
        """Replace the tag set."""
        bucket = self._buckets.require(request)
        tags = check_tags(request["Tagging"]["TagSet"], _MAX_TAGS)
        version = find_version(self._objects, bucket, request, "PUT")
        version.tags = tags
        self._objects.save(version)
        return version_member(bucket, version)

    def DeleteObjectTagging(self, call: Call, request: Request) -> Response:
        """Remove the tag set."""
        bucket = self._buckets.require(request)
        version = find_version(self._objects, bucket, request, "DELETE")
        version.tags = []
        self._objects.save(version)
        return version_member(bucket, version)
