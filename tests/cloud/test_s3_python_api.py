"""What other services ask of S3 in Python, and what it does by the clock: lifecycle rounds, tidying after a death."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagehound.localcloud import credentials
from sagehound.localcloud.authorization.authoriser import Authoriser
from sagehound.localcloud.call import Call, HttpRequest
from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.recorder import Recorder
from sagehound.localcloud.services.iam.service import IAM
from sagehound.localcloud.services.s3.records import BucketTable, ObjectTable, ObjectVersion
from sagehound.localcloud.services.s3.service import S3
from sagehound.localcloud.state.clock import Clock
from sagehound.localcloud.state.store import Store

ACCOUNT = "123456789012"
DAY = 86_400.0


class LaterClock(Clock):
    """A clock that can be set forward."""

    days = 0.0

    def time(self) -> float:
        return super().time() + self.days * DAY


class Cloud:
    """S3 over a folder, called as the gateway calls it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = LaterClock()
        self.store = Store(folder / "store")
        self.root = credentials.load_or_make(folder / "credentials", ACCOUNT, "us-east-1")
        iam = IAM(self.store, self.clock, ACCOUNT, self.root)
        authority = Authoriser(iam.effective, self.clock, ACCOUNT, Recorder(folder / "calls.jsonl"))
        self.s3 = S3(self.store, self.clock, ACCOUNT, folder, credentials=iam.credentials, authority=authority)

    def ask(self, operation: str, **request: Any) -> dict[str, Any]:
        http = HttpRequest("GET", "/", "", {}, "http", "", lambda: _nothing())
        call = Call("s3", operation, "us-east-1", ACCOUNT, self.root.caller, "", http)
        answer = self.s3.operations[operation](call, {"Bucket": "b-1", **request})
        assert isinstance(answer, dict)
        return answer

    def files(self) -> int:
        return sum(1 for path in (self.folder / "objects").rglob("*") if path.is_file())

    def keys(self) -> list[str]:
        return self.s3.list_keys("b-1", "")


async def _nothing() -> Any:
    yield b""


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path)
    cloud.ask("CreateBucket")
    yield cloud
    cloud.store.close()


def test_files_and_bytes_become_objects(cloud: Cloud, tmp_path: Path) -> None:
    model = tmp_path / "model.tar.gz"
    model.write_bytes(os.urandom(3 << 20))
    etag = cloud.s3.put_file("b-1", "out/model.tar.gz", model, "application/gzip")
    assert etag == hashlib.md5(model.read_bytes()).hexdigest()
    assert cloud.ask("HeadObject", Key="out/model.tar.gz")["ContentType"] == "application/gzip"
    cloud.s3.put_file("b-1", "out/moved", model, move=True)
    assert not model.exists()
    cloud.s3.put_bytes("b-1", "out/a", b"small")
    assert cloud.s3.read_object("b-1", "out/a") == b"small"
    assert [(entry.key, entry.size) for entry in cloud.s3.list_objects("b-1", "out/")] == [
        ("out/a", 5),
        ("out/model.tar.gz", 3 << 20),
        ("out/moved", 3 << 20),
    ]


def test_inputs_are_hard_links(cloud: Cloud, tmp_path: Path) -> None:
    cloud.s3.put_bytes("b-1", "train/a.jpg", b"picture")
    cloud.s3.put_bytes("b-1", "train/empty", b"")
    targets = [("train/a.jpg", tmp_path / "in" / "x" / "a.jpg"), ("train/empty", tmp_path / "in" / "empty")]
    cloud.s3.link_objects("b-1", targets)
    assert targets[0][1].read_bytes() == b"picture"
    assert targets[0][1].stat().st_nlink == 2
    assert targets[1][1].read_bytes() == b""
    cloud.ask("DeleteObject", Key="train/a.jpg")
    assert targets[0][1].read_bytes() == b"picture"


def test_many_inputs_are_the_latest_versions_and_one_that_is_gone_is_named(cloud: Cloud, tmp_path: Path) -> None:
    cloud.ask("PutBucketVersioning", VersioningConfiguration={"Status": "Enabled"})
    keys = ["nul\0", "quote'", "\U0001f600", *(f"{number:04}" for number in range(1100))]
    for key in keys:
        for data in (b"earlier", key.encode()):
            cloud.s3.put_bytes("b-1", key, data)
    targets = [(key, tmp_path / "in" / str(number)) for number, key in enumerate([*keys, keys[0]])]
    cloud.s3.link_objects("b-1", targets)
    assert all(path.read_bytes() == key.encode() for key, path in targets)
    cloud.ask("DeleteObject", Key="0700")
    with pytest.raises(KeyError, match="0700"):
        cloud.s3.link_objects("b-1", [(key, tmp_path / "in" / key) for key in ("0001", "0700", "0002")])
    cloud.s3.link_objects("b-1", [])


