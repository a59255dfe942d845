"""The records of a tuning job: the job as Describe tells it, its training jobs, and the run as a restart needs it"""

from __future__ import annotations

from typing import Any

from sagehound.localcloud.services.sagemaker import training_status
from sagehound.localcloud.services.sagemaker.training_records import JOBS as TRAINING_JOBS
from sagehound.localcloud.services.sagemaker.training_values import TrainingValues
from sagehound.localcloud.state.store import Store, dumps, loads

JOBS = "sagemaker:tuning-job"
RUNS = "sagemaker:tuning-run"

Job = dict[str, Any]
Run = dict[str, Any]
"""Region, Name, Seed, History (of a warm start, one list of trials a definition), Outcome (once it is decided). It
lives from CreateHyperParameterTuningJob to the end of the last training job."""
Child = dict[str, Any]
"""A training job of the tuning job. From before its creation: TrainingJobName, TrainingJobArn, Definition (a name or
""), DefinitionIndex, Number (of the trial within its definition), Attempt, Parameters (the search's own values),
TunedHyperParameters, ObjectiveType, MetricName. Then EarlyStopped. Once it is over what a summary tells, Value (if it
has one) and Values. A child without TrainingEndTime is on its way."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tuning_children (
    region TEXT NOT NULL, tuning TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (region, tuning, name)
) WITHOUT ROWID;
"""
_NO_VALUE = "No value of the objective metric {metric} was found in the output of the training job."
_COPIED = ("TrainingJobStatus", "CreationTime", "TrainingStartTime", "TrainingEndTime", "FailureReason")


def create_tables(store: Store) -> None:
    """The table of the children: a tuning job may have hundreds, and each change is one row."""
    store.create_tables(_SCHEMA)


class TuningRecord:
    """Reads and writes the records of one tuning job; every change is stored before it has an effect."""

    def __init__(self, store: Store, region: str, name: str) -> None:
        self._store = store
        self._values = TrainingValues(store)
        self.region = region
        self.name = name

    def job(self) -> Job:
        """The tuning job."""
        found = self._store.get(JOBS, self.region, self.name)
        if found is None:
            raise LookupError(f"tuning job {self.name} is gone")
        return found

    def put_job(self, job: Job) -> None:
        """Store the tuning job."""
        self._store.put(JOBS, self.region, self.name, job)

    def run(self) -> Run:
        """The run; an empty one after the tuning job's end."""
        return self._store.get(RUNS, self.region, self.name) or {}

    def update_run(self, **members: Any) -> None:
        """Set members of the run."""
        self._store.put(RUNS, self.region, self.name, {**self.run(), **members})

    def children(self) -> list[Child]:
        """Its training jobs, in the order in which they were made; of those on their way, how they are now.

        One that is stored and not created (a quota is full, or the server died in between) is not among them.
        """
        told = []
        for child in self.stored_children():
            if "TrainingEndTime" in child:
                told.append(child)
                continue
            job = self.training_job(child)
            if job is not None:
                told.append({**child, **_members(job), "ObjectiveStatus": "Pending"})
        return told

    def stored_children(self) -> list[Child]:
        """The children's own records."""
        sql = "SELECT body FROM tuning_children WHERE region = ? AND tuning = ?"
        rows: list[Child] = [loads(row[0]) for row in self._store.execute(sql, (self.region, self.name))]
        return sorted(rows, key=lambda child: int(child["Sequence"]))

    def put_child(self, child: Child) -> None:
        """Store a child."""
        row = (self.region, self.name, child["TrainingJobName"], dumps(child))
        self._store.execute("INSERT OR REPLACE INTO tuning_children VALUES (?, ?, ?, ?)", row)

    def remove_child(self, child: Child) -> None:
        """Forget a child that was never created."""
        sql = "DELETE FROM tuning_children WHERE region = ? AND tuning = ? AND name = ?"
        self._store.execute(sql, (self.region, self.name, child["TrainingJobName"]))

    def training_job(self, child: Child) -> Job | None:
        """The training job of a child, None when there is none (yet, or because it was deleted)."""
        return self._store.get(TRAINING_JOBS, self.region, child["TrainingJobName"])

    def values(self, child: Child) -> list[float]:
        """The values of the objective that the child has printed so far."""
        if "Values" in child:
            return list(child["Values"])
        return self._values.of(self.region, child["TrainingJobName"])

    def end_child(self, child: Child, job: Job) -> Child:
        """Store how a child ended, its values with it: the training job may be deleted from now on."""
        name = child["TrainingJobName"]
        ended = {**child, **_members(job), "Values": self.values(child)}
        final = [
            data["Value"] for data in job.get("FinalMetricDataList", []) if data["MetricName"] == child["MetricName"]
        ]
        # A failed job's value is not used; one that was stopped, early or by hand, keeps what it had reached.
        if final and job["TrainingJobStatus"] != "Failed":
            ended["Value"] = final[-1]
        elif job["TrainingJobStatus"] == "Completed":
            ended["FailureReason"] = _NO_VALUE.format(metric=child["MetricName"])
        ended["ObjectiveStatus"] = "Succeeded" if "Value" in ended else "Failed"
        with self._store.transaction():
            self.put_child(ended)
            self._values.delete(self.region, name)
        return ended

    def end(self, job: Job) -> None:
        """Store the ended tuning job and forget its run, in one step."""
        with self._store.transaction():
            self.put_job(job)
            self._store.delete(RUNS, self.region, self.name)

    def delete(self) -> None:
        """Forget the tuning job; its training jobs stay, as training jobs."""
        with self._store.transaction():
            self._store.delete(JOBS, self.region, self.name)
            sql = "DELETE FROM tuning_children WHERE region = ? AND tuning = ?"
            self._store.execute(sql, (self.region, self.name))


def is_over(job: Job) -> bool:
    """Whether a training job has ended."""
    return job["TrainingJobStatus"] in training_status.ENDED


def _members(job: Job) -> dict[str, Any]:
    return {member: job[member] for member in _COPIED if member in job}
