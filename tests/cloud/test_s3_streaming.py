"""Bodies stream: an object of 1 GB passes through without filling the server's memory."""

from __future__ import annotations

import hashlib
import http.client
import os
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil
from botocore.config import Config

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
