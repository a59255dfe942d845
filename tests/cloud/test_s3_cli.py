"""The aws CLI against our S3: copies and syncs of folders."""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cloud.s3_support import keys, new_bucket
from tests.cloud_process import CloudProcess

AWS = shutil.which("aws", path=str(Path(sys.executable).parent)) or shutil.which("aws")


@pytest.mark.skipif(AWS is None, reason="needs the aws CLI (pip install awscli)")
def test_a_folder_goes_up_and_comes_back(cloud: CloudProcess, tmp_path: Path) -> None:
    bucket = new_bucket(cloud.client("s3"))

    def aws(*arguments: str) -> str:
        command = [str(AWS), "s3", *arguments]
        environment = {**os.environ, **cloud.environment(), "AWS_EC2_METADATA_DISABLED": "true"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    source, back = tmp_path / "pictures", tmp_path / "back"
    for number in range(12):
        picture = source / f"{number % 3:03d}.Breed_{number % 3}" / f"img {number}.jpg"
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(os.urandom(2000 + number))
    (source / "large.bin").write_bytes(os.urandom(17 << 20))
    for path in source.rglob("*"):  # LastModified has no fractions: a file of the same second would be newer than it
        os.utime(path, (time.time() - 60,) * 2)
    aws("cp", "--recursive", "--quiet", str(source), f"s3://{bucket}/ds")
    assert aws("sync", str(source), f"s3://{bucket}/ds").strip() == "", "a second sync uploads nothing"
    aws("sync", "--quiet", f"s3://{bucket}/ds", str(back))
    assert aws("ls", f"s3://{bucket}/ds/").count("PRE") == 3
    pictures = [str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()]
    assert filecmp.cmpfiles(source, back, pictures, shallow=False)[0] == pictures
    aws("rm", "--recursive", "--quiet", f"s3://{bucket}/ds")
    assert keys(cloud.client("s3").list_objects_v2(Bucket=bucket)) == []
