"""The overhead of `sagehound load`'s own generator, beside wrk, on one server that costs next to nothing.

The server is this file's own: a process that answers every POST with the same few bytes. Each round asks it with wrk
and with the generator, as closed loops of as many callers (answers a second, latencies), and then with the generator
as an open loop at a rate, where its own lateness and its use of a core count. wrk has no open loop. It is Debian's
package `wrk`, which is installed by hand: `apt install wrk`.
Run from the project's folder: `python -m benchmarks.load_generator [--seconds 5] [--rounds 5] [--callers 16]
[--rates 100,500,1000]`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

from sagehound.pipeline.clients import connect_endpoint
from sagehound.pipeline.load.plan import EndpointTarget, LoadPlan
from sagehound.pipeline.load.sender import Sender
from sagehound.pipeline.load.signing import Payload, SignedRequests
from sagehound.pipeline.load.tally import Tally

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
_LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
LUA = """wrk.method = "POST"
wrk.body = string.rep("x", 1000)
wrk.headers["Content-Type"] = "text/plain"
"""


class Answering(asyncio.Protocol):
    """One connection: an answer for each whole request, with or without a body."""

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            found = _LENGTH.search(self._buffer, 0, end)
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(self._buffer) < whole:
                return
            self._buffer = self._buffer[whole:]
            self._transport.write(ANSWER)


async def serve() -> None:
    """Answer on a free port, which is printed, until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def with_wrk(wrk: str, port: int, callers: int, seconds: float, script: Path) -> dict[str, float]:
    """Answers a second and latencies of wrk's one thread."""
    command = [wrk, "-t1", f"-c{callers}", f"-d{seconds:g}s", "--latency", "-s", str(script)]
    before = _children_seconds()
    told = subprocess.run([*command, f"http://127.0.0.1:{port}/"], check=True, capture_output=True, text=True).stdout
    cpu = _children_seconds() - before
    rate = re.search(r"Requests/sec: +([0-9.]+)", told)
    wanted = {f"p{percent}": re.search(rf"{percent}% +([0-9.]+)(us|ms|s)", told) for percent in (50, 99)}
    if rate is None or None in wanted.values():
        raise SystemExit(f"wrk said something else than expected:\n{told}")
    latency = {name: float(found[1]) * _UNITS[found[2]] for name, found in wanted.items() if found is not None}
    answers = float(rate[1]) * seconds
    return {"rate": float(rate[1]), **latency, "cores": cpu / seconds, "cpu_us_an_answer": cpu / answers * 1e6}


def _children_seconds() -> float:
    """Processor seconds of the child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def with_generator(port: int, plan: LoadPlan) -> dict[str, float]:
    """The same of the generator, and what it used of a core, per answer too."""
    clients = connect_endpoint(f"http://127.0.0.1:{port}", "AKIAEXAMPLEEXAMPLE00", "secret", "us-east-1")
    requests = SignedRequests(clients, EndpointTarget("none"), [Payload("body", b"x" * 1000, "text/plain")])
    tally = Tally()

    async def run() -> None:
        await Sender(requests, plan, tally, function=False).run(asyncio.Event())

    began, cpu = time.perf_counter(), time.process_time()
    uvloop.run(run())
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    if tally.errors or not tally.answered:
        raise SystemExit(f"the generator met errors: {dict(tally.errors)}")
    latency, late = tally.latency.as_dict(), tally.lateness.as_dict()
    return {
        "rate": tally.answered / took,
        "p50": latency["p50"],
        "p99": latency["p99"],
        **({"late_p50": late["p50"], "late_p99": late["p99"]} if late else {}),
        "cores": cpu / took,
        "cpu_us_an_answer": cpu / tally.answered * 1e6,
    }


def told(rounds: list[dict[str, float]]) -> dict[str, Any]:
    """Median, least and most of each figure."""
    return {
        name: [round(pick([one[name] for one in rounds]), 3) for pick in (statistics.median, min, max)]
        for name in rounds[0]
    }


def main() -> None:
    """Measure all of them in turn, round by round; print median, least and most."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--callers", type=int, default=16)
    parser.add_argument("--rates", default="100,500,1000")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        uvloop.run(serve())
        return
    wrk = shutil.which("wrk")
    if wrk is None:
        print("wrk is missing (Debian: apt install wrk): only the generator is measured", file=sys.stderr)
    rates = [float(rate) for rate in given.rates.split(",")]
    names = ["generator_closed", *(f"generator_open_{rate:g}" for rate in rates)]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in (["wrk_closed"] if wrk else []) + names}
    server = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    with tempfile.TemporaryDirectory(prefix="sagehound-bench-") as folder:
        (script := Path(folder) / "post.lua").write_text(LUA)
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            for _ in range(given.rounds):
                if wrk is not None:
                    found["wrk_closed"].append(with_wrk(wrk, port, given.callers, given.seconds, script))
                closed = LoadPlan(concurrency=given.callers, duration=given.seconds)
                found["generator_closed"].append(with_generator(port, closed))
                for rate in rates:
                    plan = LoadPlan(rate=rate, duration=given.seconds)
                    found[f"generator_open_{rate:g}"].append(with_generator(port, plan))
        finally:
            server.terminate()
            server.wait()
    facts = {"cores": len(os.sched_getaffinity(0)), "callers": given.callers, "seconds": given.seconds}
    print(json.dumps(facts | {"rounds": given.rounds, "figures": "[median, least, most]; latencies in ms"}))
    for name, rounds in found.items():
        print(json.dumps({name: told(rounds)}))


if __name__ == "__main__":
    main()
