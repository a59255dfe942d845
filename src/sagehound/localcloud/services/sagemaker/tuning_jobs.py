"""CreateHyperParameterTuningJob, Describe, List, Stop and Delete of it, ListTrainingJobsForHyperParameterTuningJob"""

from __future__ import annotations

import asyncio
import secrets
from datetime import datetime
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError, validation
from sagehound.localcloud.services.sagemaker import paging, tuning_checks, tuning_completion, tuning_records
from sagehound.localcloud.services.sagemaker.providers import Providers
from sagehound.localcloud.services.sagemaker.tags import Tags
from sagehound.localcloud.services.sagemaker.training_jobs import TrainingJobs
from sagehound.localcloud.services.sagemaker.training_output import OBJECTIVE
from sagehound.localcloud.services.sagemaker.tuning_definitions import RANGES, definitions, described
from sagehound.localcloud.services.sagemaker.tuning_records import JOBS, RUNS, Child, Job, TuningRecord
from sagehound.localcloud.services.sagemaker.tuning_run import TuningRun
from sagehound.localcloud.services.sagemaker.tuning_status import (
    ENDED,
    TUNING_JOB,
    best,
    objective_counters,
    rated,
    status_counters,
    summary,
)
from sagehound.localcloud.services.sagemaker.tuning_warm_start import IDENTICAL, WarmStart, unknown
from sagehound.localcloud.state import arns

_SORT = {
    "Name": "HyperParameterTuningJobName",
    "CreationTime": "CreationTime",
    "Status": "HyperParameterTuningJobStatus",
}
_SORT_CHILDREN = {
    "Name": "TrainingJobName",
    "CreationTime": "CreationTime",
    "Status": "TrainingJobStatus",
    "FinalObjectiveMetricValue": "Value",
}
_SUMMARY = (
    "HyperParameterTuningJobName",
    "HyperParameterTuningJobArn",
    "HyperParameterTuningJobStatus",
    "CreationTime",
    "HyperParameterTuningEndTime",
    "LastModifiedTime",
)
_DESCRIBED = (
    *_SUMMARY,
    "HyperParameterTuningJobConfig",
    "TrainingJobDefinition",
    "TrainingJobDefinitions",
    "WarmStartConfig",
    "FailureReason",
)
_MOST_SEED = 2**31


