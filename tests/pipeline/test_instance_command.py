"""`sagehound instance` as a command: interrupted, killed, joined by another, listed, and ended from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from sagehound.pipeline.instance import remove_surroundings, train_on_instance
from sagehound.pipeline.instance_cleanup import find_instances
from sagehound.pipeline.instance_machine import project_machines
from sagehound.pipeline.upload import StoredData
from sagehound.settings import PipelineSettings
from tests.cloud_process import CloudProcess
from tests.pipeline.conftest import Uploaded
from tests.pipeline.instance_trainings import WAITS, WRITES, ended, with_script

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def data(settings: PipelineSettings, uploaded: Uploaded) -> StoredData:
    return uploaded(settings)


@pytest.fixture
def script(settings: PipelineSettings, tmp_path: Path) -> Callable[[str], PipelineSettings]:
    """`script("raise ...")`: settings that train with it."""
    return partial(with_script, settings, tmp_path)


class Client(subprocess.Popen[str]):
    """`sagehound instance train` as a process of its own."""

    def read_until(self, line: str) -> str:
        """Read its output up to a line that ends so."""
        assert self.stdout is not None
        said = []
        for one in self.stdout:
            said.append(one)
            if one.rstrip().endswith(line):
                return "".join(said)
        raise AssertionError(f"it never said {line}:\n{''.join(said)}\n{self.stderr.read() if self.stderr else ''}")


@pytest.fixture
def cli(cloud: CloudProcess, data: StoredData, tmp_path: Path) -> Callable[[PipelineSettings], Client]:
    """`cli(settings)`: the command with these settings, under way."""

    def start(settings: PipelineSettings) -> Client:
        told = {"project": settings.project, "bucket": settings.bucket, "train.entry_point": settings.train.entry_point}
        words = [word for name, value in told.items() for word in ("--set", f"{name}={value}")]
        return Client(
            [
                *(sys.executable, "-u", "-m", "sagehound.cli.main", "instance", "train"),
                *("--data-dir", str(cloud.data_dir), *words),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        )

    return start


def test_ctrl_c_terminates_the_instance_and_leaves_nothing(clients, names, script, cli) -> None:
    client = cli(script(WAITS))
    client.read_until("waits")
    client.send_signal(signal.SIGINT)
    out, err = client.communicate(timeout=120)
    assert client.returncode == 130, out + err
    assert "is terminated, nothing is left of it" in err
    assert len(ended(clients, names)) == 1


def command(cloud: CloudProcess, settings: PipelineSettings, *words: str) -> tuple[int, str, str]:
    """`sagehound instance ...` to its end: exit code, output, errors."""
    told = [word for name in ("project", "bucket") for word in ("--set", f"{name}={getattr(settings, name)}")]
    done = subprocess.run(
        [*(sys.executable, "-m", "sagehound.cli.main", "instance", *words), "--data-dir", str(cloud.data_dir), *told],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_instances_are_listed_and_ended_by_a_command(clients, cloud, names, settings, script, cli) -> None:
    client = cli(script(WAITS))
    client.read_until("waits")
    (machine,) = project_machines(clients, names)
    code, out, err = command(cloud, settings, "list", "--json")
    assert code == 0, err
    (listed,) = json.loads(out.splitlines()[-1])["result"]["instances"]
    assert (listed["instance_id"], listed["state"]) == (machine.instance_id, "running")
    code, _, err = command(cloud, settings, "terminate", "i-0123456789abcdef0")
    assert (code, "has no instance i-0123456789abcdef0" in err) == (1, True)
    code, out, err = command(cloud, settings, "terminate", machine.instance_id)
    assert code == 0, err
    assert f"instance {machine.instance_id} (running, t2.small)" in out
    assert f"role, instance profile and security group {machine.run}" in out
    client.communicate(timeout=120)
    assert client.returncode == 1
    assert len(ended(clients, names)) == 1
    assert "nothing to end" in command(cloud, settings, "terminate")[1]


def test_a_command_that_was_killed_is_taken_up_by_the_next(clients, names, data, script, cli, recorded) -> None:
    waiting = script(WAITS + WRITES)
    client = cli(waiting)
    client.read_until("waits")
    client.kill()
    client.communicate()
    (machine,) = project_machines(clients, names)
    clients.s3.put_object(Bucket=names.bucket, Key=f"{names.data_prefix(data.name)}go", Body=b"")
    with recorded.reporter.step("instance") as step:
        model = train_on_instance(clients, names, waiting, data, recorded.reporter, step)
    assert model.instance_id == machine.instance_id
    assert any("does this already" in note for note in recorded.notes())
    assert len(ended(clients, names)) == 1


def test_somebody_ends_it_from_outside(clients, names, script, cli) -> None:
    client = cli(script(WAITS))
    client.read_until("waits")
    (machine,) = project_machines(clients, names)
    clients.ec2.terminate_instances(InstanceIds=[machine.instance_id])
    out, err = client.communicate(timeout=120)
    assert client.returncode == 1, out + err
    assert "has left no outcome" in err
    assert len(ended(clients, names)) == 1


def test_an_instance_of_the_same_training_keeps_its_role(clients, names, script, cli) -> None:
    waiting = script(WAITS)
    client = cli(waiting)
    client.read_until("waits")
    (machine,) = project_machines(clients, names)
    remove_surroundings(clients, names, machine.run)
    assert find_instances(clients, names).surroundings == (machine.run,)
    client.send_signal(signal.SIGINT)
    client.communicate(timeout=120)
    assert len(ended(clients, names)) == 1
