"""The two records of a training job: the job as Describe tells it, and the run as a restart of the server needs it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sagehound.localcloud.services.sagemaker import training_status
from sagehound.localcloud.state.store import Store

JOBS = "sagemaker:training-job"
RUNS = "sagemaker:training-run"

Job = dict[str, Any]
Run = dict[str, Any]
"""Region, Name, Addresses, MasterPort, Entrance (the cloud's URL in the job's own network), Hosts (name -> Stream, and
once started Handle, Argv, Offset, Words), Interrupt (MaxRuntime), Joining (whether the hosts join into one training:
asked, impossible, unknown, seen), Outcome (once the programs have ended). It lives from CreateTrainingJob to the end of
the upload."""


def new_run(region: str, name: str) -> Run:
    """The run of a job that was just created."""
    return {"Region": region, "Name": name, "Addresses": [], "MasterPort": 0, "Hosts": {}}


class TrainingRecord:
    """Reads and writes both records of one job; every change is stored before it has an effect."""

    def __init__(self, store: Store, region: str, name: str) -> None:
        self._store = store
        self.region = region
        self.name = name
        self.on_end: Callable[[], None] = lambda: None
        """Called as soon as the end is stored: before the job's folder is cleared away."""

    def job(self) -> Job:
        """The job."""
        found = self._store.get(JOBS, self.region, self.name)
        if found is None:
            raise LookupError(f"training job {self.name} is gone")
        return found

    def put_job(self, job: Job) -> None:
        """Store the job."""
        self._store.put(JOBS, self.region, self.name, job)

    def update_job(self, **members: Any) -> Job:
        """Set members of the job."""
        job = {**self.job(), **members}
        self.put_job(job)
        return job

    def enter(self, secondary: str, now: datetime, message: str | None = None) -> Job:
        """Move SecondaryStatus on."""
        job = training_status.enter(self.job(), secondary, now, message)
        self.put_job(job)
        return job

    def run(self) -> Run:
        """The run; an empty one after the job's end."""
        return self._store.get(RUNS, self.region, self.name) or new_run(self.region, self.name)

    def update_run(self, **members: Any) -> Run:
        """Set members of the run."""
        run = {**self.run(), **members}
        self._store.put(RUNS, self.region, self.name, run)
        return run

    def update_host(self, host: str, **members: Any) -> None:
        """Set members of one host of the run."""
        hosts = dict(self.run()["Hosts"])
        hosts[host] = {**hosts.get(host, {}), **members}
        self.update_run(Hosts=hosts)

    def end(self, job: Job) -> None:
        """Store the ended job and forget its run, in one step."""
        with self._store.transaction():
            self.put_job(job)
            self._store.delete(RUNS, self.region, self.name)
        self.on_end()
