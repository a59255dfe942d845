"""The user data of an instance that trains, run by a shell against a running cloud's S3: everything but the machine."""

from __future__ import annotations

import io
import json
import os
import re
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from sagehound.classifier.metrics import METRIC_DEFINITIONS
from sagehound.errors import StepFailed
from sagehound.pipeline.bucket import ensure_bucket
from sagehound.pipeline.clients import Clients, read_credentials
from sagehound.pipeline.code import find_code
from sagehound.pipeline.instance_result import read_result
from sagehound.pipeline.instance_user_data import MOST_BYTES, Work, user_data
from sagehound.pipeline.names import Names
from sagehound.pipeline.place import LOCAL_CLOUD
from sagehound.pipeline.training_job import ship
from tests.cloud_process import CloudProcess
from tests.pipeline.conftest import Uploaded

pytestmark = pytest.mark.timeout(300)


class Machine:
    """A folder that stands for root's home, with a `shutdown` that only says that it was called."""

    def __init__(self, folder: Path, cloud: CloudProcess) -> None:
        self.folder = folder
        programs = folder / "bin"
        programs.mkdir(parents=True)
        self._program(programs / "shutdown", f'#!/bin/sh\necho "$@" >"{folder}/shut-down"\n')
        (programs / "activate").write_text(f'PATH="{Path(sys.executable).parent}:$PATH"\n')
        key, secret = read_credentials(cloud.data_dir / "credentials")
        self._environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(folder),
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{cloud.port}",
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
        }

    @staticmethod
    def _program(path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def boot(self, work: Work) -> str:
        """Run the user data to their end; what they wrote."""
        script = self.folder / "part-001"
        self._program(script, user_data(work))
        ended = subprocess.run(
            [str(script)],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return ended.stdout

    @property
    def shut_down(self) -> str:
        """What `shutdown` was told; empty where nobody called it."""
        told = self.folder / "shut-down"
        return told.read_text().strip() if told.exists() else ""


@pytest.fixture
def machine(tmp_path: Path, cloud: CloudProcess) -> Machine:
    return Machine(tmp_path / "machine", cloud)


def work(names: Names, **changes: Any) -> Work:
    values: dict[str, Any] = {
        "run": "run-1",
        "region": "us-east-1",
        "bucket": names.bucket,
        "code_key": "",
        "data_prefix": "",
        "data_archive": "",
        "result_prefix": f"{names.project}/instances/run-1/",
        "program": "train_model.py",
        "arguments": [],
        "instance_type": "t2.small",
        "limit_seconds": 600,
    }
    return Work(**(values | changes))


def own_code(clients: Clients, names: Names, folder: Path, script: str) -> str:
    """The key of a script of the person's own, shipped."""
    path = folder / "solution.py"
    path.write_text(script)
    bundle = find_code(str(path), "", "instance", LOCAL_CLOUD).bundle
    ship(clients, names, bundle)
    return names.code_key(bundle.digest)


def test_it_fetches_trains_uploads_and_shuts_down(clients, settings, names, uploaded: Uploaded, machine) -> None:
    data = uploaded(settings)
    code = find_code("train_model.py", "", "instance", LOCAL_CLOUD)
    ship(clients, names, code.bundle)
    said = machine.boot(
        work(
            names,
            code_key=names.code_key(code.bundle.digest),
            data_prefix=names.data_prefix(data.name),
            arguments=["--epochs", "6", "--batch_size", "8", "--learning_rate", "0.01"],
        )
    )
    assert machine.shut_down == "-h now", said
    lines = said.splitlines()
    assert lines[0] == "sagehound: begins"
    assert f"sagehound: has fetched 60 from {data.uri}" in lines
    assert lines[-1] == "sagehound: ends with status 0"
    result = read_result(clients, names, "run-1")
    assert result is not None
    assert result.status == 0
    assert result.metrics["test:accuracy"] > 0.9
    # The same lines that a training job's log has, since it is the same code.
    regex = {one["Name"]: one["Regex"] for one in METRIC_DEFINITIONS}["test:accuracy"]
    logged = re.findall(regex, said)
    assert float(logged[-1]) == pytest.approx(result.metrics["test:accuracy"], abs=1e-4)
    assert list(result.seconds) == ["start", "fetch", "train", "upload"]
    assert result.files["TrainedModels/model.pth"] > 1_000_000
    model = clients.s3.get_object(Bucket=names.bucket, Key=f"{names.project}/instances/run-1/TrainedModels/model.pth")
    assert model["Body"].read() == (machine.folder / "run-1/TrainedModels/model.pth").read_bytes()
    assert result.artifact_uri.endswith("/run-1/model.tar.gz")


def test_a_zip_is_fetched_and_unzipped_whatever_its_folder_is_called(
    clients, names, pictures, machine, tmp_path
) -> None:
    ensure_bucket(clients, names)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in pictures.rglob("*.png"):
            archive.write(path, f"someDogs/{path.relative_to(pictures)}")
        archive.writestr("__MACOSX/someDogs/train/x", "")
    clients.s3.put_object(Bucket=names.bucket, Key="some.zip", Body=packed.getvalue())
    script = "import pathlib, os\nassert pathlib.Path('dogImages/train/red').is_dir(), os.listdir()\n"
    script += "assert os.environ['SM_CHANNEL_TRAINING'] == os.path.abspath('dogImages')\n"
    script += "pathlib.Path('TrainedModels/model.pth').write_text('trained')\n"
    key = own_code(clients, names, tmp_path, script)
    said = machine.boot(work(names, code_key=key, data_archive=f"s3://{names.bucket}/some.zip", program="solution.py"))
    result = read_result(clients, names, "run-1")
    assert result is not None, said
    assert result.status == 0, said
    assert result.files["TrainedModels/model.pth"] == len("trained")


@pytest.mark.parametrize(
    ("script", "limit", "status", "line"),
    [
        ("raise SystemExit(3)", 600, 3, "sagehound: ends with status 3"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            *(600, 137, "sagehound: was killed, as a program is that needs more memory than t2.small has"),
        ),
        ("import time; time.sleep(600)", 2, 124, "sagehound: was ended after 2 seconds"),
    ],
)
def test_work_that_fails_or_hangs_is_told_and_the_machine_is_shut_down(
    clients, settings, names, uploaded, machine, tmp_path, script, limit, status, line
) -> None:
    data = uploaded(settings)
    key = own_code(clients, names, tmp_path, script)
    prefix = names.data_prefix(data.name)
    said = machine.boot(work(names, code_key=key, data_prefix=prefix, program="solution.py", limit_seconds=limit))
    assert line in said.splitlines()
    assert machine.shut_down == "-h now"
    result = read_result(clients, names, "run-1")
    assert result is not None
    assert result.status == status
    assert result.model_uri == ""


def test_data_that_are_not_there_are_told(clients, names, machine) -> None:
    ensure_bucket(clients, names)
    said = machine.boot(work(names, data_prefix="nothing/here/"))
    assert f"there is nothing at s3://{names.bucket}/nothing/here/" in said
    assert machine.shut_down == "-h now"
    outcome = clients.s3.get_object(Bucket=names.bucket, Key=f"{names.project}/instances/run-1/outcome.json")
    assert json.loads(outcome["Body"].read())["status"] == 1


def test_values_reach_the_script_as_they_are(names, tmp_path) -> None:
    odd = ["--name", 'it\'s $HOME; `id` "x"', "--empty", ""]
    script = user_data(work(names, program="a b.py", arguments=odd))
    head = script.split("write_transfer()")[0]
    told = subprocess.run(
        ["/bin/bash", "-c", f'{head}\nprintf "%s\\0" "$PROGRAM" "${{ARGUMENTS[@]}}"'],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert told.split("\0")[:-1] == ["a b.py", *odd]


def test_user_data_that_ec2_would_not_take_are_refused_here(names) -> None:
    fits = user_data(work(names))
    room = MOST_BYTES - len(fits.encode())
    assert room > 4_000
    assert len(user_data(work(names, arguments=["x" * room])).encode()) == MOST_BYTES
    with pytest.raises(StepFailed, match="16,385 bytes"):
        user_data(work(names, arguments=["x" * (room + 1)]))
