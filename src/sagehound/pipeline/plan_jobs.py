"""Planned resources of SageMaker: jobs that are completed at once, endpoints and notebook instances in service"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sagehound.pipeline.plan_calls import Call, Refusal

_CREATED = {
    "CreateTrainingJob": ("TrainingJob", "training-job"),
    "CreateHyperParameterTuningJob": ("HyperParameterTuningJob", "hyper-parameter-tuning-job"),
    "CreateModel": ("Model", "model"),
    "CreateEndpointConfig": ("EndpointConfig", "endpoint-config"),
    "CreateEndpoint": ("Endpoint", "endpoint"),
    "CreateNotebookInstance": ("NotebookInstance", "notebook-instance"),
    "CreateNotebookInstanceLifecycleConfig": (
        "NotebookInstanceLifecycleConfig",
        "notebook-instance-lifecycle-config",
    ),
}
_LISTED = re.compile(r"^Describe(\w+)$")


class PlannedJobs:
    """What Create... of SageMaker would have made, as Describe... tells it afterwards."""

    def __init__(
        self,
        arn: Callable[[str, str], str],
        now: datetime,
        put: Callable[[str, str, bytes | None, int], None],
    ) -> None:
        self._arn, self._now, self._put = arn, now, put
        self._made: dict[tuple[str, str], dict[str, Any]] = {}

    def answer(self, call: Call) -> dict[str, Any] | Refusal | None:
        """The answer to a call of the control plane; None for what was not planned."""
        params = call.params
        if call.operation in _CREATED:
            return self._create(call)
        if call.operation in ("UpdateEndpoint", "DeleteEndpoint"):
            return self._change_endpoint(call)
        if call.operation in ("UpdateNotebookInstance", "StartNotebookInstance"):
            self._start_notebook(params)
            return {}
        if call.operation == "CreatePresignedNotebookInstanceUrl":
            return {"AuthorizedUrl": "https://planned.notebook.aws/"}
        described = _LISTED.match(call.operation)
        if described:
            return self._made.get((described[1], params.get(f"{described[1]}Name", "")))
        if call.operation == "ListTrainingJobsForHyperParameterTuningJob":
            tuning = self._made.get(("HyperParameterTuningJob", params["HyperParameterTuningJobName"]))
            return {"TrainingJobSummaries": tuning["planned_trials"]} if tuning else None
        return None

    def _create(self, call: Call) -> dict[str, Any]:
        kind, path = _CREATED[call.operation]
        name = call.params[f"{kind}Name"]
        arn = self._arn("sagemaker", f"{path}/{name}")
        record = {
            **{member: value for member, value in call.params.items() if member != "Tags"},
            f"{kind}Arn": arn,
            "CreationTime": self._now,
            "LastModifiedTime": self._now,
        }
        more: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "TrainingJob": self._trained,
            "HyperParameterTuningJob": self._tuned,
            "Endpoint": self._in_service,
            "NotebookInstance": lambda _: {"NotebookInstanceStatus": "InService"},
        }
        if kind in more:
            record |= more[kind](record)
        self._made[kind, name] = record
        return {f"{kind}Arn": arn}

    def _change_endpoint(self, call: Call) -> dict[str, Any]:
        name = call.params["EndpointName"]
        arn = self._arn("sagemaker", f"endpoint/{name}")
        if call.operation == "UpdateEndpoint":
            record = {**call.params, "EndpointArn": arn, "CreationTime": self._now}
            self._made["Endpoint", name] = record | self._in_service(record)
        return {"EndpointArn": arn}

    def _start_notebook(self, params: Mapping[str, Any]) -> None:
        """An instance that was stopped, on the type that it is given; on its own one, which the plan need not know."""
        record = self._made.setdefault(("NotebookInstance", params["NotebookInstanceName"]), {"InstanceType": ""})
        record |= {**params, "NotebookInstanceStatus": "InService"}

    def _trained(self, job: dict[str, Any]) -> dict[str, Any]:
        output = job["OutputDataConfig"]
        folder = f"{output['S3OutputPath'].rstrip('/')}/{job['TrainingJobName']}/output"
        uri = f"{folder}/model/" if output.get("CompressionType") == "NONE" else f"{folder}/model.tar.gz"
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        if key.endswith("/"):
            self._put(bucket, f"{key}features.json", json.dumps({"files": []}).encode(), 0)
        else:
            self._put(bucket, key, None, 0)
        return {
            "TrainingJobStatus": "Completed",
            "SecondaryStatus": "Completed",
            "ModelArtifacts": {"S3ModelArtifacts": uri},
            "TrainingStartTime": self._now,
            "TrainingEndTime": self._now,
            "TrainingTimeInSeconds": 0,
            "BillableTimeInSeconds": 0,
        }

    def _tuned(self, tuning: dict[str, Any]) -> dict[str, Any]:
        """One trial, with the first value of each range: which is best nobody knows before."""
        ranges = tuning["HyperParameterTuningJobConfig"]["ParameterRanges"]
        first = {one["Name"]: one["Values"][0] for one in ranges.get("CategoricalParameterRanges", [])}
        for kind in ("ContinuousParameterRanges", "IntegerParameterRanges"):
            first |= {one["Name"]: one["MinValue"] for one in ranges.get(kind, [])}
        objective = tuning["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
        name = f"{tuning['HyperParameterTuningJobName']}-001-00000000"
        best = {
            "TrainingJobName": name,
            "TrainingJobStatus": "Completed",
            "CreationTime": self._now,
            "TrainingStartTime": self._now,
            "TrainingEndTime": self._now,
            "TunedHyperParameters": first,
            "FinalHyperParameterTuningJobObjectiveMetric": {
                "MetricName": objective["MetricName"],
                "Value": 0.001 if objective["Type"] == "Minimize" else 0.999,
            },
        }
        self._made["TrainingJob", name] = {**best, "FinalMetricDataList": []}
        return {
            "HyperParameterTuningJobStatus": "Completed",
            "HyperParameterTuningEndTime": self._now,
            "BestTrainingJob": best,
            "planned_trials": [best],
        }

    def _in_service(self, endpoint: dict[str, Any]) -> dict[str, Any]:
        config = self._made.get(("EndpointConfig", endpoint["EndpointConfigName"]), {})
        variants = [
            {
                "VariantName": one["VariantName"],
                "CurrentInstanceCount": one.get("InitialInstanceCount", 1),
                "DesiredInstanceCount": one.get("InitialInstanceCount", 1),
            }
            for one in config.get("ProductionVariants", [])
        ]
        return {"EndpointStatus": "InService", "ProductionVariants": variants}
