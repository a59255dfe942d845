"""What Invoke costs over the handler: warm through boto3 and through a lean client, cold, and provisioned.

Run from the project's folder: `python -m benchmarks.function_invoke [--requests 2000] [--cold 20] [--provisioned 10]`.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import shutil
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import uvloop

from benchmarks.endpoint_requests import latencies
from benchmarks.function_requests import signed
from tests.cloud.lambda_functions import Bench
from tests.cloud_process import CloudProcess

EMPTY = "def handler(event, context):\n    return event\n"
"""The handler's own time is a few microseconds: what is measured is what is around it."""
BODY = json.dumps({"url": "https://example.org/picture.jpg"}).encode()
BLOCKS = 10
INIT = re.compile(r"Init Duration: ([0-9.]+) ms")


def warm(cloud: CloudProcess, bench: Bench, count: int) -> dict[str, Any]:
    """One caller, one invocation after the other; the ways to call take turns, so that a drift hits all of them."""
    name = bench.create(EMPTY)
    request = signed(cloud, name, BODY)
    uvloop.run(latencies(cloud.port, *request, 100))
    boto3_seconds(bench, name, 50)
    lean, through_boto3, dry, used = [], [], [], 0.0
    blocks = []
    for _ in range(BLOCKS):
        before = cpu_seconds(cloud)
        block = uvloop.run(latencies(cloud.port, *request, count // BLOCKS))
        used += cpu_seconds(cloud) - before
        blocks.append(block)
        lean += block
        through_boto3 += boto3_seconds(bench, name, count // BLOCKS)
        dry += boto3_seconds(bench, name, count // BLOCKS // 4, InvocationType="DryRun")
    tail = base64.b64decode(bench.client.invoke(FunctionName=name, Payload=BODY, LogType="Tail")["LogResult"]).decode()
    medians = [statistics.median(block) for block in blocks]
    return {
        "requests": len(lean),
        "invoke_median_ms": milliseconds(statistics.median(lean)),
        "invoke_p99_ms": milliseconds(p99(lean)),
        "medians_of_blocks_min_max_ms": [milliseconds(min(medians)), milliseconds(max(medians))],
        "p99_of_blocks_min_ms": milliseconds(min(p99(block) for block in blocks)),
        "server_cpu_ms_an_invocation": milliseconds(used / len(lean)),
        "boto3_median_ms": milliseconds(statistics.median(through_boto3)),
        "boto3_p99_ms": milliseconds(p99(through_boto3)),
        "boto3_dry_run_median_ms": milliseconds(statistics.median(dry)),
        "boto3_invoke_over_dry_run_ms": milliseconds(statistics.median(through_boto3) - statistics.median(dry)),
        "last_report": tail.splitlines()[-1].replace("\t", " "),
    }


def boto3_seconds(bench: Bench, name: str, count: int, **how: str) -> list[float]:
    """Seconds of invocations through boto3. A DryRun costs boto3 the same and runs nothing."""
    found = []
    for _ in range(count):
        began = time.perf_counter()
        bench.client.invoke(FunctionName=name, Payload=BODY, **how)["Payload"].read()
        found.append(time.perf_counter() - began)
    return found


def p99(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98]


def cpu_seconds(cloud: CloudProcess) -> float:
    """What the server has used: unlike latencies the same on a busy machine."""
    assert cloud.process is not None
    times = psutil.Process(cloud.process.pid).cpu_times()
    return float(times.user + times.system)


def cold(bench: Bench, count: int) -> dict[str, Any]:
    """Every invocation is the first one after a change of the configuration."""
    name = bench.create(EMPTY)
    seconds, inits = [], []
    for number in range(count):
        bench.client.update_function_configuration(
            FunctionName=name, Environment={"Variables": {"NUMBER": str(number)}}
        )
        bench.active(name)
        began = time.perf_counter()
        answer = bench.client.invoke(FunctionName=name, Payload=BODY, LogType="Tail")
        answer["Payload"].read()
        seconds.append(time.perf_counter() - began)
        inits.append(init_milliseconds(answer))
    assert all(inits), "an invocation after a change of the configuration has found an environment"
    return {
        "cold_starts": count,
        "invoke_median_ms": milliseconds(statistics.median(seconds)),
        "invoke_min_max_ms": [milliseconds(min(seconds)), milliseconds(max(seconds))],
        "init_duration_median_ms": round(statistics.median(inits), 1),
    }


def provisioned(bench: Bench, count: int) -> dict[str, Any]:
    """As many calls at once as there are provisioned environments, and then two more."""
    name = bench.create("import time\ndef handler(event, context):\n    time.sleep(event)\n")
    version = bench.client.publish_version(FunctionName=name)["Version"]
    bench.active(name, Qualifier=version)
    began = time.perf_counter()
    bench.client.put_provisioned_concurrency_config(
        FunctionName=name, Qualifier=version, ProvisionedConcurrentExecutions=count
    )
    while True:
        found = bench.client.get_provisioned_concurrency_config(FunctionName=name, Qualifier=version)
        if found["Status"] != "IN_PROGRESS":
            break
        time.sleep(0.02)
    ready = time.perf_counter() - began

    def call(_number: int) -> bool:
        answer = bench.client.invoke(FunctionName=name, Qualifier=version, Payload=b"1", LogType="Tail")
        answer["Payload"].read()
        return init_milliseconds(answer) > 0

    with ThreadPoolExecutor(count + 2) as pool:
        first = sum(pool.map(call, range(count)))
        more = sum(pool.map(call, range(count + 2)))
    return {
        "provisioned": count,
        "status": found["Status"],
        "ready_ms": milliseconds(ready),
        f"cold_starts_of_{count}_at_once": first,
        f"cold_starts_of_{count + 2}_at_once": more,
    }


def init_milliseconds(answer: Any) -> float:
    """The Init Duration of the REPORT line; 0 for a warm environment."""
    found = INIT.search(base64.b64decode(answer["LogResult"]).decode())
    return float(found[1]) if found else 0.0


def milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)


def main() -> None:
    """One cloud, three measurements, a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--cold", type=int, default=20)
    parser.add_argument("--provisioned", type=int, default=10)
    given = parser.parse_args()
    data_dir = Path(tempfile.mkdtemp(prefix="sagehound-bench-"))
    cloud = CloudProcess(data_dir).start()
    try:
        bench = Bench(cloud)
        print(json.dumps({"warm": warm(cloud, bench, given.requests)}))
        print(json.dumps({"cold": cold(bench, given.cold)}))
        print(json.dumps({"provisioned": provisioned(bench, given.provisioned)}))
    finally:
        cloud.stop()
        shutil.rmtree(data_dir, ignore_errors=True)


if __name__ == "__main__":
    main()
