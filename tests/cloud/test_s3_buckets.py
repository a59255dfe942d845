"""Buckets: names, regions, owners, deletion."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cloud.s3_support import new_bucket, refusal
from tests.cloud_process import CloudProcess


@pytest.fixture(scope="module")
def s3(cloud: CloudProcess) -> Any:
    return cloud.client("s3")


def test_a_bucket_is_listed_headed_and_deleted(s3: Any) -> None:
    bucket = new_bucket(s3)
    assert bucket in [entry["Name"] for entry in s3.list_buckets()["Buckets"]]
    assert s3.head_bucket(Bucket=bucket)["BucketRegion"] == "us-east-1"
    s3.delete_bucket(Bucket=bucket)
    assert refusal(s3.head_bucket, Bucket=bucket)[1] == 404
    assert bucket not in [entry["Name"] for entry in s3.list_buckets()["Buckets"]]


@pytest.mark.parametrize("name", ["Capital-letters", "two..dots", "192.168.1.1", "xn--coded", "ends-with-", "a_b_c"])
def test_names_that_s3_does_not_allow(cloud: CloudProcess, name: str) -> None:
    client = cloud.client("s3")
    assert refusal(client.create_bucket, Bucket=name) == ("InvalidBucketName", 400)


def test_an_own_bucket_again(cloud: CloudProcess, s3: Any) -> None:
    bucket = new_bucket(s3)
    s3.put_object(Bucket=bucket, Key="kept", Body=b"x")
    s3.create_bucket(Bucket=bucket)
    assert s3.get_object(Bucket=bucket, Key="kept")["Body"].read() == b"x"
    abroad = cloud.client("s3", region_name="eu-west-1")
    elsewhere = {"CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}}
    assert refusal(abroad.create_bucket, Bucket=bucket, **elsewhere) == ("BucketAlreadyOwnedByYou", 409)


def test_regions_and_location_constraints(cloud: CloudProcess, s3: Any) -> None:
    abroad = cloud.client("s3", region_name="eu-west-1")
    wrong = {"Bucket": "test-never-made", "CreateBucketConfiguration": {"LocationConstraint": "ap-south-1"}}
    assert refusal(abroad.create_bucket, **wrong) == ("IllegalLocationConstraintException", 400)
    assert refusal(abroad.create_bucket, Bucket="test-never-made") == ("IllegalLocationConstraintException", 400)
    home = {"Bucket": "test-never-made", "CreateBucketConfiguration": {"LocationConstraint": "us-east-1"}}
    assert refusal(s3.create_bucket, **home)[0] == "InvalidLocationConstraint"
    bucket = new_bucket(abroad, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert abroad.get_bucket_location(Bucket=bucket)["LocationConstraint"] == "eu-west-1"
    assert s3.get_bucket_location(Bucket=new_bucket(s3))["LocationConstraint"] is None


def test_only_an_empty_bucket_can_be_deleted(s3: Any) -> None:
    bucket = new_bucket(s3)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.create_multipart_upload(Bucket=bucket, Key="unfinished")
    assert refusal(s3.delete_bucket, Bucket=bucket) == ("BucketNotEmpty", 409)
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_the_expected_owner_is_compared(cloud: CloudProcess, s3: Any) -> None:
    bucket = new_bucket(s3)
    s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=cloud.account_id)
    other = {"Bucket": bucket, "ExpectedBucketOwner": "999999999999"}
    assert refusal(s3.list_objects_v2, **other) == ("AccessDenied", 403)
    assert refusal(s3.put_object, Key="k", Body=b"x", **other) == ("AccessDenied", 403)


def test_missing_buckets(s3: Any) -> None:
    assert refusal(s3.list_objects_v2, Bucket="test-missing") == ("NoSuchBucket", 404)
    assert refusal(s3.put_object, Bucket="test-missing", Key="k", Body=b"x") == ("NoSuchBucket", 404)
    assert refusal(s3.delete_bucket, Bucket="test-missing") == ("NoSuchBucket", 404)


def test_pages_of_buckets(s3: Any) -> None:
    stem = new_bucket(s3)
    made = [f"{stem}-{number}" for number in range(3)]
    for name in made:
        s3.create_bucket(Bucket=name)
    first = s3.list_buckets(Prefix=f"{stem}-", MaxBuckets=2)
    assert [entry["Name"] for entry in first["Buckets"]] == made[:2]
    second = s3.list_buckets(Prefix=f"{stem}-", MaxBuckets=2, ContinuationToken=first["ContinuationToken"])
    assert [entry["Name"] for entry in second["Buckets"]] == made[2:]
    assert "ContinuationToken" not in second
