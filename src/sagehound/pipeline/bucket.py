"""The project's bucket: made, tagged, encrypted and closed to the public when missing, used as it is when there."""

from __future__ import annotations

from typing import Any

from sagehound.errors import StepFailed
from sagehound.pipeline.aws_errors import error_of
from sagehound.pipeline.clients import Clients
from sagehound.pipeline.names import PROJECT_TAG, Names

BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
"""What Block Public Access consists of."""


def ensure_bucket(clients: Clients, names: Names) -> bool:
    """Make the bucket unless it is there; True where it was made.

    Only a bucket that was made here carries the project's tag, so clean-up never deletes somebody's own.
    Raises StepFailed where the name belongs to another account.
    """
    from botocore.exceptions import ClientError

    try:
        clients.s3.head_bucket(Bucket=names.bucket)
        return False
    except ClientError as error:
        code, _ = error_of(error)
        if code == "403":
            raise StepFailed(
                "upload",
                f"bucket {names.bucket} belongs to someone else, or you may not use it",
                "Choose another `bucket` in pipeline.toml ({account} in it makes the name your own).",
            ) from error
        if code not in ("404", "NoSuchBucket"):
            raise
    request: dict[str, Any] = {"Bucket": names.bucket}
    if clients.region != "us-east-1":
        request["CreateBucketConfiguration"] = {"LocationConstraint": clients.region}
    clients.s3.create_bucket(**request)
    clients.s3.put_bucket_tagging(Bucket=names.bucket, Tagging={"TagSet": names.tags})
    clients.s3.put_public_access_block(
        Bucket=names.bucket,
        PublicAccessBlockConfiguration=dict.fromkeys(BLOCKS, True),
    )
    clients.s3.put_bucket_encryption(
        Bucket=names.bucket, ServerSideEncryptionConfiguration={"Rules": [_encryption(names.aws.bucket_kms_key)]}
    )
    return True


def _encryption(key: str) -> dict[str, Any]:
    """With a key of KMS, asked for once a bucket and not once an object, or with S3's own keys."""
    if not key:
        return {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    return {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}


def made_here(clients: Clients, names: Names) -> bool | None:
    """Whether the bucket carries the project's tag; None where there is no such bucket."""
    from botocore.exceptions import ClientError

    try:
        tags = clients.s3.get_bucket_tagging(Bucket=names.bucket)["TagSet"]
    except ClientError as error:
        code, _ = error_of(error)
        if code == "NoSuchBucket":
            return None
        if code == "NoSuchTagSet":
            return False
        raise
    return {"Key": PROJECT_TAG, "Value": names.project} in tags


def list_objects(clients: Clients, bucket: str, prefix: str) -> dict[str, tuple[int, str]]:
    """Key -> (size, ETag without quotes) of everything below a prefix; empty where the bucket is missing."""
    from botocore.exceptions import ClientError

    found: dict[str, tuple[int, str]] = {}
    try:
        for page in clients.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", []):
                found[entry["Key"]] = (entry["Size"], entry["ETag"].strip('"'))
    except ClientError as error:
        if error_of(error)[0] != "NoSuchBucket":
            raise
    return found


def object_exists(clients: Clients, bucket: str, key: str) -> bool:
    """Whether HeadObject answers."""
    from botocore.exceptions import ClientError

    try:
        clients.s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error_of(error)[0] in ("404", "NoSuchKey", "NoSuchBucket"):
            return False
        raise
    return True