def test_what_is_missing(cloud: Cloud, tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        cloud.s3.read_object("b-1", "none")
    with pytest.raises(KeyError):
        cloud.s3.link_objects("b-1", [("none", tmp_path / "none")])
    with pytest.raises(AwsError, match="NoSuchBucket"):
        cloud.s3.list_keys("b-2", "")
    assert (cloud.s3.bucket_region("b-1"), cloud.s3.bucket_region("b-2")) == ("us-east-1", None)


async def test_a_death_leaves_nothing_behind(tmp_path: Path) -> None:
    first = Cloud(tmp_path)
    first.ask("CreateBucket")
    first.s3.put_bytes("b-1", "kept", b"kept")
    first.s3._contents.files.write(b"written, but its row was never committed")
    first.store.close()
    second = Cloud(tmp_path)
    assert second.files() == 2
    await second.s3.start()
    async with asyncio.timeout(20):
        await second.s3.tidied.wait()
    assert second.files() == 1
    assert second.s3.read_object("b-1", "kept") == b"kept"
    await second.s3.stop()
    second.store.close()


def rule(**members: Any) -> dict[str, Any]:
    chosen = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, **members}
    return {"LifecycleConfiguration": {"Rules": [chosen]}}


def run_round(cloud: Cloud, days: float) -> None:
    cloud.clock.days = days
    for _ in cloud.s3._rounds.run():
        pass


def test_objects_expire(cloud: Cloud) -> None:
    for key in ("tmp/1", "tmp/2", "other"):
        cloud.s3.put_bytes("b-1", key, b"x")
    cloud.ask("PutObjectTagging", Key="tmp/2", Tagging={"TagSet": [{"Key": "keep", "Value": "no"}]})
    tagged = {"And": {"Prefix": "tmp/", "Tags": [{"Key": "keep", "Value": "no"}]}}
    cloud.ask("PutBucketLifecycleConfiguration", **rule(Expiration={"Days": 2}, Filter=tagged))
    run_round(cloud, 1.9)
    assert cloud.keys() == ["other", "tmp/1", "tmp/2"]
    run_round(cloud, 2.1)
    assert cloud.keys() == ["other", "tmp/1"]
    cloud.ask("PutBucketLifecycleConfiguration", **rule(Expiration={"Days": 2}, Status="Disabled"))
    run_round(cloud, 3)
    assert cloud.keys() == ["other", "tmp/1"]


def test_versions_markers_and_uploads_expire(cloud: Cloud) -> None:
    cloud.ask("PutBucketVersioning", VersioningConfiguration={"Status": "Enabled"})
    for number in range(4):
        cloud.s3.put_bytes("b-1", "tmp/k", str(number).encode())
    cloud.ask("CreateMultipartUpload", Key="tmp/upload")
    old = {"NoncurrentDays": 1, "NewerNoncurrentVersions": 1}
    abort = {"DaysAfterInitiation": 1}
    wanted = rule(NoncurrentVersionExpiration=old, AbortIncompleteMultipartUpload=abort, Expiration={"Days": 5})
    cloud.ask("PutBucketLifecycleConfiguration", **wanted)
    run_round(cloud, 2)
    assert len(cloud.ask("ListObjectVersions")["Versions"]) == 2
    assert cloud.ask("ListMultipartUploads")["Uploads"] == []
    run_round(cloud, 6)
    assert cloud.keys() == []
    assert len(cloud.ask("ListObjectVersions")["DeleteMarkers"]) == 1
    only = rule(NoncurrentVersionExpiration={"NoncurrentDays": 1}, Expiration={"ExpiredObjectDeleteMarker": True})
    cloud.ask("PutBucketLifecycleConfiguration", **only)
    run_round(cloud, 10)
    run_round(cloud, 10)
    left = cloud.ask("ListObjectVersions")
    assert (left["Versions"], left["DeleteMarkers"]) == ([], [])


def test_a_refused_row_takes_its_content_along(cloud: Cloud) -> None:
    """The bucket goes while a body arrives: no row, and no file."""
    received = cloud.s3._contents.store(b"too late", ["CRC32"])
    version = ObjectVersion("b-1", "k", received.size, received.etag, 0.0, received.content)
    cloud.ask("DeleteBucket")
    with pytest.raises(AwsError, match="NoSuchBucket"):
        cloud.s3._writer.commit(version, {"Bucket": "b-1"})
    assert cloud.files() == 0


def test_buckets_and_objects_are_read_back(cloud: Cloud) -> None:
    cloud.s3.put_bytes("b-1", "k", b"x")
    again = Store(cloud.folder / "store")
    assert BucketTable(again, ACCOUNT).find("b-1") == cloud.s3.buckets.find("b-1")
    found = ObjectTable(again).latest("b-1", "k")
    assert found is not None
    assert found.size == 1
    again.close()
