"""seed: files under their public names, for anybody to read, sent once; what is somebody else's is left alone."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from botocore.exceptions import ClientError

from sagehound.pipeline.seed import PART
from tests.cli.people import Person, own_environment, sagehound
from tests.cloud_process import CloudProcess


class Seeder:
    """Runs `sagehound seed` in a folder of its own."""

    def __init__(self, cloud: CloudProcess, folder: Path) -> None:
        self.cloud = cloud
        self.folder = folder
        self.bucket = f"public-{uuid.uuid4().hex[:12]}"

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            sagehound("seed", "--data-dir", str(self.cloud.data_dir), *words),
            cwd=self.folder, env=own_environment(self.folder), capture_output=True, text=True, check=False,
        )  # fmt: skip

    def seed(self, *words: str) -> dict[str, object]:
        """The result of one that goes well."""
        done = self.run("--json", *words)
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])["result"]
        return found

    def refused(self, *words: str) -> str:
        """Why and the way out."""
        done = self.run(*words)
        assert done.returncode == 1, done.stdout
        return done.stderr

    def anybody(self, key: str, bucket: str = "") -> requests.Response:
        """What somebody without keys gets."""
        return requests.get(f"{self.cloud.endpoint_url}/{bucket or self.bucket}/{key}", timeout=60)


@pytest.fixture
def seeder(cloud: CloudProcess, tmp_path: Path) -> Seeder:
    (tmp_path / "dogs.zip").write_bytes(b"PK dogs")
    return Seeder(cloud, tmp_path)


def test_a_file_lies_where_scripts_look_for_it(seeder) -> None:
    result = seeder.seed(f"{seeder.bucket}/dog-project/dogs.zip=dogs.zip")
    assert result == {"sent": 1, "unchanged": 0, "bytes": 7}
    answer = seeder.anybody("dog-project/dogs.zip")
    assert (answer.status_code, answer.content) == (200, b"PK dogs")
    assert answer.headers["Content-Type"] == "application/zip"
    # Reading is all that anybody may.
    assert requests.put(f"{seeder.cloud.endpoint_url}/{seeder.bucket}/x", b"x", timeout=60).status_code == 403
    assert requests.get(f"{seeder.cloud.endpoint_url}/{seeder.bucket}", timeout=60).status_code == 403


def test_the_same_again_sends_nothing_and_a_changed_file_is_sent(seeder) -> None:
    where = f"{seeder.bucket}/dogs.zip=dogs.zip"
    seeder.seed(where)
    assert seeder.seed(where) == {"sent": 0, "unchanged": 1, "bytes": 0}
    (seeder.folder / "dogs.zip").write_bytes(b"PK more dogs")
    assert seeder.seed(where) == {"sent": 1, "unchanged": 0, "bytes": 12}
    assert seeder.anybody("dogs.zip").content == b"PK more dogs"


def test_a_large_file_goes_in_parts_and_is_known_again(seeder) -> None:
    content = os.urandom(PART) * 2 + b"rest"
    (seeder.folder / "large.bin").write_bytes(content)
    where = f"{seeder.bucket}/large.bin=large.bin"
    assert seeder.seed(where) == {"sent": 1, "unchanged": 0, "bytes": len(content)}
    head = seeder.cloud.client("s3").head_object(Bucket=seeder.bucket, Key="large.bin")
    assert head["ETag"].endswith('-3"')
    assert seeder.seed(where) == {"sent": 0, "unchanged": 1, "bytes": 0}
    assert seeder.anybody("large.bin").content == content


def test_a_folder_lies_below_a_prefix(seeder) -> None:
    for name in ("train/001.Affenpinscher/a b.jpg", "test/é.jpg", ".hidden"):
        path = seeder.folder / "dogImages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    assert seeder.seed(f"{seeder.bucket}/dogs/=dogImages")["sent"] == 3
    assert seeder.seed(f"s3://{seeder.bucket}/dogs/=dogImages")["unchanged"] == 3
    assert seeder.anybody("dogs/train/001.Affenpinscher/a b.jpg").text == "train/001.Affenpinscher/a b.jpg"
    assert seeder.anybody("dogs/test/é.jpg").content.decode() == "test/é.jpg"
    assert seeder.seed(f"{seeder.bucket}=dogImages")["sent"] == 3
    assert seeder.anybody(".hidden").text == ".hidden"


def test_a_name_that_is_no_text_is_told(seeder) -> None:
    (seeder.folder / "folder").mkdir()
    with open(os.fsencode(seeder.folder / "folder") + b"/\xff.jpg", "wb"):
        said = seeder.refused(f"{seeder.bucket}/=folder")
    assert "the name \\xff.jpg is not UTF-8" in said


def test_several_at_once(seeder) -> None:
    other = f"{seeder.bucket}-other"
    (seeder.folder / "a.txt").write_text("a")
    result = seeder.seed(f"{seeder.bucket}/dogs.zip=dogs.zip", f"{seeder.bucket}/a.txt=a.txt", f"{other}/=a.txt")
    assert result["sent"] == 3
    assert seeder.anybody("a.txt", other).text == "a"


def test_a_new_bucket_that_several_make_at_once_is_seeds_for_all(seeder) -> None:
    names = [f"{number}.txt" for number in range(4)]
    for name in names:
        (seeder.folder / name).write_text(name)
    with ThreadPoolExecutor(len(names)) as pool:
        results = list(pool.map(lambda name: seeder.seed(f"{seeder.bucket}/{name}={name}"), names))
    assert [result["sent"] for result in results] == [1] * len(names)
    assert [seeder.anybody(name).text for name in names] == names


def test_two_files_for_one_key_are_refused(seeder) -> None:
    (seeder.folder / "a.txt").write_text("a")
    said = seeder.refused(f"{seeder.bucket}/x=dogs.zip", f"{seeder.bucket}/x=a.txt")
    assert f"dogs.zip and a.txt are both to lie at s3://{seeder.bucket}/x" in said
    with pytest.raises(ClientError, match="404"):  # nothing has been made
        seeder.cloud.client("s3").head_bucket(Bucket=seeder.bucket)


def region_of(seeder: Seeder, bucket: str) -> str:
    return str(seeder.cloud.client("s3").head_bucket(Bucket=bucket)["BucketRegion"])


def test_the_bucket_lies_where_its_usual_address_says(seeder) -> None:
    one, two, three = (f"{seeder.bucket}-{number}" for number in range(3))
    seeder.seed(f"https://s3-us-west-1.amazonaws.com/{one}/dog-project/dogs.zip=dogs.zip")
    seeder.seed(f"https://{two}.s3.eu-central-1.amazonaws.com/dogs.zip=dogs.zip")
    seeder.seed(f"{three}/dogs.zip=dogs.zip", "--region", "ap-south-1")
    assert [region_of(seeder, name) for name in (one, two, three)] == ["us-west-1", "eu-central-1", "ap-south-1"]
    assert seeder.anybody("dog-project/dogs.zip", one).content == b"PK dogs"
    assert seeder.seed(f"{one}/dog-project/dogs.zip=dogs.zip")["unchanged"] == 1


def test_the_bucket_of_the_dogs_lies_where_everybody_knows_it(own_cloud, tmp_path) -> None:
    (tmp_path / "dogs.zip").write_bytes(b"PK dogs")
    seeder = Seeder(own_cloud, tmp_path)
    seeder.seed("udacity-aind/dog-project/dogImages.zip=dogs.zip")
    assert region_of(seeder, "udacity-aind") == "us-west-1"
    person = Person(own_cloud, tmp_path)
    person.says("wget", "-q", "https://s3-us-west-1.amazonaws.com/udacity-aind/dog-project/dogImages.zip")
    assert (tmp_path / "dogImages.zip").read_bytes() == b"PK dogs"
    for host in ("udacity-aind.s3.us-west-1.amazonaws.com", "udacity-aind.s3.amazonaws.com"):
        said = person.says("curl", "-sS", "--fail", f"https://{host}/dog-project/dogImages.zip")
        assert said == "PK dogs"


def test_somebody_elses_bucket_is_left_alone(seeder) -> None:
    s3 = seeder.cloud.client("s3")
    s3.create_bucket(Bucket=seeder.bucket)
    said = seeder.refused(f"{seeder.bucket}/dogs.zip=dogs.zip")
    assert f"bucket {seeder.bucket} is there already and was not made by seed" in said
    assert s3.list_objects_v2(Bucket=seeder.bucket)["KeyCount"] == 0
    assert s3.get_public_access_block(Bucket=seeder.bucket)["PublicAccessBlockConfiguration"]["BlockPublicPolicy"]


def test_somebody_elses_object_is_left_alone(seeder) -> None:
    s3 = seeder.cloud.client("s3")
    seeder.seed(f"{seeder.bucket}/dogs.zip=dogs.zip")
    s3.put_object(Bucket=seeder.bucket, Key="dogs.zip", Body=b"other")
    (seeder.folder / "a.txt").write_text("a")
    said = seeder.refused(f"{seeder.bucket}/a.txt=a.txt", f"{seeder.bucket}/dogs.zip=dogs.zip")
    assert f"s3://{seeder.bucket}/dogs.zip is there already, is not your file, and was not put there by seed" in said
    assert s3.get_object(Bucket=seeder.bucket, Key="dogs.zip")["Body"].read() == b"other"
    assert seeder.anybody("a.txt").status_code == 403  # nothing is sent when one cannot be
    # The same content is nobody's loss.
    s3.put_object(Bucket=seeder.bucket, Key="dogs.zip", Body=b"PK dogs")
    assert seeder.seed(f"{seeder.bucket}/dogs.zip=dogs.zip")["unchanged"] == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("bucket/key", "bucket/key names no file"),
        ("bucket/key=", "there is no file or folder"),
        ("bucket/key=nothing", "there is no file or folder nothing"),
        ("=dogs.zip", " names no bucket"),
        ("https://example.com/x=dogs.zip", "https://example.com/x is no address of S3"),
        ("bucket/key=.", "is a folder, and bucket/key names one object"),
        ("bucket/prefix/=empty", "there are no files in empty"),
        ("bucket/key=~no-such-user-here/x", "there is no file or folder ~no-such-user-here/x"),
        ("Not_A_Bucket/x=dogs.zip", "InvalidBucketName"),
    ],
)
def test_what_cannot_be_is_told(seeder, words, told) -> None:
    (seeder.folder / "empty").mkdir()
    said = seeder.refused(words)
    assert told in said
    assert "way out:" in said


def test_without_a_cloud_the_way_to_one_is_told(tmp_path) -> None:
    (tmp_path / "x").touch()
    done = subprocess.run(
        sagehound("seed", "--data-dir", str(tmp_path / "nothing"), f"bucket/x={tmp_path / 'x'}"),
        env=own_environment(tmp_path), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"no local cloud is running on {tmp_path / 'nothing'}" in done.stderr
