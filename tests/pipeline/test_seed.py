"""What WHERE=PATH of seed means: bucket, key, region; and the ETag that S3 will give a file."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sagehound.errors import StepFailed
from sagehound.pipeline.seed import PART, etag, parse


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("bucket/key", ("bucket", "key", "")),
        ("bucket/a/b.zip", ("bucket", "a/b.zip", "")),
        ("s3://bucket/a/b.zip", ("bucket", "a/b.zip", "")),
        ("bucket", ("bucket", "", "")),
        ("bucket/year=2020/x", ("bucket", "year=2020/x", "")),
        ("udacity-aind/dog-project/dogImages.zip", ("udacity-aind", "dog-project/dogImages.zip", "us-west-1")),
        ("https://s3-us-west-1.amazonaws.com/udacity-aind/x.zip", ("udacity-aind", "x.zip", "us-west-1")),
        ("https://s3.us-west-1.amazonaws.com/udacity-aind/x.zip", ("udacity-aind", "x.zip", "us-west-1")),
        ("https://s3.amazonaws.com/udacity-aind/x.zip", ("udacity-aind", "x.zip", "us-west-1")),
        ("https://s3.amazonaws.com/bucket/a/b.zip", ("bucket", "a/b.zip", "us-east-1")),
        ("https://bucket.s3.amazonaws.com/a/b.zip", ("bucket", "a/b.zip", "us-east-1")),
        ("https://my.bucket.s3.eu-central-1.amazonaws.com/a%20b", ("my.bucket", "a b", "eu-central-1")),
        ("https://bucket.s3-us-gov-west-1.amazonaws.com/x", ("bucket", "x", "us-gov-west-1")),
        ("http://s3.dualstack.eu-west-2.amazonaws.com/bucket/x", ("bucket", "x", "eu-west-2")),
    ],
)
def test_where_a_file_is_to_lie(tmp_path, where, found) -> None:
    (tmp_path / "a=b").touch()
    one = parse(f"{where}={tmp_path}/a=b")
    assert (one.bucket, one.key, one.region) == found
    assert one.path == tmp_path / "a=b"


def test_a_key_that_is_a_prefix_gets_the_files_own_name(tmp_path) -> None:
    (tmp_path / "x.zip").touch()
    assert [key for key, _ in parse(f"bucket/a/={tmp_path}/x.zip").files()] == ["a/x.zip"]
    assert [key for key, _ in parse(f"bucket={tmp_path}/x.zip").files()] == ["x.zip"]


def test_links_below_a_folder_are_followed_but_not_in_circles(tmp_path) -> None:
    for name in ("dogs/train/x.jpg", "elsewhere/y.jpg", "z.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    dogs = tmp_path / "dogs"
    (dogs / "test").symlink_to(tmp_path / "elsewhere")
    (dogs / "again").symlink_to(tmp_path / "elsewhere")
    (dogs / "train" / "up").symlink_to(dogs)
    (dogs / "z.jpg").symlink_to(tmp_path / "z.jpg")
    (dogs / "gone.jpg").symlink_to(tmp_path / "gone.jpg")
    keys = [key for key, _ in parse(f"bucket/p/={dogs}").files()]
    assert keys == ["p/again/y.jpg", "p/test/y.jpg", "p/train/x.jpg", "p/z.jpg"]


@pytest.fixture
def ordinary_user() -> Iterator[None]:
    """Root, who may read everything, is somebody else for a moment."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_folder_that_cannot_be_read_is_told(ordinary_user: None) -> None:
    # pytest's own folder is its user's only.
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        closed = Path(folder) / "dogs" / "closed"
        closed.mkdir(parents=True)
        closed.chmod(0)
        with pytest.raises(StepFailed, match="closed cannot be read: Permission denied"):
            list(parse(f"bucket/p/={closed.parent}").files())


@pytest.mark.parametrize("where", ["https://example.com/bucket/x", "https://s3.amazonaws.com.example.com/b/x", ""])
def test_what_is_no_place_in_s3(tmp_path, where) -> None:
    with pytest.raises(StepFailed):
        parse(f"{where}={tmp_path}")


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART])
def test_the_etag_of_a_file_in_one_part(tmp_path, size) -> None:
    (tmp_path / "x").write_bytes(b"x" * size)
    assert etag(tmp_path / "x") == hashlib.md5(b"x" * size, usedforsecurity=False).hexdigest()
