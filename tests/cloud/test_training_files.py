"""What odd files in a job's folders do: nothing of the machine's is stored, nothing waits, the rest is stored."""

from __future__ import annotations

import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tests.cloud.training import Workshop
from tests.cloud_process import CloudProcess
from tests.waiting import wait_for

ODD = """
import os, socket
folder = {folder!r} + "/"
open(folder + "real", "w").write("real")
os.symlink({secret!r}, folder + "secret.txt")
os.symlink(os.path.dirname({secret!r}), folder + "outside")
os.symlink("real", folder + "relative")
os.symlink(folder + "real", folder + "absolute")
os.symlink("circle", folder + "circle")
os.mkfifo(folder + "pipe")
socket.socket(socket.AF_UNIX).bind(folder + "socket")
"""


@pytest.fixture(scope="module")
def shop(cloud: CloudProcess) -> Workshop:
    return Workshop(cloud)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text("the machine's own")
    return path


def stored(shop: Workshop, prefix: str) -> dict[str, bytes]:
    """The objects below a prefix."""
    entries = shop.s3.list_objects_v2(Bucket=shop.bucket, Prefix=prefix).get("Contents", [])
    read = {entry["Key"]: shop.s3.get_object(Bucket=shop.bucket, Key=entry["Key"])["Body"].read() for entry in entries}
    return {key.removeprefix(prefix): body for key, body in read.items()}


def test_links_of_an_uncompressed_model_lead_no_further_than_the_job(shop: Workshop, secret: Path) -> None:
    output = {"S3OutputPath": f"s3://{shop.bucket}/out", "CompressionType": "NONE"}
    job = shop.run(ODD.format(folder="/opt/ml/model", secret=str(secret)), OutputDataConfig=output)
    assert job["TrainingJobStatus"] == "Completed", job
    model = stored(shop, f"out/{job['TrainingJobName']}/output/model/")
    assert model == {"real": b"real", "relative": b"real", "absolute": b"real"}


def test_links_of_checkpoints_lead_no_further_than_the_job(shop: Workshop, secret: Path) -> None:
    script = ODD.format(folder="/opt/ml/checkpoints", secret=str(secret))
    job = shop.run(script, CheckpointConfig={"S3Uri": f"s3://{shop.bucket}/odd"})
    assert job["TrainingJobStatus"] == "Completed", job
    assert stored(shop, "odd/") == {"real": b"real", "relative": b"real", "absolute": b"real"}


@pytest.mark.parametrize(
    "instead",
    [
        "",
        "os.symlink({outside!r}, folder)",
        "open(folder, 'w').write('x')",
    ],
)
@pytest.mark.parametrize("name", ["model", "output"])
def test_a_folder_that_is_gone_was_empty(shop: Workshop, secret: Path, name: str, instead: str) -> None:
    script = f"import os, shutil\nfolder = '/opt/ml/{name}'\nshutil.rmtree(folder)\n"
    job = shop.run(script + instead.format(outside=str(secret.parent)))
    assert job["TrainingJobStatus"] == "Completed", job
    assert stored(shop, f"out/{job['TrainingJobName']}/") == {}


@pytest.mark.parametrize("made", ["os.mkfifo(path)", "os.symlink({secret!r}, path)", "os.mkdir(path)"])
def test_a_failure_file_that_is_none_says_nothing(shop: Workshop, secret: Path, made: str) -> None:
    script = f"import os\npath = '/opt/ml/output/failure'\n{made}\nprint('last words')\nraise SystemExit(3)"
    job = shop.run(script.format(secret=str(secret)))
    assert "last words" in job["FailureReason"]
    assert "the machine's own" not in job["FailureReason"]


def test_folders_may_be_deeper_than_python_goes(shop: Workshop) -> None:
    job = shop.run("import os\nos.chdir('/opt/ml/model')\nfor _ in range(1500):\n    os.mkdir('d')\n    os.chdir('d')")
    assert job["TrainingJobStatus"] == "Completed", job
    body = shop.s3.get_object(Bucket=shop.bucket, Key=f"out/{job['TrainingJobName']}/output/model.tar.gz")["Body"]
    with tarfile.open(fileobj=BytesIO(body.read())) as tar:
        assert tar.getnames() == ["/".join("d" * 1500)]
    wait_for(lambda: not [folder for folder in shop.folders() if folder.name.startswith(job["TrainingJobName"])])


def failing(shop: Workshop, **changes: Any) -> str:
    """FailureReason of a job that must fail."""
    job = shop.run("print('never')", **changes)
    assert job["TrainingJobStatus"] == "Failed"
    return str(job["FailureReason"])


def test_checkpoints_that_cannot_be_brought_fail_the_job(shop: Workshop, tmp_path: Path) -> None:
    missing = failing(shop, CheckpointConfig={"S3Uri": "s3://no-such-bucket-anywhere/checkpoints"})
    assert missing.startswith("ClientError: The checkpoints cannot be brought from S3 (NoSuchBucket")
    target = tmp_path / "escaped"
    shop.put(f"leaving/{'../' * 20}{str(target).lstrip('/')}", "out")
    leaving = failing(shop, CheckpointConfig={"S3Uri": f"s3://{shop.bucket}/leaving"})
    assert "cannot be the name of a file" in leaving
    assert not target.exists()
    shop.put("clash/a", "file")
    shop.put("clash/a/b", "in a folder of the same name")
    assert failing(shop, CheckpointConfig={"S3Uri": f"s3://{shop.bucket}/clash"}).startswith("ClientError: ")


def test_a_checkpoint_that_cannot_be_stored_holds_nothing_else_back(shop: Workshop) -> None:
    script = (
        "open(b'/opt/ml/checkpoints/\\xff', 'w').write('no UTF-8')\nopen('/opt/ml/checkpoints/z', 'w').write('z')\n"
        "open('/opt/ml/model/m', 'w').write('m')\n"
    )
    job = shop.run(script, CheckpointConfig={"S3Uri": f"s3://{shop.bucket}/part"})
    assert job["FailureReason"].startswith("ClientError: The checkpoints cannot be stored in S3")
    assert stored(shop, "part/") == {"z": b"z"}
    assert shop.model(job) == {"m": b"m"}