class TuningJobs:
    """The tuning jobs of all regions, and the runs of those that are on their way."""

    def __init__(self, providers: Providers, tags: Tags, training_jobs: TrainingJobs) -> None:
        self._providers = providers
        self._store = providers.store
        self._tags = tags
        self._training_jobs = training_jobs
        self._runs: dict[tuple[str, str], tuple[TuningRun, asyncio.Task[None]]] = {}
        tuning_records.create_tables(providers.store)

    async def start(self) -> None:
        """Go on with every tuning job that was on its way when the server ended; its training jobs run already."""
        for run in self._store.list(RUNS):
            self._begin(run["Region"], run["Name"])

    async def stop(self) -> None:
        """Let go of the tuning jobs: they go on at the next start, with the history that they have."""
        tasks = [task for _, task in self._runs.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def CreateHyperParameterTuningJob(self, call: Call, request: Request) -> Response:
        """Store the tuning job and begin it; everything that its training jobs would be refused for is said now."""
        name, region = request["HyperParameterTuningJobName"], call.region
        arn = call.resource = self._arn(region, name)
        self._refuse_taken(region, name)
        samples = tuning_checks.check(request)
        for sample in samples:
            await self._training_jobs.check(region, sample)
        warm_start = WarmStart(request, self._store, region)
        config = request["HyperParameterTuningJobConfig"]
        run = {
            "Region": region,
            "Name": name,
            "Seed": config.get("RandomSeed", secrets.randbelow(_MOST_SEED)),
            "History": warm_start.history(),
        }
        job = _created({**request, "HyperParameterTuningJobArn": arn}, self._providers.clock.now())
        job["ParentBest"] = warm_start.best()
        with self._store.transaction():
            self._refuse_taken(region, name)
            for sample in samples:
                self._training_jobs.check_quotas(region, sample)
            self._store.put(JOBS, region, name, job)
            self._store.put(RUNS, region, name, run)
            self._tags.create(arn, request.get("Tags"))
        self._begin(region, name)
        return {"HyperParameterTuningJobArn": arn}

    def DescribeHyperParameterTuningJob(self, call: Call, request: Request) -> Response:
        """The tuning job, its counters, and its best training job as soon as one has a value."""
        job = self._job(call, request)
        children = self._record(call, job).children()
        told = {member: job[member] for member in _DESCRIBED if member in job}
        if "TrainingJobDefinition" in told:
            told["TrainingJobDefinition"] = described(told["TrainingJobDefinition"])
        else:
            told["TrainingJobDefinitions"] = [described(body) for body in told["TrainingJobDefinitions"]]
        told |= {
            "TrainingJobStatusCounters": status_counters(children),
            "ObjectiveStatusCounters": objective_counters(children),
            "TuningJobCompletionDetails": _completion_details(job, children),
            "ConsumedResources": {"RuntimeInSeconds": self._runtime(job)},
        }
        kind = definitions(job)[0].objective["Type"]
        found = best(children, kind)
        if found is not None:
            told["BestTrainingJob"] = summary(found)
        if job.get("WarmStartConfig", {}).get("WarmStartType") == IDENTICAL:
            own = [{**found, "TuningJobName": job["HyperParameterTuningJobName"]}] if found is not None else []
            overall = best([*job["ParentBest"], *own], kind)
            if overall is not None:
                told["OverallBestTrainingJob"] = {**summary(overall), "TuningJobName": overall["TuningJobName"]}
        return told

    def ListHyperParameterTuningJobs(self, call: Call, request: Request) -> Response:
        """Summaries by name, status and times, in pages."""
        jobs = self._store.list(JOBS, call.region)
        jobs = paging.select(jobs, request, "HyperParameterTuningJobName", "HyperParameterTuningJobStatus")
        jobs = paging.order(jobs, request, _SORT, "Name", "Ascending")

        def shape(job: Job) -> Response:
            children = self._record(call, job).children()
            config = job["HyperParameterTuningJobConfig"]
            return {
                **{member: job[member] for member in _SUMMARY if member in job},
                "Strategy": config["Strategy"],
                "ResourceLimits": config["ResourceLimits"],
                "TrainingJobStatusCounters": status_counters(children),
                "ObjectiveStatusCounters": objective_counters(children),
            }

        return paging.page(jobs, request, "HyperParameterTuningJobSummaries", "HyperParameterTuningJobName", shape)

    def ListTrainingJobsForHyperParameterTuningJob(self, call: Call, request: Request) -> Response:
        """Summaries of the training jobs, in pages; sorted by the objective, those without a value are left out."""
        children = self._record(call, self._job(call, request)).children()
        children = paging.select(children, request, "TrainingJobName", "TrainingJobStatus")
        if request.get("SortBy") == "FinalObjectiveMetricValue":
            children = [child for child in children if "Value" in child]
        children = paging.order(children, request, _SORT_CHILDREN, "Name", "Ascending")
        return paging.page(children, request, "TrainingJobSummaries", "TrainingJobName", summary)

    def StopHyperParameterTuningJob(self, call: Call, request: Request) -> Response:
        """Stop the training jobs that run and start no other; what has been found stays."""
        job = self._job(call, request)
        status = job["HyperParameterTuningJobStatus"]
        if status == "Stopping":
            return {}
        if not TUNING_JOB.may(status, "Stopping"):
            raise validation(f"The request was rejected because the hyperparameter tuning job is in status {status}.")
        now = self._providers.clock.now()
        self._record(call, job).put_job(TUNING_JOB.advance(job, "Stopping", LastModifiedTime=now))
        run, _ = self._runs[call.region, job["HyperParameterTuningJobName"]]
        run.wake()
        return {}

    def DeleteHyperParameterTuningJob(self, call: Call, request: Request) -> Response:
        """Forget a tuning job that is over; its training jobs and their artefacts stay."""
        job = self._job(call, request)
        status = job["HyperParameterTuningJobStatus"]
        if status not in ENDED:
            raise AwsError(
                "ResourceInUse",
                f"Hyperparameter tuning job {job['HyperParameterTuningJobArn']} is in status {status}: only a tuning "
                "job in a terminal state can be deleted.",
            )
        with self._store.transaction():
            self._record(call, job).delete()
            self._tags.delete(job["HyperParameterTuningJobArn"])
        return {}

    def _arn(self, region: str, name: str) -> str:
        return arns.make("sagemaker", region, self._providers.account_id, f"hyper-parameter-tuning-job/{name}")

    def _refuse_taken(self, region: str, name: str) -> None:
        if self._store.get(JOBS, region, name) is not None:
            raise AwsError(
                "ResourceInUse",
                f"A hyperparameter tuning job with the name, {name}, already exists. Choose a different name.",
            )

    def _job(self, call: Call, request: Request) -> Job:
        name = request["HyperParameterTuningJobName"]
        call.resource = self._arn(call.region, name)
        job = self._store.get(JOBS, call.region, name)
        if job is None:
            raise unknown(name)
        return job

    def _record(self, call: Call, job: Job) -> TuningRecord:
        return TuningRecord(self._store, call.region, job["HyperParameterTuningJobName"])

    def _runtime(self, job: Job) -> int:
        end: datetime = job.get("HyperParameterTuningEndTime", self._providers.clock.now())
        began: datetime = job["CreationTime"]
        return round((end - began).total_seconds())

    def _begin(self, region: str, name: str) -> None:
        tags = self._tags.of(self._arn(region, name))
        run = TuningRun(region, name, self._providers, self._training_jobs, tags)
        task = asyncio.get_running_loop().create_task(run.run(), name=f"tuning job {name}")
        self._runs[region, name] = run, task
        task.add_done_callback(self._forget)

    def _forget(self, ended: asyncio.Task[None]) -> None:
        self._runs = {key: (run, task) for key, (run, task) in self._runs.items() if task is not ended}


def _created(job: Job, now: datetime) -> Job:
    """The record of a new tuning job: what was asked, AWS's defaults for what was not, and its first status."""
    config = {"TrainingJobEarlyStoppingType": "Off", **job["HyperParameterTuningJobConfig"]}
    if config.get("ParameterRanges"):
        config["ParameterRanges"] = _ranges(config["ParameterRanges"])
    # An empty structure is not told back: strict clients take it for a broken one.
    config = {member: value for member, value in config.items() if value != {}}
    told = {
        **job,
        "HyperParameterTuningJobConfig": config,
        "HyperParameterTuningJobStatus": "InProgress",
        "CreationTime": now,
        "LastModifiedTime": now,
    }
    told.pop("Tags", None)
    bodies = [_definition(one.body, one.objective["MetricName"]) for one in definitions(job)]
    if "TrainingJobDefinitions" in job:
        return {**told, "TrainingJobDefinitions": bodies}
    return {**told, "TrainingJobDefinition": bodies[0]}


def _ranges(given: dict[str, Any]) -> dict[str, Any]:
    found = {kind: given.get(kind, []) for kind in RANGES}
    for kind in RANGES[:2]:
        found[kind] = [{"ScalingType": "Auto", **entry} for entry in found[kind]]
    return found


def _definition(body: dict[str, Any], metric: str) -> dict[str, Any]:
    told = {
        **body,
        "StaticHyperParameters": {**body.get("StaticHyperParameters", {}), OBJECTIVE: metric},
        "OutputDataConfig": {"KmsKeyId": "", **body["OutputDataConfig"]},
        "EnableNetworkIsolation": body.get("EnableNetworkIsolation", False),
        "EnableInterContainerTrafficEncryption": body.get("EnableInterContainerTrafficEncryption", False),
        "EnableManagedSpotTraining": body.get("EnableManagedSpotTraining", False),
    }
    if body.get("HyperParameterRanges"):
        told["HyperParameterRanges"] = _ranges(body["HyperParameterRanges"])
    return {member: value for member, value in told.items() if value != {}}


def _completion_details(job: Job, children: list[Child]) -> dict[str, Any]:
    first = definitions(job)[0]
    values = [child["Value"] for child in rated(children, first.objective["Type"])]
    details: dict[str, Any] = {
        "NumberOfTrainingJobsObjectiveNotImproving": tuning_completion.not_improving(values, first.minimize)
    }
    if "ConvergenceDetectedTime" in job:
        details["ConvergenceDetectedTime"] = job["ConvergenceDetectedTime"]
    return details
