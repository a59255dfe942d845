"""Seconds of a search of 20 trials, two at a time, on a feature channel, beside the feature pass that it begins with.

Run from the project's folder: `python -m benchmarks tuning_walk`. Through a real local cloud and AWS's API: a training
job extracts the features, a Bayesian tuning job of 20 jobs trains heads on them. Beside it two trials, at once, of the
same search without a feature channel, each of which sends the pictures through the backbone by itself; the seconds that
20 of them would take are those times ten, which is said.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sagehound.classifier.metrics import METRIC_DEFINITIONS
from sagehound.pipeline.bundle import build_bundle
from tests.cloud.training import IMAGE, Workshop
from tests.cloud_process import CloudProcess

PICTURES = Path(__file__).parents[2] / "shared" / "data" / "dogImages"
RANGES = {
    "ContinuousParameterRanges": [
        {"Name": "learning_rate", "MinValue": "0.001", "MaxValue": "0.1", "ScalingType": "Logarithmic"}
    ],
    "CategoricalParameterRanges": [{"Name": "batch_size", "Values": ["32", "64", "128", "256", "512"]}],
}
ENDED = ("Completed", "Failed", "Stopped")


class Walk:
    """The pictures in a cloud's bucket, and the jobs of the search."""

    def __init__(self, shop: Workshop, pictures: Path) -> None:
        self.shop = shop
        shop.put("code/sourcedir.tar.gz", build_bundle(with_requirements=False).content)
        files = [path for path in sorted(pictures.rglob("*")) if path.is_file()]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda f: shop.put(f"data/{f.relative_to(pictures).as_posix()}", f.read_bytes()), files))
        self.pictures = len(files)

    def extract(self, name: str) -> tuple[str, float]:
        """One features job; the prefix that it has written, and its seconds from creation to end."""
        shop = self.shop
        request = {
            "TrainingJobName": name,
            "RoleArn": shop.role_arn,
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "HyperParameters": self._program("extract_features.py"),
            "InputDataConfig": [shop.channel("training", "data/")],
            "OutputDataConfig": {"S3OutputPath": f"s3://{shop.bucket}/jobs", "CompressionType": "NONE"},
            **_machine(),
        }
        started = time.monotonic()
        shop.sagemaker.create_training_job(**request)
        job = _until_over(lambda: shop.describe(name), "TrainingJobStatus")
        return f"jobs/{name}/output/model/", time.monotonic() - started if job else 0.0

    def tune(self, name: str, channel: dict[str, Any], jobs: int, compression: str) -> tuple[dict[str, Any], float]:
        """A search; its description, and its seconds from creation to end."""
        shop = self.shop
        definition = {
            "StaticHyperParameters": self._program("hpo.py"),
            "AlgorithmSpecification": {
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "MetricDefinitions": METRIC_DEFINITIONS,
            },
            "RoleArn": shop.role_arn,
            "InputDataConfig": [channel],
            "OutputDataConfig": {"S3OutputPath": f"s3://{shop.bucket}/jobs", "CompressionType": compression},
            **_machine(),
        }
        config = {
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "validation:loss"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": RANGES,
            "RandomSeed": 0,
        }
        started = time.monotonic()
        shop.sagemaker.create_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name,
            HyperParameterTuningJobConfig=config,
            TrainingJobDefinition=definition,
        )
        found = _until_over(
            lambda: shop.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name),
            "HyperParameterTuningJobStatus",
        )
        return found, time.monotonic() - started

    def trials(self, name: str) -> list[dict[str, Any]]:
        """The training jobs of a search."""
        pages = self.shop.sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
            HyperParameterTuningJobName=name
        )
        return [job for page in pages for job in page["TrainingJobSummaries"]]

    def _program(self, script: str) -> dict[str, str]:
        code = f"s3://{self.shop.bucket}/code/sourcedir.tar.gz"
        return {"sagemaker_program": script, "sagemaker_submit_directory": code}


def _machine() -> dict[str, Any]:
    return {
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    }


def _until_over(describe: Any, status: str) -> dict[str, Any]:
    while (found := describe())[status] not in ENDED:
        time.sleep(0.1)
    if found[status] != "Completed":
        raise SystemExit(f"{found.get('FailureReason') or found}")
    return dict(found)


def tell(walk: Walk, name: str, found: Mapping[str, Any]) -> None:
    """Print what the trials of a search took and what the best one is."""
    trials = walk.trials(name)
    seconds = [(job["TrainingEndTime"] - job["CreationTime"]).total_seconds() for job in trials]
    best = found["BestTrainingJob"]
    print(
        f"  a trial from its creation to its end: median {statistics.median(seconds):.1f} s, "
        f"{min(seconds):.1f} to {max(seconds):.1f}; best {best['TunedHyperParameters']} with "
        f"validation:loss {best['FinalHyperParameterTuningJobObjectiveMetric']['Value']:.4f}"
    )


def main() -> None:
    """Extract, search, search without the channel, and print the seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=PICTURES)
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--compression", choices=["GZIP", "NONE"], default="GZIP")
    parser.add_argument("--without-beside", action="store_true", help="leave out the trials that push pictures")
    given = parser.parse_args()
    if not given.data.is_dir():
        raise SystemExit(f"no pictures at {given.data}: give a folder with train/, valid/ and test/ as --data")
    data_dir = Path(tempfile.mkdtemp(prefix="sagehound-bench-"))
    cloud = CloudProcess(data_dir).start()
    try:
        walk = Walk(Workshop(cloud), given.data)
        print(f"{walk.pictures} pictures, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before", flush=True)
        prefix, feature_pass = walk.extract("features")
        print(f"feature pass: {feature_pass:.1f} s (load {os.getloadavg()[0]:.1f})", flush=True)
        found, tuning = walk.tune("search", walk.shop.channel("features", prefix), given.jobs, given.compression)
        print(f"{given.jobs} trials, 2 at a time: {tuning:.1f} s (load {os.getloadavg()[0]:.1f})", flush=True)
        tell(walk, "search", found)
        print(f"both: {feature_pass + tuning:.1f} s = {(feature_pass + tuning) / feature_pass:.2f} feature passes")
        if not given.without_beside:
            found, two = walk.tune("pictures", walk.shop.channel("training", "data/"), 2, given.compression)
            tell(walk, "pictures", found)
            all_of_them, both = two * given.jobs / 2, feature_pass + tuning
            print(
                f"the same search with each trial pushing pictures: 2 trials at once {two:.1f} s, so {given.jobs} "
                f"would take {all_of_them:.0f} s (extrapolated), {all_of_them / both:.1f} times as long"
            )
    finally:
        cloud.stop()
        shutil.rmtree(data_dir, ignore_errors=True)


if __name__ == "__main__":
    main()
