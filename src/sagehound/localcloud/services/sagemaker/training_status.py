"""The life of a training job as data: which status follows which, and the transitions that Describe shows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sagehound.localcloud.state.lifecycle import Lifecycle

Job = dict[str, Any]

TRAINING_JOB = Lifecycle(
    "TrainingJobStatus",
    {
        "InProgress": {"Completed", "Failed", "Stopping", "Stopped"},
        "Stopping": {"Stopped", "Failed"},
        "Completed": {"Deleting"},
        "Failed": {"Deleting"},
        "Stopped": {"Deleting"},
        "Deleting": set(),
    },
)
STOPPED_BY_LIMIT = "MaxRuntimeExceeded"
ENDED = ("Completed", "Failed", "Stopped")
"""The statuses in which a job is over; `InProgress -> Stopped` is the way of MaxRuntimeExceeded."""

MESSAGES = {
    "Starting": "Starting the training job",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Stopping": "Stopping the training job",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}


def enter(job: Job, secondary: str, now: datetime, message: str | None = None) -> Job:
    """The job with SecondaryStatus moved on: the open transition ends now and the next one begins."""
    transitions = [dict(transition) for transition in job.get("SecondaryStatusTransitions", [])]
    if transitions and "EndTime" not in transitions[-1]:
        transitions[-1]["EndTime"] = now
    opened = {"Status": secondary, "StartTime": now, "StatusMessage": message or MESSAGES[secondary]}
    return {
        **job,
        "SecondaryStatus": secondary,
        "SecondaryStatusTransitions": [*transitions, opened],
        "LastModifiedTime": now,
    }


def end(job: Job, status: str, secondary: str, now: datetime, reason: str | None = None) -> Job:
    """The job in one of its final statuses, with its times; FailureReason holds at most 1,024 characters."""
    job = enter(TRAINING_JOB.advance(job, status), secondary, now)
    job["SecondaryStatusTransitions"][-1]["EndTime"] = now
    job["TrainingEndTime"] = now
    if reason is not None:
        job["FailureReason"] = reason[:1024]
    if "TrainingStartTime" in job:
        seconds = max(1, round((now - job["TrainingStartTime"]).total_seconds()))
        job["TrainingTimeInSeconds"] = seconds
        # Wall-clock time: the bill is this times InstanceCount.
        job["BillableTimeInSeconds"] = seconds
    return job
