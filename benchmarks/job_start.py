"""Seconds from CreateTrainingJob to the first line of user code, with as many objects as a real data set has.

Run from the project's folder: `python -m benchmarks.job_start [--objects 8400] [--rounds 7] [--hosts 1]`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from tests.cloud.training import Workshop
from tests.cloud_process import CloudProcess

SCRIPT = "import time; print('RESULT', time.time(), flush=True)"


def measure(shop: Workshop, hosts: int) -> dict[str, float]:
    """One job: seconds until its creation is answered, until user code runs on the last host, until it is over."""
    server = psutil.Process(shop.cloud.process.pid if shop.cloud.process else 0)
    request = shop.request(SCRIPT, count=hosts, InputDataConfig=[shop.channel("train", "data/")])
    used, began = sum(server.cpu_times()[:2]), time.time()
    shop.sagemaker.create_training_job(**request)
    answered = time.time()
    name = request["TrainingJobName"]
    job = shop.ended(name)
    if job["TrainingJobStatus"] != "Completed":
        raise SystemExit(f"the job failed: {job.get('FailureReason')}")
    used = sum(server.cpu_times()[:2]) - used
    while shop.folders():  # what the job leaves is deleted behind its back: the next one shall not pay for it
        time.sleep(0.1)
    first_lines = [float(shop.printed(name, f"algo-{host}")) for host in range(1, hosts + 1)]
    return {
        "answer": answered - began,
        "first_user_line": max(first_lines) - began,
        "over": job["TrainingEndTime"].timestamp() - began,
        "server_cpu": used,
    }


def main() -> None:
    """Fill a bucket, run the jobs, print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=8400)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--hosts", type=int, default=1)
    given = parser.parse_args()
    data_dir = Path(tempfile.mkdtemp(prefix="sagehound-bench-"))
    cloud = CloudProcess(data_dir).start()
    try:
        shop = Workshop(cloud)
        with ThreadPoolExecutor(16) as uploads:
            body = b"\xff\xd8" + b"\0" * 60_000
            names = [f"data/train/{number % 133:03}.breed/{number:05}.jpg" for number in range(given.objects)]
            list(uploads.map(lambda name: shop.put(name, body), names))
        rounds = [measure(shop, given.hosts) for _ in range(given.rounds)]
        found = {name: round(statistics.median(one[name] for one in rounds), 3) for name in rounds[0]}
        spread = [round(function(one["first_user_line"] for one in rounds), 3) for function in (min, max)]
        print(json.dumps({"objects": given.objects, "hosts": given.hosts, "rounds": given.rounds, **found,
                          "first_user_line_min_max": spread}))  # fmt: skip
    finally:
        cloud.stop()
        shutil.rmtree(data_dir, ignore_errors=True)


if __name__ == "__main__":
    main()
