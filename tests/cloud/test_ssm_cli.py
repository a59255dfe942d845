"""The aws CLI on Parameter Store and on commands, as it comes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cloud.ssm_commands import Managed
from tests.cloud_process import CloudProcess


@pytest.fixture
def managed(cloud: CloudProcess) -> Iterator[Managed]:
    made = Managed(cloud)
    yield made
    made.remove()


def _aws(cloud: CloudProcess, *words: str) -> Any:
    """What `aws ssm ...` prints."""
    program = str(Path(sys.executable).with_name("aws"))
    environment = {**os.environ, **cloud.environment(), "AWS_PAGER": ""}
    done = subprocess.run([program, "ssm", *words, "--output", "json"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout or "null")


def test_a_command_from_the_newest_image_to_its_output(cloud: CloudProcess, managed: Managed) -> None:
    path = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    image = _aws(cloud, "get-parameter", "--name", path, "--query", "Parameter.Value")
    instance_id = managed.run(ImageId=image, IamInstanceProfile={"Name": managed.profile})["InstanceId"]
    managed.wait(instance_id, "running")
    send = ("send-command", "--document-name", "AWS-RunShellScript", "--instance-ids", instance_id)
    command_id = _aws(cloud, *send, "--parameters", "commands=echo one,echo two", "--query", "Command.CommandId")
    named = ("--command-id", command_id, "--instance-id", instance_id)
    _aws(cloud, "wait", "command-executed", *named)
    assert _aws(cloud, "get-command-invocation", *named)["StandardOutputContent"] == "one\ntwo\n"
