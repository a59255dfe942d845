"""A model server as a real process around a handler that a test writes."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

import sagehound.localcloud.container

SERVER = Path(sagehound.localcloud.container.__file__).parent / "model_server"


class ModelServer:
    """Writes `code` as inference.py, starts the server by path, and talks HTTP to it."""

    def __init__(self, root: Path, code: str | None, **environment: str) -> None:
        self.model_dir = root / "model"
        self.port_file = root / "port"
        self.output_file = root / "output"
        (self.model_dir / "code").mkdir(parents=True, exist_ok=True)
        if code is not None:
            (self.model_dir / "code" / "inference.py").write_text(code)
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONUNBUFFERED": "1",
            "SM_MODEL_DIR": str(self.model_dir),
            "SAGEMAKER_BIND_TO_PORT": "0",
            "SAGEMAKER_PORT_FILE": str(self.port_file),
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ModelServer:
        self.start()
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self.process is not None
            assert self.process.poll() is None, f"the server ended: {self.output}"
            assert time.monotonic() < deadline, f"no answer: {self.output}"
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def start(self) -> subprocess.Popen[bytes]:
        """Start the process without waiting for its port."""
        with self.output_file.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(SERVER)], env=self.environment, cwd="/", stdout=output, stderr=output
            )
        return self.process

    @property
    def output(self) -> str:
        """Everything the process has printed so far."""
        return self.output_file.read_text()

    @property
    def port(self) -> int:
        """The port that the server has taken."""
        return int(self.port_file.read_text())

    def post(self, body: bytes | str, content_type: str | None = None, **headers: str) -> tuple[int, str, bytes]:
        """Status, content type and body of one invocation; header names are given with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if content_type is not None:
            sent["Content-Type"] = content_type
        return self.request("POST", "/invocations", body, sent)[:3]

    def request(
        self, method: str, path: str, body: bytes | str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str, bytes, dict[str, str]]:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            lower = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, answer.headers.get("Content-Type", ""), answer.read(), lower
        finally:
            connection.close()

    def terminate(self) -> None:
        """Send SIGTERM."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def _answers(self) -> bool:
        try:
            return self.request("GET", "/ping")[0] == 200
        except (OSError, ValueError):
            return False
