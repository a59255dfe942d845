"""The doing of a tuning job: which training job starts when, which is stopped early, and when it is over"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from typing import Any

from sagehound.localcloud.errors import AwsError
from sagehound.localcloud.services.sagemaker import tuning_completion, tuning_status
from sagehound.localcloud.services.sagemaker.providers import Providers
from sagehound.localcloud.services.sagemaker.training_jobs import TrainingJobs
from sagehound.localcloud.services.sagemaker.tuning_children import Children
from sagehound.localcloud.services.sagemaker.tuning_definitions import definitions
from sagehound.localcloud.services.sagemaker.tuning_records import TuningRecord
from sagehound.localcloud.services.sagemaker.tuning_search import Searches

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 5.0
"""Between attempts when the disk is full."""

Outcome = dict[str, str]
"""Status and, of a failure, Reason."""

COMPLETED: Outcome = {"Status": "Completed"}
STOPPED: Outcome = {"Status": "Stopped"}


def failed(reason: str) -> Outcome:
    """The outcome of a tuning job that failed."""
    return {"Status": "Failed", "Reason": reason}


class TuningRun:
    """One tuning job on its way. `run` is its whole life; cancelling it leaves the training jobs running."""

    def __init__(
        self,
        region: str,
        name: str,
        providers: Providers,
        training_jobs: TrainingJobs,
        tags: list[dict[str, str]],
    ) -> None:
        self._providers = providers
        self._record = TuningRecord(providers.store, region, name)
        job, run = self._record.job(), self._record.run()
        self._config = job["HyperParameterTuningJobConfig"]
        self._definitions = definitions(job)
        self._changed = asyncio.Event()
        self._children = Children(self._record, self._definitions, job, providers, training_jobs, tags, self.wake)
        self._searches = Searches(self._config, self._definitions, run["Seed"], run["History"])
        self._expired = self._exhausted = self._blocked = False
        self._fault: Outcome | None = None

    def wake(self) -> None:
        """Something has happened: a training job has ended or printed a value, or a stop was asked for."""
        self._changed.set()

    async def run(self) -> None:
        """Bring the tuning job to its end, whatever happens."""
        timer = asyncio.ensure_future(self._expire())
        try:
            while True:
                if await self._over():
                    return
                await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            timer.cancel()
            self._children.forget()
            await self._searches.close()

    async def _expire(self) -> None:
        """MaxRuntimeInSeconds counts from the creation, the time of a dead server too."""
        limit = self._config["ResourceLimits"].get("MaxRuntimeInSeconds")
        if limit is not None:
            end = self._record.job()["CreationTime"].timestamp() + limit
            await self._providers.clock.sleep(end - self._providers.clock.time())
            self._expired = True
            self.wake()

    async def _over(self) -> bool:
        """Work until the end is stored; False when something failed and there is more to do in a moment."""
        try:
            self._end(await self._work())
        except sqlite3.OperationalError:
            # A full disk: all that is known is as it was stored last, and it goes on from there.
            logger.exception("tuning job %s cannot be stored yet", self._record.name)
            return False
        except Exception as error:
            logger.exception("tuning job %s", self._record.name)
            # What is left to do is to stop its training jobs.
            self._fault = failed(f"InternalServerError: The local cloud failed ({type(error).__name__}: {error})")
            return False
        return True

    async def _work(self) -> Outcome:
        starting: asyncio.Task[None] | None = None
        try:
            while True:
                self._changed.clear()
                if self._children.note_ends():
                    self._blocked = False
                    self._note_progress()
                if starting is not None and starting.done():
                    starting.result()
                    starting = None
                outcome = self._outcome(starting is not None)
                if outcome is not None:
                    if starting is not None:
                        starting.cancel()
                        await asyncio.gather(starting, return_exceptions=True)
                        starting = None
                    self._children.stop_all()
                    if not self._children.running:
                        return outcome
                elif starting is None and self._may_start():
                    starting = asyncio.create_task(self._start_next())
                    starting.add_done_callback(lambda _: self.wake())
                else:
                    await self._stop_early()
                await self._changed.wait()
        finally:
            if starting is not None:
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)

    def _may_start(self) -> bool:
        parallel = self._config["ResourceLimits"]["MaxParallelTrainingJobs"]
        if self._blocked or len(self._children.running) >= parallel:
            return False
        return self._children.waiting() is not None or not self._all_made()

    def _all_made(self) -> bool:
        most = self._config["ResourceLimits"].get("MaxNumberOfTrainingJobs")
        return self._exhausted or (most is not None and self._children.trials >= most)

    async def _start_next(self) -> None:
        """Start the training job that waits, or the next one that the search proposes."""
        child = self._children.waiting()
        if child is None:
            proposal = await self._searches.propose(self._children.all)
            if proposal is None:
                self._exhausted = True
                return
            child = self._children.add(*proposal)
        try:
            await self._children.start(child)
        except AwsError as refusal:
            if refusal.code == "ResourceLimitExceeded" and self._children.running:
                self._blocked = True
            elif self._record.job()["HyperParameterTuningJobStatus"] == "InProgress":
                self._decide(failed(refusal.message))

    def _outcome(self, starting: bool) -> Outcome | None:
        """How the tuning job ends, as soon as that is certain; what ends it early is stored before it has an effect."""
        if self._record.job()["HyperParameterTuningJobStatus"] == "Stopping":
            return STOPPED
        decided: Outcome | None = self._record.run().get("Outcome")
        if decided is not None:
            return decided
        if self._fault is not None:
            return self._decide(self._fault)
        ended = self._children.ended
        last = not starting and not self._children.running and self._children.waiting() is None and self._all_made()
        values = self._children.values()
        reason = tuning_completion.failure([child["TrainingJobStatus"] for child in ended], bool(values), last)
        if reason is not None:
            return self._decide(failed(reason))
        criteria = self._config.get("TuningJobCompletionCriteria", {})
        if self._expired or tuning_completion.met(criteria, values, self._definitions[0].minimize):
            return self._decide(COMPLETED)
        return COMPLETED if last else None

    def _decide(self, outcome: Outcome) -> Outcome:
        self._record.update_run(Outcome=outcome)
        return outcome

    def _note_progress(self) -> None:
        """A training job has ended: LastModifiedTime, and ConvergenceDetectedTime the first time that it is."""
        now = self._providers.clock.now()
        job = {**self._record.job(), "LastModifiedTime": now}
        if tuning_completion.converged(self._children.values(), self._definitions[0].minimize):
            job.setdefault("ConvergenceDetectedTime", now)
        self._record.put_job(job)

    async def _stop_early(self) -> None:
        """Stop the running training jobs that early stopping, or Hyperband, gives up."""
        for child in self._children.with_news() if self._searches.stops_early else ():
            if await self._searches.gives_up(child, self._children.all):
                self._children.stop_early(child)

    def _end(self, outcome: Outcome) -> None:
        job, now = self._record.job(), self._providers.clock.now()
        status = outcome["Status"]
        if job["HyperParameterTuningJobStatus"] == "Stopping" and status == "Completed":
            status = "Stopped"  # the stop came with the last training job's end
        members: dict[str, Any] = {"HyperParameterTuningEndTime": now, "LastModifiedTime": now}
        if "Reason" in outcome:
            members["FailureReason"] = outcome["Reason"][:1024]
        self._record.end(tuning_status.TUNING_JOB.advance(job, status, **members))
