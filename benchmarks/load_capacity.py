"""The capacity that `sagehound load --capacity` finds, beside the throughput of the same instance in a closed loop.

One endpoint with one instance, once with a handler of fixed processor work and once with the real classifier (untrained
head: its speed is the same). Each round takes both, in turns: answers a second of callers that never pause, as wrk
counts them (Debian's package `wrk`; without it a lean client of our own), the same by `sagehound load --concurrency`,
which shares the machine with the instance as the search does, and the search itself with its p99 bound, of whose file
the rate is taken that `sagehound scale --from-load` takes.
Run from the project's folder: `python -m benchmarks.load_capacity [--seconds 15] [--rounds 3] [--callers 16]
[--p99 500] [--models work,classifier]`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import uvloop

from benchmarks.endpoint_requests import rate, signed
from benchmarks.endpoint_throughput import build, deploy, draw
from sagehound.pipeline.load.result import LoadResult
from sagehound.pipeline.scaling_meaning import recommend
from sagehound.pipeline.scaling_requests import INVOCATIONS
from tests.cloud.hosting import Hosting
from tests.cloud_process import CloudProcess

WORK = """
import hashlib
def model_fn(model_dir): return None
def transform_fn(model, data, content_type, accept):
    return hashlib.pbkdf2_hmac("sha256", data[:64], b"salt", 60_000).hex(), "text/plain"
