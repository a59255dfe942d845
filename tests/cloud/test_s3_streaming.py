"""Bodies stream: an object of 1 GB passes through without filling the server's memory."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import io
import os
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from tests.cloud.s3_support import new_bucket
from tests.cloud_process import CloudProcess

SIZE = 1 << 30
BLOCK = os.urandom(4 << 20)
ALLOWED = 150 << 20


class _Peak:
    """The largest resident size of a process while the block runs."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.idle = self.largest = self._process.memory_info().rss
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._end.wait(0.02):
            self.largest = max(self.largest, self._process.memory_info().rss)

    def __enter__(self) -> _Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


def test_one_gigabyte_up_and_down(own_cloud: CloudProcess) -> None:
    client = own_cloud.client("s3", config=Config(signature_version="s3v4"))
    client.create_bucket(Bucket="test-streaming")
    named = {"Bucket": "test-streaming", "Key": "large"}
    url = urlsplit(client.generate_presigned_url("put_object", Params=named))
    digest = hashlib.md5()

    def body() -> Iterator[bytes]:
        for _ in range(SIZE // len(BLOCK)):
            digest.update(BLOCK)
            yield BLOCK

    assert own_cloud.process is not None
    with _Peak(own_cloud.process.pid) as memory:
        connection = http.client.HTTPConnection("127.0.0.1", own_cloud.port)
        connection.request("PUT", f"{url.path}?{url.query}", body(), {"Content-Length": str(SIZE)})
        answer = connection.getresponse()
        assert (answer.status, answer.headers["ETag"]) == (200, f'"{digest.hexdigest()}"')
        down = hashlib.md5()
        stream = client.get_object(**named)["Body"]
        while block := stream.read(1 << 20):
            down.update(block)
    assert down.hexdigest() == digest.hexdigest()
    assert memory.largest - memory.idle < ALLOWED


def _wait_until_collected(cloud: CloudProcess, client: Any, bucket: str) -> None:
    """Until an object that was deleted later has left the disk, so that the grace of the earlier ones is over."""

    def present() -> set[str]:
        found = set()
        for path in (cloud.data_dir / "objects").rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_size == 12_345:
                    found.add(path.name)
        return found

    before = present()
    client.put_object(Bucket=bucket, Key="later", Body=bytes(12_345))
    client.delete_object(Bucket=bucket, Key="later")
    deadline = time.monotonic() + 30
    while present() - before:
        assert time.monotonic() < deadline, "removed files are never collected"
        time.sleep(0.05)


@pytest.mark.parametrize("part", [8 << 20, 64 << 20])
def test_what_is_being_read_can_be_deleted(cloud: CloudProcess, part: int) -> None:
    """An answer under way is sent to its end, from one file or from several, long after the object is gone."""
    client = cloud.client("s3")
    bucket = new_bucket(client)
    data = os.urandom(40 << 20)
    transfer = TransferConfig(multipart_threshold=part, multipart_chunksize=part)
    client.upload_fileobj(io.BytesIO(data), bucket, "large", Config=transfer)
    stream = client.get_object(Bucket=bucket, Key="large")["Body"]
    read = [stream.read(1 << 20)]
    client.put_object(Bucket=bucket, Key="large", Body=b"another")
    client.delete_object(Bucket=bucket, Key="large")
    _wait_until_collected(cloud, client, bucket)
    read.append(stream.read())
    assert b"".join(read) == data
