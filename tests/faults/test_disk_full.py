"""A full disk: the write is refused in so many words, nothing half-written stays, and reading goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cloud_process import CloudProcess

SIZE = 24 << 20
FULL = ("InsufficientStorage", 507)


@pytest.fixture
def small_cloud() -> Iterator[CloudProcess]:
    """A server whose data directory is a file system of 24 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    folder = Path(tempfile.mkdtemp(prefix="sagehound-full-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        shutil.rmtree(folder)
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    cloud = CloudProcess(folder)
    try:
        yield cloud.start()
    finally:
        cloud.stop()
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


def refused(call: Any, **parameters: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]


def used(cloud: CloudProcess) -> int:
    return sum(path.stat().st_size for path in (cloud.data_dir / "objects").rglob("*") if path.is_file())


def fill(client: Any, size: int) -> list[str]:
    """Put objects of one size until the disk is full."""
    stored = []
    while True:
        key = f"filler/{size}/{len(stored)}"
        try:
            client.put_object(Bucket="full", Key=key, Body=os.urandom(size))
        except ClientError as error:
            answer = error.response
            assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == FULL
            return stored
        stored.append(key)


def test_a_full_disk_is_said_and_leaves_nothing_behind(small_cloud: CloudProcess) -> None:
    client = small_cloud.client("s3")
    client.create_bucket(Bucket="full")
    client.put_object(Bucket="full", Key="before", Body=b"kept" * 1000)
    stored = fill(client, 2 << 20)
    before = used(small_cloud)
    put = {"Bucket": "full", "Key": "too-large", "Body": os.urandom(6 << 20)}
    assert refused(client.put_object, **put) == FULL
    upload = {"Bucket": "full", "Key": "parts"}
    upload["UploadId"] = client.create_multipart_upload(**upload)["UploadId"]
    assert refused(client.upload_part, **upload, PartNumber=1, Body=put["Body"]) == FULL
    assert used(small_cloud) == before
    listed = [entry["Key"] for entry in client.list_objects_v2(Bucket="full")["Contents"]]
    assert listed == ["before", *sorted(stored)]
    assert client.get_object(Bucket="full", Key="before")["Body"].read() == b"kept" * 1000
    _room_comes_back(small_cloud, client, stored)


def _room_comes_back(cloud: CloudProcess, client: Any, stored: list[str]) -> None:
    """What is deleted makes room for what comes next, even at once."""
    client.delete_objects(Bucket="full", Delete={"Objects": [{"Key": key} for key in stored]})
    client.put_object(Bucket="full", Key="after", Body=os.urandom(6 << 20))
    cloud.restart(kill=True)
    assert [entry["Key"] for entry in client.list_objects_v2(Bucket="full")["Contents"]] == ["after", "before"]


def test_small_objects_meet_a_full_disk_too(small_cloud: CloudProcess) -> None:
    client = small_cloud.client("s3")
    client.create_bucket(Bucket="full")
    fill(client, 1 << 20)
    stored = fill(client, 60_000)
    before = used(small_cloud)
    assert refused(client.put_object, Bucket="full", Key="small", Body=os.urandom(60_000)) == FULL
    assert used(small_cloud) == before
    for key in stored:
        client.head_object(Bucket="full", Key=key)
    for key in stored:
        client.delete_object(Bucket="full", Key=key)
    client.put_object(Bucket="full", Key="small", Body=os.urandom(60_000))