"""
"""Some 20 ms of one core, which other threads may use theirs beside."""
LUA = """
local requests, number = {{}}, 0
function init()
  for _, one in ipairs({requests}) do
    requests[#requests + 1] = wrk.format("POST", one.path, one.headers, io.open(one.file, "rb"):read("*a"))
  end
end
function request()
  number = number % #requests + 1
  return requests[number]
end
"""


class Instance:
    """An endpoint of one instance, and the bodies that are sent to it."""

    def __init__(self, cloud: CloudProcess, endpoint: str, files: list[Path], folder: Path) -> None:
        self.cloud, self.endpoint, self.files, self.folder = cloud, endpoint, files, folder

    def throughput(self, callers: int, seconds: float) -> float:
        """Answers a second of so many callers that never pause."""
        bodies = [file.read_bytes() for file in self.files]
        requests = [(*signed(self.cloud, self.endpoint, body, "image/jpeg"), body) for body in bodies]
        wrk = shutil.which("wrk")
        if wrk is None:
            return uvloop.run(rate(self.cloud.port, requests, callers, seconds))
        script = self.folder / "requests.lua"
        script.write_text(_lua([(path, headers) for path, headers, _ in requests], self.files))
        command = [wrk, "-t1", f"-c{callers}", f"-d{seconds:g}s", "--timeout", "60s", "-s", str(script)]
        address = f"http://127.0.0.1:{self.cloud.port}/"
        told = subprocess.run([*command, address], check=True, capture_output=True, text=True).stdout
        found = re.search(r"Requests/sec: +([0-9.]+)", told)
        if found is None or "Non-2xx" in told or "Socket errors" in told:
            raise SystemExit(f"wrk met errors:\n{told}")
        return float(found[1])

    def capacity(self, p99: float) -> dict[str, float | str]:
        """What the command finds, and how long it took."""
        began = time.monotonic()
        result = self._load("--capacity", "--p99", f"{p99:g}")
        took = time.monotonic() - began
        assert result.capacity is not None
        full = recommend(result, INVOCATIONS, 1.0).full / 60
        return {"rate": full, "p99": result.capacity.p99, "took": took, "limited_by": result.capacity.limited_by}

    def callers(self, callers: int, seconds: float) -> float:
        """Answers a second of so many callers of the command, which wait for their answers."""
        return self._load("--concurrency", str(callers), "--duration", f"{seconds:g}", "--after", "0").rate

    def _load(self, *options: str) -> LoadResult:
        save = self.folder / "load.json"
        pictures = [part for file in self.files for part in ("--picture", str(file))]
        command = [sys.executable, "-m", "sagehound.cli.main", "load", *options]
        place = ["--endpoint", self.endpoint, "--data-dir", str(self.cloud.data_dir), "--save", str(save)]
        done = subprocess.run([*command, *place, *pictures], capture_output=True, text=True)
        print(done.stdout, file=sys.stderr, flush=True)
        if done.returncode:
            raise SystemExit(f"{done.stdout}\n{done.stderr}")
        return LoadResult.read(save)


def _lua(requests: list[tuple[str, dict[str, str]]], files: list[Path]) -> str:
    """wrk's script: each body in turn with its signed headers."""
    entries = []
    for (path, headers), file in zip(requests, files, strict=True):
        # What is signed is the name without the port; wrk would send both.
        told = {"Host": "127.0.0.1", **headers}
        pairs = ", ".join(f"[{json.dumps(name)}] = {json.dumps(value)}" for name, value in told.items())
        entries.append(f"{{ path = {json.dumps(path)}, file = {json.dumps(str(file))}, headers = {{ {pairs} }} }}")
    return LUA.format(requests="{ " + ", ".join(entries) + " }")


def instance(name: str, cloud: CloudProcess, hosting: Hosting, work: Path) -> Instance:
    """Bring one of the two models into service."""
    folder = work / name
    for part in ("model", "pictures"):
        (folder / part).mkdir(parents=True)
    draw(folder / "pictures", count=16)
    files = sorted((folder / "pictures").iterdir())
    if name == "work":
        return Instance(cloud, hosting.endpoint("work", WORK), files, folder)
    build(folder / "model")
    return Instance(cloud, deploy(hosting, folder / "model"), files, folder)


def compare(one: Instance, given: argparse.Namespace) -> dict[str, object]:
    """The figures in turns: each capacity beside the mean of the throughputs before and after it."""
    one.throughput(given.callers, min(5.0, given.seconds))
    through = [one.throughput(given.callers, given.seconds)]
    own = [one.callers(given.callers, given.seconds)]
    found = []
    for _ in range(given.rounds):
        found.append(one.capacity(given.p99))
        own.append(one.callers(given.callers, given.seconds))
        through.append(one.throughput(given.callers, given.seconds))
    rates = [float(each["rate"]) for each in found]
    ratios, own_ratios = _ratios(rates, through), _ratios(rates, own)
    return {
        "throughput": _told(through),
        "throughput_of_load": _told(own),
        "capacity": _told(rates),
        "capacity_over_throughput": _told(ratios),
        "capacity_over_throughput_of_load": _told(own_ratios),
        "p99_ms": _told([float(each["p99"]) for each in found]),
        "search_seconds": _told([float(each["took"]) for each in found]),
        "limited_by": sorted({str(each["limited_by"]) for each in found if each["limited_by"]}),
    }


def _ratios(rates: list[float], around: list[float]) -> list[float]:
    """Each rate over the mean of what was measured before and after it."""
    return [rate / statistics.mean(pair) for rate, pair in zip(rates, pairwise(around), strict=True)]


def _told(values: list[float]) -> list[float]:
    return [round(pick(values), 3) for pick in (statistics.median, min, max)]


def main() -> None:
    """Compare both for each model; print median, least and most of each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--callers", type=int, default=16)
    parser.add_argument("--p99", type=float, default=500)
    parser.add_argument("--models", default="work,classifier")
    given = parser.parse_args()
    client = "wrk" if shutil.which("wrk") else "a client of our own (Debian: apt install wrk)"
    facts = {"cores": len(os.sched_getaffinity(0)), "callers": given.callers, "closed_loop": client}
    facts |= {"rounds": given.rounds, "bound_p99_ms": given.p99, "figures": "[median, least, most], answers a second"}
    print(json.dumps(facts), flush=True)
    work = Path(tempfile.mkdtemp(prefix="sagehound-bench-"))
    cloud = CloudProcess(work / "data").start()
    try:
        hosting = Hosting(cloud)
        for name in given.models.split(","):
            one = instance(name, cloud, hosting, work)
            print(json.dumps({name: compare(one, given)}), flush=True)
            hosting.delete(one.endpoint)
    finally:
        cloud.stop()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
