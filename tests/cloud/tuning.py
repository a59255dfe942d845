"""What the tests of tuning jobs share: small scripts that print an objective, requests, waiting for the end."""

from __future__ import annotations

import time
import uuid
from typing import Any

from tests.cloud.training import LIMIT, Workshop

OBJECTIVE = {"Type": "Minimize", "MetricName": "loss"}
METRICS = [{"Name": "loss", "Regex": "loss=([-+.eE0-9]+|nan)"}]
READ = (
    "import os, sys, time\n"
    "given = dict(zip([name.lstrip('-') for name in sys.argv[1::2]], sys.argv[2::2]))\n"
    "x = float(given.get('x', 0))\n"
)
PARABOLA = READ + "print(f'loss={(x - 0.3) ** 2}', flush=True)\n"
ENDED = ("Completed", "Failed", "Stopped")


def continuous(name: str = "x", low: str = "0", high: str = "1", **changes: Any) -> dict[str, Any]:
    """ParameterRanges of one continuous hyperparameter."""
    return {"ContinuousParameterRanges": [{"Name": name, "MinValue": low, "MaxValue": high, **changes}]}


def categorical(*values: str, name: str = "x") -> dict[str, Any]:
    """ParameterRanges of one categorical hyperparameter."""
    return {"CategoricalParameterRanges": [{"Name": name, "Values": list(values)}]}


class TuningWorkshop(Workshop):
    """A workshop that makes tuning jobs too."""

    def definition(self, script: str, **changes: Any) -> dict[str, Any]:
        """A TrainingJobDefinition whose script is `script`; `static`, `metrics` and members by keyword."""
        static, metrics = changes.pop("static", {}), changes.pop("metrics", METRICS)
        request = self.request(script, hyperparameters=static)
        del request["TrainingJobName"]
        request["StaticHyperParameters"] = request.pop("HyperParameters")
        request["AlgorithmSpecification"]["MetricDefinitions"] = metrics
        return {**request, **changes}

    def tuning_request(self, script: str, ranges: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        """A CreateHyperParameterTuningJob request; `jobs`, `parallel`, `strategy`, `config`, `limits`, `definition`
        (members of the definition), `definitions` (instead of one) and further members by keyword."""
        jobs = changes.pop("jobs", 3)
        limits = {"MaxParallelTrainingJobs": changes.pop("parallel", 1), **changes.pop("limits", {})}
        if jobs is not None:
            limits["MaxNumberOfTrainingJobs"] = jobs
        config = {"Strategy": changes.pop("strategy", "Random"), "ResourceLimits": limits, "RandomSeed": 7}
        several = changes.pop("definitions", None)
        single = changes.pop("definition", {})
        if several is None:
            config |= {"HyperParameterTuningJobObjective": OBJECTIVE, "ParameterRanges": ranges or continuous()}
        return {
            "HyperParameterTuningJobName": changes.pop("name", f"tuning-{uuid.uuid4().hex[:12]}"),
            "HyperParameterTuningJobConfig": {**config, **changes.pop("config", {})},
            **(
                {"TrainingJobDefinition": self.definition(script, **single)}
                if several is None
                else {"TrainingJobDefinitions": several}
            ),
            **changes,
        }

    def tune(self, script: str, ranges: dict[str, Any] | None = None, **changes: Any) -> str:
        """Create a tuning job; its name."""
        request = self.tuning_request(script, ranges, **changes)
        self.sagemaker.create_hyper_parameter_tuning_job(**request)
        return str(request["HyperParameterTuningJobName"])

    def tuned(self, script: str, ranges: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        """Create a tuning job and wait for its end; its description."""
        return self.tuning_ended(self.tune(script, ranges, **changes))

    def tuning(self, name: str) -> dict[str, Any]:
        """DescribeHyperParameterTuningJob."""
        found: dict[str, Any] = self.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        return found

    def tuning_ended(self, name: str) -> dict[str, Any]:
        """The description of a tuning job once it is over."""
        return self.tuning_until(name, lambda job: job["HyperParameterTuningJobStatus"] in ENDED)

    def tuning_until(self, name: str, reached: Any) -> dict[str, Any]:
        """The description of a tuning job once `reached` says so."""
        deadline = time.monotonic() + LIMIT
        while not reached(job := self.tuning(name)):
            assert time.monotonic() < deadline, f"{job} {self.children(name)}"
            time.sleep(0.05)
        return job

    def children(self, name: str, **asked: Any) -> list[dict[str, Any]]:
        """Every summary of ListTrainingJobsForHyperParameterTuningJob."""
        pages = self.sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
            HyperParameterTuningJobName=name, **asked
        )
        return [summary for page in pages for summary in page["TrainingJobSummaries"]]

    def values(self, name: str) -> list[float | None]:
        """The final values of a tuning job's training jobs, in order."""
        return [
            child.get("FinalHyperParameterTuningJobObjectiveMetric", {}).get("Value") for child in self.children(name)
        ]
