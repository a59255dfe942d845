"""Signed Invoke requests that cost the client next to nothing, and functions to send them to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import aiohttp
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.cloud_process import CloudProcess

Signed = tuple[str, dict[str, str], bytes]


def signed(cloud: CloudProcess, function: str, body: bytes) -> Signed:
    """Path, headers and body of an invocation, valid for fifteen minutes."""
    path = f"/2015-03-31/functions/{function}/invocations"
    request = AWSRequest("POST", f"http://127.0.0.1{path}", {"X-Amz-Log-Type": "None"}, body)
    SigV4Auth(Credentials(cloud.access_key, cloud.secret_key), "lambda", cloud.region).add_auth(request)
    return path, dict(request.headers.items()), body


async def at_once(port: int, requests: Sequence[Signed]) -> list[tuple[int, bytes, float]]:
    """Send all requests at the same time, each on a connection of its own; status, answer and seconds of each."""
    connector, limit = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", connector=connector, timeout=limit) as session:

        async def one(request: Signed) -> tuple[int, bytes, float]:
            path, headers, body = request
            began = time.perf_counter()
            async with session.post(path, headers={"Host": "127.0.0.1", **headers}, data=body) as answer:
                return answer.status, await answer.read(), time.perf_counter() - began

        return await asyncio.gather(*(one(request) for request in requests))
