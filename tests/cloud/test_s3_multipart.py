"""Multipart uploads: ETags, order, sizes, copies of parts, lists, checksums, the end and the abort."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import zlib
from typing import Any

import pytest
from awscrt import checksums as crt

from tests.cloud.s3_support import new_bucket, refusal
from tests.cloud_process import CloudProcess

P, Q = os.urandom(5 << 20), os.urandom(1 << 20)


@pytest.fixture(scope="module")
def s3(cloud: CloudProcess) -> Any:
    return cloud.client("s3")


@pytest.fixture(scope="module")
def bucket(s3: Any) -> str:
    return new_bucket(s3)


def begin(s3: Any, bucket: str, key: str, **options: Any) -> dict[str, Any]:
    return {
        "Bucket": bucket,
        "Key": key,
        "UploadId": s3.create_multipart_upload(Bucket=bucket, Key=key, **options)["UploadId"],
    }


def send(s3: Any, upload: dict[str, Any], number: int, data: bytes, **options: Any) -> dict[str, Any]:
    answer = s3.upload_part(**upload, PartNumber=number, Body=data, **options)
    return {"PartNumber": number, "ETag": answer["ETag"]} | {
        n: v for n, v in answer.items() if n.startswith("Checksum")
    }


def complete(s3: Any, upload: dict[str, Any], parts: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
    answer: dict[str, Any] = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, **options)
    return answer


def bare(part: dict[str, Any]) -> dict[str, Any]:
    return {"PartNumber": part["PartNumber"], "ETag": part["ETag"]}


def test_parts_in_any_order_become_one_object(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket, "whole", Metadata={"k": "v"}, ContentType="a/b", Tagging="a=b")
    second, first = send(s3, upload, 7, Q), send(s3, upload, 2, P)
    answer = complete(s3, upload, [bare(first), bare(second)])
    digest = hashlib.md5(hashlib.md5(P).digest() + hashlib.md5(Q).digest()).hexdigest()
    assert answer["ETag"] == f'"{digest}-2"'
    got = s3.get_object(Bucket=bucket, Key="whole")
    assert got["Body"].read() == P + Q
    assert (got["Metadata"], got["ContentType"], got["TagCount"]) == ({"k": "v"}, "a/b", 1)
    crossing = s3.get_object(Bucket=bucket, Key="whole", Range=f"bytes={len(P) - 5}-{len(P) + 4}")
    assert crossing["Body"].read() == P[-5:] + Q[:5]
    piece = s3.get_object(Bucket=bucket, Key="whole", PartNumber=2)
    assert (piece["Body"].read(), piece["PartsCount"]) == (Q, 2)
    assert (
        refusal(s3.complete_multipart_upload, **upload, MultipartUpload={"Parts": [bare(first)]})[0] == "NoSuchUpload"
    )


def test_a_part_can_be_sent_again_and_parts_left_out(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket, "again")
    send(s3, upload, 1, Q)
    first, second = send(s3, upload, 1, P), send(s3, upload, 2, Q)
    send(s3, upload, 3, Q)
    complete(s3, upload, [bare(first), bare(second)])
    assert s3.get_object(Bucket=bucket, Key="again")["Body"].read() == P + Q


def test_what_complete_refuses(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket, "refused")
    first, second = send(s3, upload, 1, Q), send(s3, upload, 2, Q)

    def refused(*parts: dict[str, Any]) -> tuple[str, int]:
        return refusal(s3.complete_multipart_upload, **upload, MultipartUpload={"Parts": list(parts)})

    assert refused(bare(second), bare(first)) == ("InvalidPartOrder", 400)
    assert refused(bare(first), bare(first)) == ("InvalidPartOrder", 400)
    assert refused(bare(first), bare(second)) == ("EntityTooSmall", 400)
    assert refused({"PartNumber": 1, "ETag": '"0"'}) == ("InvalidPart", 400)
    assert refused(bare(first), {"PartNumber": 9, "ETag": first["ETag"]}) == ("InvalidPart", 400)
    assert refused() == ("MalformedXML", 400)
    assert refusal(s3.upload_part, **upload, PartNumber=10_001, Body=b"x") == ("InvalidArgument", 400)
    complete(s3, upload, [bare(first)])


def test_abort(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket, "aborted")
    send(s3, upload, 1, Q)
    s3.abort_multipart_upload(**upload)
    for operation in (s3.list_parts, s3.abort_multipart_upload):
        assert refusal(operation, **upload) == ("NoSuchUpload", 404)
    assert refusal(s3.upload_part, **upload, PartNumber=1, Body=b"x") == ("NoSuchUpload", 404)
    other = {**upload, "Key": "another"}
    assert refusal(s3.list_parts, **other) == ("NoSuchUpload", 404)


def test_lists_of_parts_and_uploads(s3: Any) -> None:
    bucket = new_bucket(s3)
    upload = begin(s3, bucket, "b/2")
    others = [begin(s3, bucket, key) for key in ("a", "b/1", "b/2", "c")]
    for number in (3, 1, 2):
        send(s3, upload, number, Q)
    page = s3.list_parts(**upload, MaxParts=2)
    assert [part["PartNumber"] for part in page["Parts"]] == [1, 2]
    assert (page["IsTruncated"], page["NextPartNumberMarker"]) == (True, 2)
    rest = s3.list_parts(**upload, PartNumberMarker=2)
    assert [(part["PartNumber"], part["Size"]) for part in rest["Parts"]] == [(3, len(Q))]
    ids = [others[0], others[1], upload, others[2], others[3]]
    for size in (1, 2, 5):
        found = []
        paginator = s3.get_paginator("list_multipart_uploads")
        for answer in paginator.paginate(Bucket=bucket, PaginationConfig={"PageSize": size}):
            found += [entry["UploadId"] for entry in answer["Uploads"]]
        assert found == [entry["UploadId"] for entry in ids]
    grouped = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [entry["Key"] for entry in grouped["Uploads"]] == ["a", "c"]
    assert [entry["Prefix"] for entry in grouped["CommonPrefixes"]] == ["b/"]
    assert len(s3.list_multipart_uploads(Bucket=bucket, Prefix="b/")["Uploads"]) == 3


def test_markers_of_parts_are_numbers_of_a_size(s3: Any, bucket: str) -> None:
    upload = {"Bucket": bucket, "Key": "k"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    for marker in (-1, 10**30):
        assert refusal(s3.list_parts, **upload, PartNumberMarker=marker) == ("InvalidArgument", 400)


def test_parts_copied_from_objects(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="source", Body=P + Q)
    upload = begin(s3, bucket, "copied")
    copy = {**upload, "CopySource": {"Bucket": bucket, "Key": "source"}}
    last = len(P) - 1
    first = s3.upload_part_copy(**copy, PartNumber=1, CopySourceRange=f"bytes=0-{last}")["CopyPartResult"]
    second = s3.upload_part_copy(**copy, PartNumber=2)["CopyPartResult"]
    parts = [{"PartNumber": number, "ETag": part["ETag"]} for number, part in ((1, first), (2, second))]
    complete(s3, upload, parts)
    assert s3.get_object(Bucket=bucket, Key="copied")["Body"].read() == P + P + Q
    whole = begin(s3, bucket, "never")
    bad = {**whole, "CopySource": {"Bucket": bucket, "Key": "source"}, "PartNumber": 1}
    assert refusal(s3.upload_part_copy, **bad, CopySourceRange="bytes=0-99999999") == ("InvalidArgument", 400)
    for words in ("0-5", "bytes=0-²", "bytes=0-" + "9" * 5000):
        assert refusal(s3.upload_part_copy, **bad, CopySourceRange=words) == ("InvalidArgument", 400)


def test_composite_and_full_object_checksums(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket, "composite", ChecksumAlgorithm="SHA256")
    parts = [send(s3, upload, n, d, ChecksumAlgorithm="SHA256") for n, d in ((1, P), (2, Q))]
    missing = {"Parts": [bare(part) for part in parts]}
    assert refusal(s3.complete_multipart_upload, **upload, MultipartUpload=missing) == ("InvalidRequest", 400)
    answer = complete(s3, upload, parts)
    both = hashlib.sha256(hashlib.sha256(P).digest() + hashlib.sha256(Q).digest()).digest()
    expected = f"{base64.b64encode(both).decode()}-2"
    assert (answer["ChecksumSHA256"], answer["ChecksumType"]) == (expected, "COMPOSITE")
    told = s3.get_object_attributes(Bucket=bucket, Key="composite", ObjectAttributes=["ObjectParts", "Checksum"])
    assert told["Checksum"] == {"ChecksumSHA256": expected, "ChecksumType": "COMPOSITE"}
    assert [part["Size"] for part in told["ObjectParts"]["Parts"]] == [len(P), len(Q)]

    upload = begin(s3, bucket, "full", ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    parts = [send(s3, upload, n, d, ChecksumAlgorithm="CRC32") for n, d in ((1, P), (2, Q))]
    crc = base64.b64encode(zlib.crc32(P + Q).to_bytes(4, "big")).decode()
    wrong = {"MultipartUpload": {"Parts": parts}, "ChecksumCRC32": "AAAAAA==", "ChecksumType": "FULL_OBJECT"}
    assert refusal(s3.complete_multipart_upload, **upload, **wrong) == ("BadDigest", 400)
    answer = complete(s3, upload, parts, ChecksumCRC32=crc, ChecksumType="FULL_OBJECT")
    assert (answer["ChecksumCRC32"], answer["ChecksumType"]) == (crc, "FULL_OBJECT")

    upload = begin(s3, bucket, "default")
    complete(s3, upload, [bare(send(s3, upload, n, d)) for n, d in ((1, P), (2, Q))])
    head = s3.head_object(Bucket=bucket, Key="default", ChecksumMode="ENABLED")
    crc64 = base64.b64encode(crt.crc64nvme(P + Q).to_bytes(8, "big")).decode()
    assert (head["ChecksumCRC64NVME"], head["ChecksumType"]) == (crc64, "FULL_OBJECT")


def test_another_algorithm_than_the_uploads_is_refused(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket, "mismatch", ChecksumAlgorithm="SHA256")
    part = {**upload, "PartNumber": 1, "Body": b"x"}
    assert refusal(s3.upload_part, **part, ChecksumAlgorithm="CRC32") == ("InvalidRequest", 400)
    impossible = {"Bucket": bucket, "Key": "k", "ChecksumAlgorithm": "SHA256", "ChecksumType": "FULL_OBJECT"}
    assert refusal(s3.create_multipart_upload, **impossible) == ("InvalidRequest", 400)


def test_the_transfer_manager(s3: Any, bucket: str) -> None:
    data = os.urandom(20 << 20)
    s3.upload_fileobj(io.BytesIO(data), bucket, "managed")
    back = io.BytesIO()
    s3.download_fileobj(bucket, "managed", back)
    assert back.getvalue() == data
    s3.copy({"Bucket": bucket, "Key": "managed"}, bucket, "managed-copy")
    assert s3.get_object(Bucket=bucket, Key="managed-copy")["Body"].read() == data


def test_a_copy_of_a_multipart_object_has_an_etag_of_its_bytes(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket, "parts")
    complete(s3, upload, [bare(send(s3, upload, n, d)) for n, d in ((1, P), (2, Q))])
    answer = s3.copy_object(Bucket=bucket, Key="flat", CopySource={"Bucket": bucket, "Key": "parts"})
    assert answer["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(P + Q).hexdigest()}"'
    s3.delete_object(Bucket=bucket, Key="parts")
    assert s3.get_object(Bucket=bucket, Key="flat")["Body"].read() == P + Q


def test_conditions_at_the_end(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="taken", Body=b"x")
    upload = begin(s3, bucket, "taken")
    part = bare(send(s3, upload, 1, Q))
    ending = {**upload, "MultipartUpload": {"Parts": [part]}}
    assert refusal(s3.complete_multipart_upload, **ending, IfNoneMatch="*") == ("PreconditionFailed", 412)
    complete(s3, upload, [part])
