"""A function's handler outside Lambda: in a process of its own, before an HTTP server that stands where AWS does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[2] / "src" / "sagehound" / "pipeline" / "function_source"
Reply = tuple[int, dict[str, str], bytes]


@dataclass
class Endpoint:
    """What answers at the address of SageMaker Runtime, and what it was asked."""

    reply: Callable[[dict[str, str], bytes], Reply]
    url: str = ""
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


def json_reply(value: Any, status: int = 200, **headers: str) -> Reply:
    return status, {"Content-Type": "application/json", **headers}, json.dumps(value).encode()


def aws_error(status: int, code: str, message: str, **members: Any) -> Reply:
    headers = {"x-amzn-ErrorType": code}
    return status, {"Content-Type": "application/json", **headers}, json.dumps({"message": message, **members}).encode()


@contextmanager
def endpoint(reply: Callable[[dict[str, str], bytes], Reply]) -> Iterator[Endpoint]:
    """A server on a free loopback port that answers every POST with ``reply(headers, body)``."""
    stand_in = Endpoint(reply)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            stand_in.asked.append((self.path, headers, body))
            status, told, content = stand_in.reply(headers, body)
            self.send_response(status)
            for name, value in told.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    stand_in.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answers(url: str, *events: Any, source: Path = SOURCE, **environment: str) -> tuple[list[dict[str, Any]], str]:
    """What lambda_handler returns to each event, in one process that has a function's environment, and its output."""
    code = (
        "import json, sys\nimport handler\n"
        "for line in sys.stdin:\n"
        "    print('ANSWER ' + json.dumps(handler.lambda_handler(json.loads(line), object())))\n"
    )
    given = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(source),
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLEEXAMPLE00",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
        "AWS_ENDPOINT_URL": url,
        "SAGEHOUND_ENDPOINT_NAME": "dogs-endpoint",
        "SAGEHOUND_TIMEOUT_SECONDS": "60",
        **environment,
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=given,
        input="".join(json.dumps(event) + "\n" for event in events),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    told = [json.loads(line.removeprefix("ANSWER ")) for line in lines if line.startswith("ANSWER ")]
    return told, "\n".join(line for line in lines if not line.startswith("ANSWER "))
