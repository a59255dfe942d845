"""Versions: ids, delete markers, the version "null", lists of versions."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud.s3_support import keys, new_bucket, refusal
from tests.cloud_process import CloudProcess


@pytest.fixture(scope="module")
def s3(cloud: CloudProcess) -> Any:
    return cloud.client("s3")


@pytest.fixture
def bucket(s3: Any) -> str:
    name = new_bucket(s3)
    set_versioning(s3, name, "Enabled")
    return name


def set_versioning(s3: Any, bucket: str, status: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


def put(s3: Any, bucket: str, body: bytes) -> str:
    return str(s3.put_object(Bucket=bucket, Key="k", Body=body).get("VersionId"))


def read(s3: Any, bucket: str, **options: str) -> bytes:
    return bytes(s3.get_object(Bucket=bucket, Key="k", **options)["Body"].read())


def test_status_is_told(s3: Any) -> None:
    bucket = new_bucket(s3)
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert put(s3, bucket, b"0") == "None"
    set_versioning(s3, bucket, "Enabled")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


def test_every_put_is_a_version(s3: Any, bucket: str) -> None:
    first, second = put(s3, bucket, b"1"), put(s3, bucket, b"2")
    assert first != second
    assert read(s3, bucket) == b"2"
    assert read(s3, bucket, VersionId=first) == b"1"
    assert s3.head_object(Bucket=bucket, Key="k", VersionId=first)["VersionId"] == first


def test_delete_markers(s3: Any, bucket: str) -> None:
    first = put(s3, bucket, b"1")
    marker = s3.delete_object(Bucket=bucket, Key="k")
    assert marker["DeleteMarker"] is True
    assert keys(s3.list_objects_v2(Bucket=bucket)) == []
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=bucket, Key="k")
    headers = caught.value.response["ResponseMetadata"]["HTTPHeaders"]
    assert caught.value.response["Error"]["Code"] == "NoSuchKey"
    assert (headers["x-amz-delete-marker"], headers["x-amz-version-id"]) == ("true", marker["VersionId"])
    named = {"Bucket": bucket, "Key": "k", "VersionId": marker["VersionId"]}
    assert refusal(s3.get_object, **named) == ("MethodNotAllowed", 405)
    assert refusal(s3.head_object, **named)[1] == 405
    gone = s3.delete_object(**named)
    assert (gone["DeleteMarker"], gone["VersionId"]) == (True, marker["VersionId"])
    assert read(s3, bucket) == b"1"
    assert s3.delete_object(Bucket=bucket, Key="k", VersionId=first)["VersionId"] == first
    s3.delete_bucket(Bucket=bucket)


def test_removing_the_latest_brings_back_the_one_before(s3: Any, bucket: str) -> None:
    put(s3, bucket, b"1")
    second = put(s3, bucket, b"2")
    s3.delete_object(Bucket=bucket, Key="k", VersionId=second)
    assert read(s3, bucket) == b"1"


def test_the_null_version(s3: Any) -> None:
    bucket = new_bucket(s3)
    put(s3, bucket, b"before")
    set_versioning(s3, bucket, "Enabled")
    put(s3, bucket, b"kept")
    assert read(s3, bucket, VersionId="null") == b"before"
    set_versioning(s3, bucket, "Suspended")
    assert put(s3, bucket, b"after") == "null"
    assert read(s3, bucket, VersionId="null") == read(s3, bucket) == b"after"
    versions = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert [entry["VersionId"] == "null" for entry in versions] == [True, False]
    assert s3.delete_object(Bucket=bucket, Key="k")["VersionId"] == "null"
    assert len(s3.list_object_versions(Bucket=bucket)["Versions"]) == 1


def test_versions_that_are_not_there(s3: Any, bucket: str) -> None:
    put(s3, bucket, b"1")
    assert refusal(s3.get_object, Bucket=bucket, Key="k", VersionId="x" * 32) == ("NoSuchVersion", 404)
    assert refusal(s3.get_object, Bucket=bucket, Key="k", VersionId="short") == ("InvalidArgument", 400)


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_lists_of_versions(s3: Any, bucket: str, size: int) -> None:
    order = [("k", put(s3, bucket, b"1")), ("k", put(s3, bucket, b"2"))]
    order.append(("k", s3.delete_object(Bucket=bucket, Key="k")["VersionId"]))
    for name in ("a/x", "a/y", "z"):
        order.insert(0, (name, s3.put_object(Bucket=bucket, Key=name, Body=b"x")["VersionId"]))
    found = []
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": size}):
        entries = page.get("Versions", []) + page.get("DeleteMarkers", [])
        assert len(entries) <= size
        found += entries
    assert sorted((entry["Key"], entry["VersionId"]) for entry in found) == sorted(order)
    of_key = [entry["VersionId"] for entry in found if entry["Key"] == "k" and "ETag" in entry]
    assert of_key == [order[-2][1], order[-3][1]]
    assert {entry["VersionId"] for entry in found if entry["Key"] == "k" and entry["IsLatest"]} == {order[-1][1]}
    grouped = s3.list_object_versions(Bucket=bucket, Delimiter="/")
    assert [entry["Prefix"] for entry in grouped["CommonPrefixes"]] == ["a/"]


def test_a_bucket_is_emptied_page_by_page(s3: Any, bucket: str) -> None:
    for number in range(7):
        put(s3, bucket, b"%d" % number)
    marker: dict[str, str] = {}
    while True:
        page = s3.list_object_versions(Bucket=bucket, MaxKeys=3, **marker)
        gone = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in page["Versions"]]
        s3.delete_objects(Bucket=bucket, Delete={"Objects": gone})
        if not page["IsTruncated"]:
            break
        marker = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
    assert "Versions" not in s3.list_object_versions(Bucket=bucket)


def test_a_version_can_be_copied_back(s3: Any, bucket: str) -> None:
    first = put(s3, bucket, b"1")
    put(s3, bucket, b"2")
    source = {"Bucket": bucket, "Key": "k", "VersionId": first}
    answer = s3.copy_object(Bucket=bucket, Key="k", CopySource=source)
    assert answer["CopySourceVersionId"] == first
    assert read(s3, bucket) == b"1"


def test_tags_belong_to_a_version(s3: Any, bucket: str) -> None:
    first = put(s3, bucket, b"1")
    put(s3, bucket, b"2")
    tags = [{"Key": "a", "Value": "b"}]
    s3.put_object_tagging(Bucket=bucket, Key="k", VersionId=first, Tagging={"TagSet": tags})
    assert s3.get_object_tagging(Bucket=bucket, Key="k", VersionId=first)["TagSet"] == tags
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
