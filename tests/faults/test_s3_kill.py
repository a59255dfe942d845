"""kill -9 of the server during puts and multipart uploads: what was acknowledged is there, nothing else is."""

from __future__ import annotations

import hashlib
import os
import random
import threading
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

from tests.cloud_process import CloudProcess

ROUNDS = 20
PART = 5 << 20
_BROKEN = (ConnectionError, HTTPClientError, BotoCoreError, ClientError)


class Writers:
    """Threads that put and upload until the server is gone, and remember what it acknowledged."""

    def __init__(self, client: Any, bucket: str, number: int) -> None:
        self.client, self.bucket, self.number = client, bucket, number
        self.tried: dict[str, str] = {}
        self.acknowledged: set[str] = set()
        self.deleted: set[str] = set()
        self.enough = threading.Event()
        work = (self._small, self._small, self._large, self._multipart, self._deletes)
        self.threads = [threading.Thread(target=self._until_gone, args=(each, i)) for i, each in enumerate(work)]

    def _until_gone(self, work: Any, thread: int) -> None:
        step = 0
        while True:
            try:
                work(self.client, f"r{self.number}/t{thread}/{step}")
            except _BROKEN:
                return
            step += 1
            if len(self.acknowledged) > 12:
                self.enough.set()

    def _put(self, client: Any, key: str, data: bytes) -> None:
        self.tried[key] = hashlib.md5(data).hexdigest()
        client.put_object(Bucket=self.bucket, Key=key, Body=data)
        self.acknowledged.add(key)

    def _small(self, client: Any, key: str) -> None:
        self._put(client, key, os.urandom(random.randrange(0, 60_000)))

    def _large(self, client: Any, key: str) -> None:
        self._put(client, key, os.urandom(random.randrange(1 << 20, 4 << 20)))

    def _deletes(self, client: Any, key: str) -> None:
        self._put(client, key, os.urandom(1000))
        self.acknowledged.discard(key)
        client.delete_object(Bucket=self.bucket, Key=key)
        self.deleted.add(key)

    def _multipart(self, client: Any, key: str) -> None:
        first, second = os.urandom(PART), os.urandom(1000)
        self.tried[key] = hashlib.md5(hashlib.md5(first).digest() + hashlib.md5(second).digest()).hexdigest() + "-2"
        upload = {"Bucket": self.bucket, "Key": key}
        upload["UploadId"] = client.create_multipart_upload(**upload)["UploadId"]
        parts = [
            {"PartNumber": n, "ETag": client.upload_part(**upload, PartNumber=n, Body=data)["ETag"]}
            for n, data in ((1, first), (2, second))
        ]
        client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        self.acknowledged.add(key)


def _listed(client: Any, bucket: str) -> dict[str, str]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {entry["Key"]: entry["ETag"].strip('"') for page in pages for entry in page.get("Contents", [])}


def _content_files(data_dir: Path) -> int:
    return sum(1 for path in (data_dir / "objects").rglob("*") if path.is_file())


def test_nothing_acknowledged_is_lost(own_cloud: CloudProcess) -> None:
    client = own_cloud.client("s3")
    bucket = "test-kill"
    client.create_bucket(Bucket=bucket)
    hasty = own_cloud.client("s3", config=Config(retries={"max_attempts": 0}, read_timeout=20))
    known: dict[str, str] = {}
    certain: set[str] = set()
    for number in range(ROUNDS):
        writers = Writers(hasty, bucket, number)
        for thread in writers.threads:
            thread.start()
        assert writers.enough.wait(60)
        own_cloud.kill()
        for thread in writers.threads:
            thread.join()
        own_cloud.start()
        known |= writers.tried
        certain |= writers.acknowledged
        listed = _listed(client, bucket)
        assert certain <= listed.keys(), f"lost: {sorted(certain - listed.keys())[:5]}"
        assert not writers.deleted & listed.keys()
        assert listed.keys() <= known.keys(), "keys that nobody put"
        assert {key: known[key] for key in listed} == listed
        _read_some(client, bucket, writers, listed)
    _nothing_is_left_over(own_cloud, client, bucket, listed)


def _read_some(client: Any, bucket: str, writers: Writers, listed: dict[str, str]) -> None:
    """What is listed can be read: every key of this round, whether acknowledged or cut off just after its row."""
    for key in listed.keys() & writers.tried.keys():
        data = client.get_object(Bucket=bucket, Key=key)["Body"].read()
        etag = listed[key]
        if "-" in etag:
            digest = hashlib.md5(hashlib.md5(data[:PART]).digest() + hashlib.md5(data[PART:]).digest()).hexdigest()
            assert etag == f"{digest}-2"
        else:
            assert etag == hashlib.md5(data).hexdigest()


def _nothing_is_left_over(cloud: CloudProcess, client: Any, bucket: str, listed: dict[str, str]) -> None:
    """After a clean stop the folder holds the listed objects and the parts of uploads under way, and no more."""
    uploads = client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    parts = sum(
        len(client.list_parts(Bucket=bucket, Key=each["Key"], UploadId=each["UploadId"]).get("Parts", []))
        for each in uploads
    )
    sizes = [client.head_object(Bucket=bucket, Key=key)["ContentLength"] for key in listed]
    expected = sum(1 for size in sizes if size) + sum(1 for etag in listed.values() if "-" in etag) + parts
    cloud.stop()
    cloud.start()
    cloud.stop()
    assert _content_files(cloud.data_dir) == expected
