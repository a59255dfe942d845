"""The real server as tests use it: its own process, its own data directory, a free port; killed and started at will."""

from __future__ import annotations

import configparser
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

START_LIMIT = 60.0
"""Seconds after which a server that has not answered counts as broken (a busy machine is no fault)."""


class CloudProcess:
    """A local cloud in a process of its own; `before` are words before its command, which end in an exec of it."""

    def __init__(self, data_dir: Path, *options: str, before: tuple[str, ...] = ()) -> None:
        self.data_dir = data_dir
        self.before = before
        self.options = options
        self.region = "us-east-1"
        self.account_id = "123456789012"
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> CloudProcess:
        """Start the server and wait until it has said that it answers; after a restart it keeps its port."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        facts = self.data_dir / "server.json"
        facts.unlink(missing_ok=True)
        with (self.data_dir / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.before, sys.executable, "-m", "sagehound.localcloud.server", *self._options()],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={name: value for name, value in os.environ.items() if name != "PYTHONDEVMODE"},
            )
        deadline = time.monotonic() + START_LIMIT
        while not facts.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start:\n{self.log()}")
            time.sleep(0.02)
        self.port = json.loads(facts.read_text())["port"]
        return self

    def _options(self) -> list[str]:
        return ["--data-dir", str(self.data_dir), "--port", str(self.port), *self.options]

    def kill(self) -> None:
        """kill -9, as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM, and wait for the end; the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def restart(self, *, kill: bool = False) -> CloudProcess:
        """End the server, gently or not, and start it again on the same data directory and port."""
        if kill:
            self.kill()
        else:
            self.stop()
        return self.start()

    def log(self) -> str:
        """What the server has written so far."""
        return (self.data_dir / "server.log").read_text(errors="replace")

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def access_key(self) -> str:
        return self._credentials()["aws_access_key_id"]

    @property
    def secret_key(self) -> str:
        return self._credentials()["aws_secret_access_key"]

    def environment(self) -> dict[str, str]:
        """What `sagehound env` prints: all that an AWS client needs."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
        }

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client with the root keys; `options` go to boto3 (config=, aws_access_key_id=, region_name= ...)."""
        given: dict[str, Any] = {
            "endpoint_url": self.endpoint_url,
            "region_name": self.region,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "config": Config(retries={"max_attempts": 1, "mode": "standard"}),
        }
        return boto3.session.Session().client(service, **{**given, **options})

    def calls(self, count: int = 0) -> list[dict[str, Any]]:
        """The record of every call, oldest first, once there are `count`: a record follows its answer."""
        deadline = time.monotonic() + START_LIMIT
        while True:
            lines = (self.data_dir / "calls.jsonl").read_text().splitlines()
            if len(lines) >= count or time.monotonic() > deadline:
                return [json.loads(line) for line in lines]
            time.sleep(0.01)

    def _credentials(self) -> configparser.SectionProxy:
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(self.data_dir / "credentials")
        return parser["default"]
