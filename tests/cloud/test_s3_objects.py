"""Objects: what is put is what comes back, with headers, metadata, ranges and conditions."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.cloud.s3_support import keys, new_bucket, refusal
from tests.cloud_process import CloudProcess

DATA = os.urandom(100_000)
KEY = "a/b c/ü+x&=%.jpg"


@pytest.fixture(scope="module")
def s3(cloud: CloudProcess) -> Any:
    return cloud.client("s3")


@pytest.fixture(scope="module")
def bucket(s3: Any) -> str:
    name = new_bucket(s3)
    s3.put_object(Bucket=name, Key=KEY, Body=DATA, ContentType="image/jpeg", Metadata={"who": "me"})
    return name


def test_put_and_get(s3: Any, bucket: str) -> None:
    answer = s3.get_object(Bucket=bucket, Key=KEY)
    assert answer["Body"].read() == DATA
    assert answer["ETag"] == f'"{hashlib.md5(DATA).hexdigest()}"'
    assert (answer["ContentType"], answer["Metadata"]) == ("image/jpeg", {"who": "me"})
    assert answer["ServerSideEncryption"] == "AES256"


@pytest.mark.parametrize("size", [0, 1, 262_144, 262_145, 1 << 20, (3 << 20) + 7])
def test_sizes_around_the_ways_a_body_is_stored(s3: Any, bucket: str, size: int) -> None:
    data = os.urandom(size)
    put = s3.put_object(Bucket=bucket, Key=f"size/{size}", Body=data)
    assert put["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
    assert s3.get_object(Bucket=bucket, Key=f"size/{size}")["Body"].read() == data
    assert s3.head_object(Bucket=bucket, Key=f"size/{size}")["ContentLength"] == size


def test_headers_are_kept_and_can_be_overridden(s3: Any, bucket: str) -> None:
    headers = {
        "CacheControl": "no-cache",
        "ContentDisposition": "attachment",
        "ContentEncoding": "gzip",
        "ContentLanguage": "de",
        "StorageClass": "STANDARD_IA",
    }
    s3.put_object(Bucket=bucket, Key="headers", Body=b"x", **headers)
    head = s3.head_object(Bucket=bucket, Key="headers")
    assert {name: head[name] for name in headers} == headers
    assert head["ContentType"] == "binary/octet-stream"
    answer = s3.get_object(Bucket=bucket, Key="headers", ResponseContentType="text/x", ResponseCacheControl="max-age=1")
    assert (answer["ContentType"], answer["CacheControl"]) == ("text/x", "max-age=1")


def test_keys_that_are_prefixes_of_keys_live_together(s3: Any, bucket: str) -> None:
    for key, body in (("pk", b"1"), ("pk/x", b"2"), ("pk/", b"3"), ("pk//x", b"4"), ("./pk/../x", b"5")):
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    assert s3.get_object(Bucket=bucket, Key="pk")["Body"].read() == b"1"
    assert s3.get_object(Bucket=bucket, Key="pk/x")["Body"].read() == b"2"
    assert s3.get_object(Bucket=bucket, Key="pk//x")["Body"].read() == b"4"
    assert s3.get_object(Bucket=bucket, Key="./pk/../x")["Body"].read() == b"5"
    assert keys(s3.list_objects_v2(Bucket=bucket, Prefix="pk")) == ["pk", "pk/", "pk//x", "pk/x"]


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=10-19", 10, 20),
        ("bytes=99990-", 99_990, 100_000),
        ("bytes=-5", 99_995, 100_000),
        ("bytes=0-999999", 0, 100_000),
    ],
)
def test_ranges(s3: Any, bucket: str, header: str, start: int, end: int) -> None:
    answer = s3.get_object(Bucket=bucket, Key=KEY, Range=header)
    assert answer["Body"].read() == DATA[start:end]
    assert answer["ContentRange"] == f"bytes {start}-{end - 1}/100000"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206


def test_ranges_outside_and_ranges_that_are_none(s3: Any, bucket: str) -> None:
    assert refusal(s3.get_object, Bucket=bucket, Key=KEY, Range="bytes=100000-") == ("InvalidRange", 416)
    assert refusal(s3.get_object, Bucket=bucket, Key=KEY, Range="bytes=-0") == ("InvalidRange", 416)
    endless = "9" * 5000
    assert refusal(s3.get_object, Bucket=bucket, Key=KEY, Range=f"bytes={endless}-") == ("InvalidRange", 416)
    assert s3.get_object(Bucket=bucket, Key=KEY, Range=f"bytes=5-{endless}")["ContentLength"] == 99_995
    assert s3.get_object(Bucket=bucket, Key=KEY, Range=f"bytes=-{endless}")["ContentLength"] == 100_000
    assert s3.get_object(Bucket=bucket, Key=KEY, Range="bytes=5-2")["ContentLength"] == 100_000
    assert s3.get_object(Bucket=bucket, Key=KEY, Range="lines=1-2")["ContentLength"] == 100_000


def test_conditions_on_reads(s3: Any, bucket: str) -> None:
    etag = s3.head_object(Bucket=bucket, Key=KEY)["ETag"]
    later, earlier = datetime.now(UTC) + timedelta(hours=1), datetime.now(UTC) - timedelta(hours=1)
    read = {"Bucket": bucket, "Key": KEY}
    s3.get_object(**read, IfMatch=etag, IfUnmodifiedSince=earlier)
    assert refusal(s3.get_object, **read, IfMatch='"other"') == ("PreconditionFailed", 412)
    assert refusal(s3.get_object, **read, IfUnmodifiedSince=earlier) == ("PreconditionFailed", 412)
    assert refusal(s3.get_object, **read, IfNoneMatch=etag) == ("304", 304)
    assert refusal(s3.get_object, **read, IfModifiedSince=later) == ("304", 304)
    assert refusal(s3.head_object, **read, IfNoneMatch="*")[1] == 304
    s3.get_object(**read, IfNoneMatch='"other"', IfModifiedSince=later)


def test_conditions_on_writes(s3: Any, bucket: str) -> None:
    write = {"Bucket": bucket, "Key": "conditional", "Body": b"1"}
    assert refusal(s3.put_object, **write, IfMatch='"x"') == ("NoSuchKey", 404)
    etag = s3.put_object(**write, IfNoneMatch="*")["ETag"]
    assert refusal(s3.put_object, **write, IfNoneMatch="*") == ("PreconditionFailed", 412)
    assert refusal(s3.put_object, **write, IfMatch='"x"') == ("PreconditionFailed", 412)
    s3.put_object(**{**write, "Body": b"2"}, IfMatch=etag)
    assert s3.get_object(Bucket=bucket, Key="conditional")["Body"].read() == b"2"
    assert refusal(s3.delete_object, Bucket=bucket, Key="conditional", IfMatch=etag) == ("PreconditionFailed", 412)


def test_what_is_missing_or_impossible(s3: Any, bucket: str) -> None:
    assert refusal(s3.get_object, Bucket=bucket, Key="zzz") == ("NoSuchKey", 404)
    assert refusal(s3.head_object, Bucket=bucket, Key="zzz")[1] == 404
    assert refusal(s3.put_object, Bucket=bucket, Key="k" * 1025, Body=b"") == ("KeyTooLongError", 400)
    s3.put_object(Bucket=bucket, Key="k" * 1024, Body=b"")
    assert refusal(s3.put_object, Bucket=bucket, Key="m", Body=b"", Metadata={"m": "x" * 3000})[0] == "MetadataTooLarge"
    assert refusal(s3.put_object, Bucket=bucket, Key="a", Body=b"", ACL="public-read") == (
        "AccessControlListNotSupported",
        400,
    )


def test_deleting_one_and_many(s3: Any, bucket: str) -> None:
    for name in ("d/1", "d/2", "d/3"):
        s3.put_object(Bucket=bucket, Key=name, Body=b"x")
    assert s3.delete_object(Bucket=bucket, Key="never there")["ResponseMetadata"]["HTTPStatusCode"] == 204
    entries = [{"Key": "d/1"}, {"Key": "d/2", "ETag": '"no"'}, {"Key": "missing"}]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": entries})
    assert [entry["Key"] for entry in answer["Deleted"]] == ["d/1", "missing"]
    assert [(entry["Key"], entry["Code"]) for entry in answer["Errors"]] == [("d/2", "PreconditionFailed")]
    assert keys(s3.list_objects_v2(Bucket=bucket, Prefix="d/")) == ["d/2", "d/3"]
    quiet = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "d/2"}, {"Key": "d/3"}], "Quiet": True})
    assert "Deleted" not in quiet
    assert refusal(s3.get_object, Bucket=bucket, Key="d/3") == ("NoSuchKey", 404)


def test_tags_of_objects(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="tagged", Body=b"x", Tagging="a=b&c%20d=e%26f")
    tags = [{"Key": "a", "Value": "b"}, {"Key": "c d", "Value": "e&f"}]
    assert s3.get_object_tagging(Bucket=bucket, Key="tagged")["TagSet"] == tags
    assert s3.get_object(Bucket=bucket, Key="tagged")["TagCount"] == 2
    s3.put_object_tagging(Bucket=bucket, Key="tagged", Tagging={"TagSet": tags[:1]})
    assert s3.get_object_tagging(Bucket=bucket, Key="tagged")["TagSet"] == tags[:1]
    s3.delete_object_tagging(Bucket=bucket, Key="tagged")
    assert s3.get_object_tagging(Bucket=bucket, Key="tagged")["TagSet"] == []
    twice = {"TagSet": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}
    assert refusal(s3.put_object_tagging, Bucket=bucket, Key="tagged", Tagging=twice) == ("InvalidTag", 400)


def test_encryption_is_told_as_asked(s3: Any, bucket: str) -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/abc"
    put = s3.put_object(Bucket=bucket, Key="kms", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    head = s3.head_object(Bucket=bucket, Key="kms")
    assert put["ServerSideEncryption"] == head["ServerSideEncryption"] == "aws:kms"
    assert head["SSEKMSKeyId"] == key


def test_customer_keys_are_refused_by_name(s3: Any, bucket: str) -> None:
    secret = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    assert refusal(s3.put_object, Bucket=bucket, Key="own-key", Body=b"x", **secret) == ("NotImplemented", 501)
