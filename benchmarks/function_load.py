"""Many invocations of many functions at once: is every one answered, with its own answer, and logged once?

Run from the project's folder: `python -m benchmarks.function_load [--functions 20] [--at-once 200] [--rounds 3]`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.function_requests import at_once, signed
from tests.cloud.lambda_functions import Bench
from tests.cloud_process import CloudProcess

HANDLER = """
import os, time
def handler(event, context):
    time.sleep(event["seconds"])
    return [os.environ["AWS_LAMBDA_FUNCTION_NAME"], event["number"]]
"""
SECONDS = 0.2


def wave(cloud: CloudProcess, names: list[str], count: int, first: int) -> dict[str, Any]:
    """`count` invocations at the same time, spread over the functions."""
    asked = [(names[number % len(names)], first + number) for number in range(count)]
    requests = [
        signed(cloud, name, json.dumps({"number": number, "seconds": SECONDS}).encode()) for name, number in asked
    ]
    began = time.perf_counter()
    answers = uvloop.run(at_once(cloud.port, requests))
    took = time.perf_counter() - began
    right = sum(
        status == 200 and json.loads(body) == list(sent) for (status, body, _), sent in zip(answers, asked, strict=True)
    )
    seconds = [each for _, _, each in answers]
    return {
        "invocations": count,
        "functions": len(names),
        "answered_rightly": right,
        "statuses": {str(status): [s for s, _, _ in answers].count(status) for status in {s for s, _, _ in answers}},
        "all_s": round(took, 3),
        "median_s": round(statistics.median(seconds), 3),
        "longest_s": round(max(seconds), 3),
    }


def logged(cloud: CloudProcess, names: list[str], expected: int) -> int:
    """How many invocations the logs have reported; what is on its way there is waited for."""
    client = cloud.client("logs")
    deadline = time.monotonic() + 30
    while True:
        found = 0
        for name in names:
            pages = client.get_paginator("filter_log_events").paginate(
                logGroupName=f"/aws/lambda/{name}", filterPattern="REPORT"
            )
            found += sum(len(page["events"]) for page in pages)
        if found >= expected or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def main() -> None:
    """The first wave starts every environment; the next ones find them warm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--functions", type=int, default=20)
    parser.add_argument("--at-once", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    data_dir = Path(tempfile.mkdtemp(prefix="sagehound-bench-"))
    cloud = CloudProcess(data_dir).start()
    try:
        bench = Bench(cloud)
        names = [bench.create(HANDLER, Timeout=60) for _ in range(given.functions)]
        for number in range(given.rounds):
            kind = "cold" if number == 0 else "warm"
            print(json.dumps({kind: wave(cloud, names, given.at_once, number * given.at_once)}), flush=True)
        expected = given.rounds * given.at_once
        print(json.dumps({"invocations": expected, "reported_in_the_logs": logged(cloud, names, expected)}))
    finally:
        cloud.stop()
        shutil.rmtree(data_dir, ignore_errors=True)


if __name__ == "__main__":
    main()
