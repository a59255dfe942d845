"""What InvokeEndpoint adds to the model server's own answer: medians of both, interleaved, and their difference.

Run from the project's folder: `python -m benchmarks.endpoint_overhead [--requests 2000] [--bytes 13000]`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
from pathlib import Path

import psutil
import uvloop

from benchmarks.endpoint_requests import latencies, model_server, signed
from sagehound.localcloud.container.invocations import KEY_HEADER
from tests.cloud.hosting import Hosting, answering
from tests.cloud_process import CloudProcess

BLOCKS = 10


async def measure(cloud: CloudProcess, endpoint: str, body: bytes, count: int) -> dict[str, object]:
    """Blocks of invocations and of direct requests in turn, so that a drift of the machine hits both."""
    path, headers = signed(cloud, endpoint, body, "image/jpeg")
    port, key = model_server(cloud)
    direct_headers = {"Content-Type": "image/jpeg", KEY_HEADER: key}
    await latencies(cloud.port, path, headers, body, 100)
    await latencies(port, "/invocations", direct_headers, body, 100)
    invoked: list[float] = []
    direct: list[float] = []
    added: list[float] = []
    used = 0.0
    for _ in range(BLOCKS):
        before = _cpu_seconds(cloud)
        through = await latencies(cloud.port, path, headers, body, count // BLOCKS)
        used += _cpu_seconds(cloud) - before
        straight = await latencies(port, "/invocations", direct_headers, body, count // BLOCKS)
        added.append(statistics.median(through) - statistics.median(straight))
        invoked += through
        direct += straight
    return {
        "invoke_endpoint_ms": _milliseconds(statistics.median(invoked)),
        "model_server_ms": _milliseconds(statistics.median(direct)),
        "added_ms": _milliseconds(statistics.median(added)),
        "added_min_max_of_blocks_ms": [_milliseconds(min(added)), _milliseconds(max(added))],
        "server_cpu_ms_an_invocation": _milliseconds(used / len(invoked)),
        "invoke_endpoint_p99_ms": _milliseconds(statistics.quantiles(invoked, n=100)[98]),
    }


def _cpu_seconds(cloud: CloudProcess) -> float:
    """What the server has used: unlike latencies the same on a busy machine."""
    assert cloud.process is not None
    times = psutil.Process(cloud.process.pid).cpu_times()
    return float(times.user + times.system)


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)


def main() -> None:
    """An endpoint whose handler does nothing, then the two ways to it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--bytes", type=int, default=13_000)
    given = parser.parse_args()
    data_dir = Path(tempfile.mkdtemp(prefix="sagehound-bench-"))
    cloud = CloudProcess(data_dir).start()
    try:
        hosting = Hosting(cloud)
        endpoint = hosting.endpoint("e", answering("x"))
        found = uvloop.run(measure(cloud, endpoint, b"\xff" * given.bytes, given.requests))
        print(json.dumps({"requests": given.requests, "bytes": given.bytes, **found}))
        hosting.delete(endpoint)
    finally:
        cloud.stop()
        shutil.rmtree(data_dir, ignore_errors=True)


if __name__ == "__main__":
    main()
