"""Signed InvokeEndpoint requests that cost the client next to nothing: one signature, one lean connection each."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sagehound.localcloud.container.invocations import Connections
from sagehound.localcloud.container.serving import KEY_FILE, PORT_FILE
from tests.cloud_process import CloudProcess


def signed(cloud: CloudProcess, endpoint: str, body: bytes, content_type: str) -> tuple[str, dict[str, str]]:
    """Path and headers of an invocation; they stay valid for fifteen minutes, so a benchmark signs once a body."""
    path = f"/endpoints/{endpoint}/invocations"
    host = "127.0.0.1"
    request = AWSRequest("POST", f"http://{host}{path}", {"Content-Type": content_type}, body)
    SigV4Auth(Credentials(cloud.access_key, cloud.secret_key), "sagemaker", cloud.region).add_auth(request)
    return path, dict(request.headers.items())


def model_server(cloud: CloudProcess) -> tuple[int, str]:
    """The port of the only model server that runs in this cloud, and the key that it asks for."""
    (home,) = Path(cloud.data_dir / "sagemaker" / "endpoints").glob("*/home")
    return int((home / PORT_FILE).read_text()), (home / KEY_FILE).read_text()


async def latencies(port: int, path: str, headers: dict[str, str], body: bytes, count: int) -> list[float]:
    """Seconds of `count` requests, one after the other on one connection."""
    connections = Connections(port)
    found = []
    for _ in range(count):
        began = time.perf_counter()
        reply = await connections.request("POST", path, headers, body, limit=60)
        found.append(time.perf_counter() - began)
        if reply.status != 200 or "x-amz-function-error" in reply.headers:
            raise SystemExit(f"{reply.status}: {reply.body[:500]!r}")
    connections.close()
    return found


async def rate(port: int, requests: list[tuple[str, dict[str, str], bytes]], at_once: int, seconds: float) -> float:
    """Answers a second with `at_once` connections for `seconds`."""
    connections = Connections(port)
    deadline = time.perf_counter() + seconds
    done = 0

    async def work(offset: int) -> None:
        nonlocal done
        number = offset
        while time.perf_counter() < deadline:
            path, headers, body = requests[number % len(requests)]
            number += at_once
            reply = await connections.request("POST", path, headers, body, limit=60)
            if reply.status != 200:
                raise SystemExit(f"{reply.status}: {reply.body[:500]!r}")
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*(work(offset) for offset in range(at_once)))
    return done / (time.perf_counter() - began)
