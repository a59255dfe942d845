"""Requests lost or handled twice, and latencies, while an endpoint under steady load scales and is updated blue-green.

Run from the project's folder: `python -m benchmarks.endpoint_changes [--changes 20] [--rate 25] [--seconds 0.02]`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import tempfile
import time
import uuid
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.endpoint_requests import signed
from sagehound.localcloud.container.invocations import Connections
from tests.cloud.hosting import Hosting
from tests.cloud_process import CloudProcess

HANDLER = """
import os, time
notes = os.open({notes!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def model_fn(model_dir): return None
def transform_fn(model, data, content_type, accept, context):
    os.write(notes, context.get_request_header(0, {header!r}).encode() + b"\\n")
    time.sleep({seconds})
    return "x", "text/plain"
"""
INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
"""Names each request to the handler, which notes it; it is not signed, so that one signature does for all."""
QUIET_SECONDS = 10.0
LIMIT = 90
"""Seconds after which a request without an answer is lost: the endpoint itself gives up after sixty."""


class SteadyLoad:
    """Requests on schedule, whatever becomes of those before; latencies count from the scheduled moment."""

    def __init__(self, cloud: CloudProcess, endpoint: str, rate: float) -> None:
        self.phase = "warm_up"
        self.latencies: dict[str, list[float]] = defaultdict(list)
        self.lost: dict[str, Counter[str]] = defaultdict(Counter)
        self._path, self._headers = signed(cloud, endpoint, b"x", "text/plain")
        self._connections = Connections(cloud.port)
        self._every = 1.0 / rate
        self._sent: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until cancelled; what is on its way then is waited for."""
        due = time.perf_counter()
        try:
            while True:
                await asyncio.sleep(due - time.perf_counter())
                task = asyncio.create_task(self._request(self.phase, due))
                self._sent.add(task)
                task.add_done_callback(self._sent.discard)
                due += self._every
        finally:
            await asyncio.gather(*self._sent)
            self._connections.close()

    async def _request(self, phase: str, due: float) -> None:
        headers = {**self._headers, INFERENCE_ID: uuid.uuid4().hex}
        try:
            reply = await self._connections.request("POST", self._path, headers, b"x", limit=LIMIT)
        except TimeoutError:
            self.lost[phase][f"no answer within {LIMIT} s"] += 1
            return
        except OSError as error:
            self.lost[phase][type(error).__name__] += 1
            return
        if reply.status == 200 and reply.body == b"x":
            self.latencies[phase].append(time.perf_counter() - due)
        else:
            self.lost[phase][f"{reply.status} {reply.body[:200].decode(errors='replace')}"] += 1


async def measure(
    cloud: CloudProcess, hosting: Hosting, notes: Path, given: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """Quiet first, then out and in by turns, then one blue-green update after another."""
    model = hosting.model("m", HANDLER.format(notes=str(notes), header=INFERENCE_ID, seconds=given.seconds))
    configs = [hosting.config(name, hosting.variant(model)) for name in ("blue", "green")]
    endpoint = hosting.create("e", configs[0])
    hosting.settled(endpoint)
    load = SteadyLoad(cloud, endpoint, given.rate)
    running = asyncio.create_task(load.run())
    seconds: dict[str, list[float]] = defaultdict(list)

    async def change(phase: str, operation: str, **members: Any) -> None:
        load.phase, began = phase, time.perf_counter()
        await asyncio.to_thread(getattr(hosting.sagemaker, operation), EndpointName=endpoint, **members)
        try:
            described = await asyncio.to_thread(hosting.settled, endpoint)
        except AssertionError as late:
            change_of = f"{phase} {len(seconds[phase]) + 1} of {given.changes}"
            raise SystemExit(f"{change_of} has not ended after {time.perf_counter() - began:.0f} s: {late}") from None
        seconds[phase].append(time.perf_counter() - began)
        if "FailureReason" in described:
            raise SystemExit(described["FailureReason"])

    for phase in ("warm_up", "quiet"):
        load.phase = phase
        await asyncio.sleep(QUIET_SECONDS)
    for _ in range(given.changes):
        for phase, count in (("scale_out", given.instances), ("scale_in", 1)):
            wanted = [{"VariantName": "AllTraffic", "DesiredInstanceCount": count}]
            await change(phase, "update_endpoint_weights_and_capacities", DesiredWeightsAndCapacities=wanted)
    for number in range(given.changes):
        await change("blue_green", "update_endpoint", EndpointConfigName=configs[(number + 1) % 2])
    running.cancel()
    await asyncio.wait({running})
    hosting.delete(endpoint)
    return {phase: _summary(load, phase, seconds[phase]) for phase in ("quiet", "scale_out", "scale_in", "blue_green")}


def _summary(load: SteadyLoad, phase: str, seconds: list[float]) -> dict[str, Any]:
    answered, lost = load.latencies[phase], load.lost[phase]
    found: dict[str, Any] = {"requests": len(answered) + lost.total(), "lost": lost.total()}
    if len(answered) > 1:
        cuts = statistics.quantiles(answered, n=100, method="inclusive")
        found |= {f"p{percent}_ms": round(cuts[percent - 1] * 1000, 1) for percent in (50, 90, 99)}
        found["max_ms"] = round(max(answered) * 1000, 1)
    if seconds:
        found |= {"changes": len(seconds), "median_change_s": round(statistics.median(seconds), 2)}
    if lost:
        found["reasons"] = dict(lost)
    return found


def main() -> None:
    """One endpoint, one steady load, all changes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=20)
    parser.add_argument("--instances", type=int, default=3)
    parser.add_argument("--rate", type=float, default=25)
    parser.add_argument("--seconds", type=float, default=0.02, help="how long the handler takes")
    given = parser.parse_args()
    data_dir = Path(tempfile.mkdtemp(prefix="sagehound-bench-"))
    notes = data_dir / "handled"
    cloud = CloudProcess(data_dir).start()
    try:
        found = uvloop.run(measure(cloud, Hosting(cloud), notes, given))
        print(json.dumps({"rate": given.rate, "handler_s": given.seconds, "instances": given.instances}))
        for phase, summary in found.items():
            print(json.dumps({"phase": phase, **summary}))
        lost = sum(summary["lost"] for summary in found.values())
        handled = Counter(notes.read_text().split())
        twice = sum(times > 1 for times in handled.values())
        print(json.dumps({"lost": lost, "handled": len(handled), "handled_twice": twice}))
        if lost or twice:
            raise SystemExit(f"{lost} requests were lost, {twice} were handled more than once.")
    finally:
        cloud.stop()
        shutil.rmtree(data_dir, ignore_errors=True)


if __name__ == "__main__":
    main()
