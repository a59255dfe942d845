"""Configurations of buckets that are kept as they are given: versioning, encryption, lifecycle, tags and others."""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError, not_implemented
from sagehound.localcloud.services.s3.attributes import check_tags
from sagehound.localcloud.services.s3.errors import malformed_xml
from sagehound.localcloud.services.s3.lifecycle import check_rules
from sagehound.localcloud.services.s3.records import BucketTable

_MAX_BUCKET_TAGS = 50
_DEFAULT_ENCRYPTION = {
    "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]
}


class _Settings:
    """One member of a bucket's record, read and written."""

    def __init__(self, buckets: BucketTable) -> None:
        self._buckets = buckets

    def _put(self, request: Request, member: str, value: Any) -> Response:
        bucket = self._buckets.require(request)
        self._buckets.save({**bucket, member: value})
        return {}

    def _get(self, request: Request, member: str, missing: tuple[str, str] | None = None) -> Any:
        bucket = self._buckets.require(request)
        value = bucket.get(member)
        if value is None and missing is not None:
            code, message = missing
            raise AwsError(code, message, 404, members={"BucketName": bucket["Name"]})
        return value

    def _delete(self, request: Request, member: str) -> Response:
        bucket = self._buckets.require(request)
        self._buckets.save({name: value for name, value in bucket.items() if name != member})
        return {}


class Versioning(_Settings):
    """Whether versions are kept."""

    def PutBucketVersioning(self, call: Call, request: Request) -> Response:
        """Enabled or Suspended; once enabled it can never be taken back, only suspended."""
        self._buckets.require(request)
        configuration = request["VersioningConfiguration"]
        if configuration.get("MFADelete") == "Enabled":
            raise not_implemented("s3", "MFADelete")
        if "Status" not in configuration:
            message = "The Versioning element must be specified"
            raise AwsError("IllegalVersioningConfigurationException", message, 400)
        return self._put(request, "VersioningConfiguration", {"Status": configuration["Status"]})

    def GetBucketVersioning(self, call: Call, request: Request) -> Response:
        """The status; nothing for a bucket that never had versions."""
        return self._get(request, "VersioningConfiguration") or {}


class Encryption(_Settings):
    """What new objects are said to be encrypted with: nothing on this disk is; docs/limits.md says so."""

    def PutBucketEncryption(self, call: Call, request: Request) -> Response:
        """The default of new objects."""
        configuration = request["ServerSideEncryptionConfiguration"]
        rules = configuration.get("Rules", [])
        if len(rules) != 1 or "ApplyServerSideEncryptionByDefault" not in rules[0]:
            raise malformed_xml()
        return self._put(request, "ServerSideEncryptionConfiguration", configuration)

    def GetBucketEncryption(self, call: Call, request: Request) -> Response:
        """Every bucket has one: AES256 until another is put."""
        found = self._get(request, "ServerSideEncryptionConfiguration")
        return {"ServerSideEncryptionConfiguration": found or _DEFAULT_ENCRYPTION}

    def DeleteBucketEncryption(self, call: Call, request: Request) -> Response:
        """Back to AES256."""
        return self._delete(request, "ServerSideEncryptionConfiguration")


class LifecycleRules(_Settings):
    """Rules that expire objects (lifecycle.py carries them out)."""

    def PutBucketLifecycleConfiguration(self, call: Call, request: Request) -> Response:
        """Replace the rules."""
        rules = request.get("LifecycleConfiguration", {}).get("Rules", [])
        size = request.get("TransitionDefaultMinimumObjectSize", "all_storage_classes_128K")
        self._put(request, "LifecycleRules", check_rules(rules))
        return {"TransitionDefaultMinimumObjectSize": size}

    def GetBucketLifecycleConfiguration(self, call: Call, request: Request) -> Response:
        """The rules."""
        missing = ("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist")
        rules = self._get(request, "LifecycleRules", missing)
        return {"Rules": rules, "TransitionDefaultMinimumObjectSize": "all_storage_classes_128K"}

    def DeleteBucketLifecycle(self, call: Call, request: Request) -> Response:
        """Remove the rules."""
        return self._delete(request, "LifecycleRules")


