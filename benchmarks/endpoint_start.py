"""Seconds from CreateEndpoint to InService, for a handler that loads at once and for one that loads for a second.

Run from the project's folder: `python -m benchmarks.endpoint_start [--rounds 7]`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from tests.cloud.hosting import Hosting
from tests.cloud_process import CloudProcess

LOAD = """
import time
def model_fn(model_dir): time.sleep({seconds})
def transform_fn(model, data, content_type, accept): return "x"
"""


def measure(hosting: Hosting, name: str, config: str) -> float:
    """One endpoint, asked about every five milliseconds."""
    began = time.perf_counter()
    endpoint = hosting.create(name, config)
    while (status := hosting.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointStatus"]) == "Creating":
        time.sleep(0.005)
    seconds = time.perf_counter() - began
    if status != "InService":
        raise SystemExit(hosting.sagemaker.describe_endpoint(EndpointName=endpoint)["FailureReason"])
    hosting.delete(endpoint)
    return seconds


def main() -> None:
    """Create and delete endpoints, print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    data_dir = Path(tempfile.mkdtemp(prefix="sagehound-bench-"))
    cloud = CloudProcess(data_dir).start()
    try:
        hosting = Hosting(cloud)
        found: dict[str, object] = {"rounds": given.rounds}
        for seconds in (0.0, 1.0):
            name = f"load{seconds:g}"
            config = hosting.config(name, hosting.variant(hosting.model(name, LOAD.format(seconds=seconds))))
            times = [measure(hosting, f"{name}-{number}", config) - seconds for number in range(given.rounds)]
            found[f"beyond_a_load_of_{seconds:g}_s"] = {
                "median": round(statistics.median(times), 3),
                "min_max": [round(min(times), 3), round(max(times), 3)],
            }
        print(json.dumps(found))
    finally:
        cloud.stop()
        shutil.rmtree(data_dir, ignore_errors=True)


if __name__ == "__main__":
    main()
