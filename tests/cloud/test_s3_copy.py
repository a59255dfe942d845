"""Copies: bytes, metadata and tags, conditions, and what may not be copied."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import pytest

from tests.cloud.s3_support import new_bucket, refusal
from tests.cloud_process import CloudProcess

DATA = os.urandom(300_000)


@pytest.fixture(scope="module")
def s3(cloud: CloudProcess) -> Any:
    return cloud.client("s3")


@pytest.fixture(scope="module")
def bucket(s3: Any) -> str:
    name = new_bucket(s3)
    s3.put_object(
        Bucket=name, Key="a+b ü", Body=DATA, ContentType="image/png", Metadata={"who": "me"}, Tagging="kind=dog"
    )
    return name


def test_a_copy_is_independent_of_its_source(s3: Any, bucket: str) -> None:
    other = new_bucket(s3)
    s3.put_object(Bucket=bucket, Key="short-lived", Body=DATA)
    answer = s3.copy_object(Bucket=other, Key="copy", CopySource={"Bucket": bucket, "Key": "short-lived"})
    assert answer["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(DATA).hexdigest()}"'
    s3.delete_object(Bucket=bucket, Key="short-lived")
    assert s3.get_object(Bucket=other, Key="copy")["Body"].read() == DATA


def test_directives(s3: Any, bucket: str) -> None:
    source = {"Bucket": bucket, "Key": "a+b ü"}
    s3.copy_object(Bucket=bucket, Key="same", CopySource=source, ContentType="ignored/here")
    same = s3.get_object(Bucket=bucket, Key="same")
    assert (same["ContentType"], same["Metadata"], same["TagCount"]) == ("image/png", {"who": "me"}, 1)
    s3.copy_object(
        Bucket=bucket,
        Key="other",
        CopySource=source,
        MetadataDirective="REPLACE",
        Metadata={"new": "1"},
        TaggingDirective="REPLACE",
        Tagging="a=b",
    )
    other = s3.get_object(Bucket=bucket, Key="other")
    assert (other["ContentType"], other["Metadata"]) == ("binary/octet-stream", {"new": "1"})
    assert s3.get_object_tagging(Bucket=bucket, Key="other")["TagSet"] == [{"Key": "a", "Value": "b"}]


def test_onto_itself_something_must_change(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="self", Body=b"x")
    itself = {"Bucket": bucket, "Key": "self", "CopySource": {"Bucket": bucket, "Key": "self"}}
    assert refusal(s3.copy_object, **itself) == ("InvalidRequest", 400)
    s3.copy_object(**itself, MetadataDirective="REPLACE", Metadata={"a": "b"})
    head = s3.head_object(Bucket=bucket, Key="self")
    assert head["Metadata"] == {"a": "b"}
    assert s3.get_object(Bucket=bucket, Key="self")["Body"].read() == b"x"
    s3.copy_object(**itself, StorageClass="STANDARD_IA")
    assert s3.head_object(Bucket=bucket, Key="self")["StorageClass"] == "STANDARD_IA"


def test_sources_that_are_not_there(s3: Any, bucket: str) -> None:
    copy = {"Bucket": bucket, "Key": "never"}
    missing = {"Bucket": bucket, "Key": "missing"}
    assert refusal(s3.copy_object, **copy, CopySource=missing) == ("NoSuchKey", 404)
    assert refusal(s3.copy_object, **copy, CopySource="test-no-bucket/k") == ("NoSuchBucket", 404)
    assert refusal(s3.copy_object, **copy, CopySource="no-key") == ("InvalidArgument", 400)
    owner = {"CopySource": {"Bucket": bucket, "Key": "a+b ü"}, "ExpectedSourceBucketOwner": "999999999999"}
    assert refusal(s3.copy_object, **copy, **owner) == ("AccessDenied", 403)


def test_conditions(s3: Any, bucket: str) -> None:
    source = {"CopySource": {"Bucket": bucket, "Key": "a+b ü"}}
    etag = s3.head_object(Bucket=bucket, Key="a+b ü")["ETag"]
    target = {"Bucket": bucket, "Key": "conditional"}
    assert refusal(s3.copy_object, **target, **source, CopySourceIfNoneMatch=etag) == ("PreconditionFailed", 412)
    assert refusal(s3.copy_object, **target, **source, CopySourceIfMatch='"x"') == ("PreconditionFailed", 412)
    s3.copy_object(**target, **source, CopySourceIfMatch=etag, IfNoneMatch="*")
    assert refusal(s3.copy_object, **target, **source, IfNoneMatch="*") == ("PreconditionFailed", 412)


def test_a_new_checksum_is_made_from_the_bytes(s3: Any, bucket: str) -> None:
    source = {"Bucket": bucket, "Key": "a+b ü"}
    s3.copy_object(Bucket=bucket, Key="summed", CopySource=source, ChecksumAlgorithm="SHA256")
    answer = s3.get_object(Bucket=bucket, Key="summed", ChecksumMode="ENABLED")
    assert answer["Body"].read() == DATA
    assert answer["ChecksumSHA256"]
    assert "ChecksumCRC32" not in answer