class BucketTags(_Settings):
    """Tags of a bucket."""

    def PutBucketTagging(self, call: Call, request: Request) -> Response:
        """Replace the tag set."""
        return self._put(request, "TagSet", check_tags(request["Tagging"]["TagSet"], _MAX_BUCKET_TAGS))

    def GetBucketTagging(self, call: Call, request: Request) -> Response:
        """The tag set."""
        return {"TagSet": self._get(request, "TagSet", ("NoSuchTagSet", "The TagSet does not exist"))}

    def DeleteBucketTagging(self, call: Call, request: Request) -> Response:
        """Remove the tag set."""
        return self._delete(request, "TagSet")


class PublicAccess(_Settings):
    """Block Public Access; new buckets have it on."""

    def PutPublicAccessBlock(self, call: Call, request: Request) -> Response:
        """Replace the four switches; those not given are off."""
        names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        given = request["PublicAccessBlockConfiguration"]
        return self._put(request, "PublicAccessBlockConfiguration", {name: given.get(name, False) for name in names})

    def GetPublicAccessBlock(self, call: Call, request: Request) -> Response:
        """The four switches."""
        code = "NoSuchPublicAccessBlockConfiguration"
        missing = (code, "The public access block configuration was not found")
        return {"PublicAccessBlockConfiguration": self._get(request, "PublicAccessBlockConfiguration", missing)}

    def DeletePublicAccessBlock(self, call: Call, request: Request) -> Response:
        """Remove the switches."""
        return self._delete(request, "PublicAccessBlockConfiguration")


class Ownership(_Settings):
    """Object ownership; new buckets have BucketOwnerEnforced."""

    def PutBucketOwnershipControls(self, call: Call, request: Request) -> Response:
        """Replace the rule."""
        controls = request["OwnershipControls"]
        if len(controls["Rules"]) != 1:
            raise malformed_xml()
        return self._put(request, "OwnershipControls", controls)

    def GetBucketOwnershipControls(self, call: Call, request: Request) -> Response:
        """The rule."""
        missing = ("OwnershipControlsNotFoundError", "The bucket ownership controls were not found")
        return {"OwnershipControls": self._get(request, "OwnershipControls", missing)}

    def DeleteBucketOwnershipControls(self, call: Call, request: Request) -> Response:
        """Remove the rule."""
        return self._delete(request, "OwnershipControls")


class Absent(_Settings):
    """What no bucket here has: the answers that S3 gives for a bucket without it, and refusals to set it up."""

    def GetBucketLogging(self, call: Call, request: Request) -> Response:
        """No access logging."""
        self._buckets.require(request)
        return {}

    def PutBucketLogging(self, call: Call, request: Request) -> Response:
        """Turning off what is off is fine."""
        self._buckets.require(request)
        if request["BucketLoggingStatus"].get("LoggingEnabled"):
            raise not_implemented("s3", "PutBucketLogging (calls.jsonl in the data directory records every call)")
        return {}

    def GetBucketNotificationConfiguration(self, call: Call, request: Request) -> Response:
        """No notifications."""
        self._buckets.require(request)
        return {}

    def PutBucketNotificationConfiguration(self, call: Call, request: Request) -> Response:
        """Turning off what is off is fine."""
        self._buckets.require(request)
        if any(value is not None and value != [] for value in request["NotificationConfiguration"].values()):
            raise not_implemented("s3", "PutBucketNotificationConfiguration")
        return {}

    def GetBucketAccelerateConfiguration(self, call: Call, request: Request) -> Response:
        """No transfer acceleration."""
        self._buckets.require(request)
        return {}

    def GetBucketRequestPayment(self, call: Call, request: Request) -> Response:
        """The owner pays."""
        self._buckets.require(request)
        return {"Payer": "BucketOwner"}

    def GetBucketWebsite(self, call: Call, request: Request) -> Response:
        """No website."""
        code = "NoSuchWebsiteConfiguration"
        return self._none(request, code, "The specified bucket does not have a website configuration")

    def GetBucketReplication(self, call: Call, request: Request) -> Response:
        """No replication."""
        code = "ReplicationConfigurationNotFoundError"
        return self._none(request, code, "The replication configuration was not found")

    def GetObjectLockConfiguration(self, call: Call, request: Request) -> Response:
        """No object lock."""
        code = "ObjectLockConfigurationNotFoundError"
        return self._none(request, code, "Object Lock configuration does not exist for this bucket")

    def _none(self, request: Request, code: str, message: str) -> Response:
        bucket = self._buckets.require(request)
        raise AwsError(code, message, 404, members={"BucketName": bucket["Name"]})


CONFIGURATIONS = (Versioning, Encryption, LifecycleRules, BucketTags, PublicAccess, Ownership, Absent)
