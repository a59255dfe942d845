"""The life of a tuning job as data: which status follows which, and what its counters and its best job are"""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.state.lifecycle import Lifecycle

Record = dict[str, Any]

TUNING_JOB = Lifecycle(
    "HyperParameterTuningJobStatus",
    {
        "InProgress": {"Completed", "Failed", "Stopping"},
        "Stopping": {"Stopped", "Failed"},
        "Completed": {"Deleting"},
        "Failed": {"Deleting"},
        "Stopped": {"Deleting"},
        "Deleting": set(),
    },
)
ENDED = ("Completed", "Failed", "Stopped")

_INTERNAL = "InternalServerError"
_SUMMARY = (
    "TrainingJobName",
    "TrainingJobArn",
    "CreationTime",
    "TrainingStartTime",
    "TrainingEndTime",
    "TrainingJobStatus",
    "TunedHyperParameters",
    "FailureReason",
    "ObjectiveStatus",
)


def retryable(child: Record) -> bool:
    """Whether a training job failed through no fault of its own, which is what RetryStrategy is for."""
    reason: str = child.get("FailureReason", "")
    return child["TrainingJobStatus"] == "Failed" and reason.startswith(_INTERNAL)


def status_counters(children: list[Record]) -> dict[str, int]:
    """TrainingJobStatusCounters; a job that is stopping is still in progress."""
    counters = dict.fromkeys(("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped"), 0)
    for child in children:
        status = child["TrainingJobStatus"]
        if status == "Failed":
            status = "RetryableError" if retryable(child) else "NonRetryableError"
        elif status not in counters:
            status = "InProgress"
        counters[status] += 1
    return counters


def objective_counters(children: list[Record]) -> dict[str, int]:
    """ObjectiveStatusCounters."""
    counters = {"Succeeded": 0, "Pending": 0, "Failed": 0}
    for child in children:
        counters[child["ObjectiveStatus"]] += 1
    return counters


def rated(children: list[Record], kind: str) -> list[Record]:
    """The training jobs that have a final value, in the order of their ends.

    Values of definitions that minimize and of such that maximize cannot be compared: only those of one kind count.
    """
    found = [child for child in children if "Value" in child and child["ObjectiveType"] == kind]
    return sorted(found, key=lambda child: child["TrainingEndTime"])


def best(children: list[Record], kind: str) -> Record | None:
    """The training job with the best final value, the earlier of equals; None while none has one."""
    sign = 1 if kind == "Minimize" else -1
    return min(rated(children, kind), key=lambda child: sign * child["Value"], default=None)


def summary(child: Record) -> Record:
    """The training job as List and Describe tell it."""
    told = {member: child[member] for member in _SUMMARY if member in child}
    if child["Definition"]:
        told["TrainingJobDefinitionName"] = child["Definition"]
    if "Value" in child:
        told["FinalHyperParameterTuningJobObjectiveMetric"] = {
            "MetricName": child["MetricName"],
            "Value": child["Value"],
        }
    return told
