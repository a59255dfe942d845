"""Checksums: verified when given, CRC64NVME when not, told when asked for."""

from __future__ import annotations

import base64
import hashlib
import zlib
from typing import Any

import pytest
from awscrt import checksums as crt
from botocore.config import Config

from tests.cloud.s3_support import new_bucket, refusal
from tests.cloud_process import CloudProcess

DATA = b"one two three" * 1000


def b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


EXPECTED = {
    "CRC32": b64(zlib.crc32(DATA).to_bytes(4, "big")),
    "CRC32C": b64(crt.crc32c(DATA).to_bytes(4, "big")),
    "CRC64NVME": b64(crt.crc64nvme(DATA).to_bytes(8, "big")),
    "SHA1": b64(hashlib.sha1(DATA).digest()),
    "SHA256": b64(hashlib.sha256(DATA).digest()),
    "SHA512": b64(hashlib.sha512(DATA).digest()),
    "MD5": b64(hashlib.md5(DATA).digest()),
    "XXHASH128": b64(crt.XXHash.compute_xxhash3_128(DATA)),
}


@pytest.fixture(scope="module")
def s3(cloud: CloudProcess) -> Any:
    return cloud.client("s3")


@pytest.fixture(scope="module")
def quiet(cloud: CloudProcess) -> Any:
    """A client that sends checksums only where AWS requires them."""
    return cloud.client("s3", config=Config(request_checksum_calculation="when_required"))


@pytest.fixture(scope="module")
def bucket(s3: Any) -> str:
    return new_bucket(s3)


def test_crc64_of_the_published_check_value() -> None:
    assert crt.crc64nvme(b"123456789") == 0xAE8B14860A799888


@pytest.mark.parametrize("algorithm", EXPECTED)
def test_every_algorithm(s3: Any, bucket: str, algorithm: str) -> None:
    member = f"Checksum{algorithm}"
    put = s3.put_object(Bucket=bucket, Key=algorithm, Body=DATA, **{member: EXPECTED[algorithm]})
    assert (put[member], put["ChecksumType"]) == (EXPECTED[algorithm], "FULL_OBJECT")
    head = s3.head_object(Bucket=bucket, Key=algorithm, ChecksumMode="ENABLED")
    assert (head[member], head["ChecksumType"]) == (EXPECTED[algorithm], "FULL_OBJECT")
    assert member not in s3.head_object(Bucket=bucket, Key=algorithm)
    wrong = b64(bytes(len(base64.b64decode(EXPECTED[algorithm]))))
    assert refusal(s3.put_object, Bucket=bucket, Key="bad", Body=DATA, **{member: wrong}) == ("BadDigest", 400)
    assert refusal(s3.head_object, Bucket=bucket, Key="bad")[1] == 404


def test_the_default_is_crc64nvme(quiet: Any, bucket: str) -> None:
    put = quiet.put_object(Bucket=bucket, Key="default", Body=DATA)
    assert put["ChecksumCRC64NVME"] == EXPECTED["CRC64NVME"]
    attributes = quiet.get_object_attributes(
        Bucket=bucket, Key="default", ObjectAttributes=["Checksum", "ObjectSize", "ETag", "StorageClass"]
    )
    assert attributes["Checksum"] == {"ChecksumCRC64NVME": EXPECTED["CRC64NVME"], "ChecksumType": "FULL_OBJECT"}
    assert (attributes["ObjectSize"], attributes["StorageClass"]) == (len(DATA), "STANDARD")
    assert attributes["ETag"] == hashlib.md5(DATA).hexdigest()


def test_content_md5(quiet: Any, bucket: str) -> None:
    put = {"Bucket": bucket, "Key": "md5", "Body": DATA}
    quiet.put_object(**put, ContentMD5=b64(hashlib.md5(DATA).digest()))
    assert refusal(quiet.put_object, **put, ContentMD5=b64(bytes(16))) == ("BadDigest", 400)
    assert refusal(quiet.put_object, **put, ContentMD5="nonsense") == ("InvalidDigest", 400)


def test_a_checksum_that_is_none(quiet: Any, bucket: str) -> None:
    put = {"Bucket": bucket, "Key": "odd", "Body": DATA}
    assert refusal(quiet.put_object, **put, ChecksumCRC32="not base64!") == ("InvalidRequest", 400)
    two = {"ChecksumCRC32": EXPECTED["CRC32"], "ChecksumSHA1": EXPECTED["SHA1"]}
    assert refusal(quiet.put_object, **put, **two) == ("InvalidRequest", 400)


def test_the_client_verifies_what_it_reads(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="read", Body=DATA, ChecksumAlgorithm="SHA256")
    answer = s3.get_object(Bucket=bucket, Key="read", ChecksumMode="ENABLED")
    assert answer["Body"].read() == DATA
    assert answer["ChecksumSHA256"] == EXPECTED["SHA256"]


@pytest.mark.parametrize("header", ["Content-MD5", "x-amz-checksum-sha256", "x-amz-checksum-crc32"])
def test_a_list_of_deletions_that_was_changed_deletes_nothing(cloud: CloudProcess, bucket: str, header: str) -> None:
    size = {"Content-MD5": 16, "x-amz-checksum-sha256": 32, "x-amz-checksum-crc32": 4}[header]
    careful = cloud.client("s3", config=Config(request_checksum_calculation="when_required"))
    careful.put_object(Bucket=bucket, Key="kept", Body=b"kept")

    def claim(params: dict[str, Any], **_: Any) -> None:
        for name in [name for name in params["headers"] if "checksum" in name.lower() or name == "Content-MD5"]:
            del params["headers"][name]
        params["headers"][header] = b64(bytes(size))

    careful.meta.events.register_last("before-call.s3.DeleteObjects", claim)
    assert refusal(careful.delete_objects, Bucket=bucket, Delete={"Objects": [{"Key": "kept"}]}) == ("BadDigest", 400)
    assert careful.get_object(Bucket=bucket, Key="kept")["Body"].read() == b"kept"


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_a_list_of_deletions_with_its_checksum_deletes(s3: Any, bucket: str, algorithm: str) -> None:
    s3.put_object(Bucket=bucket, Key="gone", Body=b"gone")
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "gone"}]}, ChecksumAlgorithm=algorithm)
    assert refusal(s3.head_object, Bucket=bucket, Key="gone") == ("404", 404)
