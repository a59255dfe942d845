"""The aws CLI against our Lambda: a function created, waited for, published, called and deleted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cloud.lambda_functions import RUNTIME, Bench, unique, zipped
from tests.cloud_process import CloudProcess

AWS = shutil.which("aws", path=str(Path(sys.executable).parent)) or shutil.which("aws")


@pytest.mark.skipif(AWS is None, reason="needs the aws CLI (pip install awscli)")
def test_a_function_from_its_creation_to_its_end(cloud: CloudProcess, tmp_path: Path) -> None:
    bench, name = Bench(cloud), unique()
    package, event, answer = (tmp_path / name for name in ("app.zip", "event.json", "answer.json"))
    event.write_text('{"a": 1}')
    package.write_bytes(zipped("def handler(event, context):\n    return {'got': event}\n"))

    def aws(*arguments: str) -> str:
        command = [str(AWS), "lambda", *arguments, "--function-name", name]
        environment = {**os.environ, **cloud.environment(), "AWS_EC2_METADATA_DISABLED": "true"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    code = f"fileb://{package}"
    aws("create-function", "--runtime", RUNTIME, "--role", bench.role_arn, "--handler", "app.handler",
        "--zip-file", code, "--timeout", "10", "--environment", "Variables={KEY=value}")  # fmt: skip
    aws("wait", "function-active-v2")
    assert json.loads(aws("publish-version"))["Version"] == "1"
    aws("wait", "published-version-active", "--qualifier", "1")
    aws("create-alias", "--name", "live", "--function-version", "1")
    package.write_bytes(zipped("def handler(event, context):\n    return 'new'\n"))
    aws("update-function-code", "--zip-file", code)
    aws("wait", "function-updated-v2")
    called = aws("invoke", "--qualifier", "live", "--payload", f"fileb://{event}", str(answer))
    assert json.loads(called)["ExecutedVersion"] == "1"
    assert json.loads(answer.read_text()) == {"got": {"a": 1}}
    aws("delete-function")
