"""CreateTrainingJob, DescribeTrainingJob, ListTrainingJobs, StopTrainingJob, UpdateTrainingJob, DeleteTrainingJob."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

from sagehound.localcloud.call import Call, Request, Response
from sagehound.localcloud.errors import AwsError, validation
from sagehound.localcloud.services.sagemaker import channels, job_files, paging, training_checks, training_status
from sagehound.localcloud.services.sagemaker.providers import Providers
from sagehound.localcloud.services.sagemaker.tags import Tags
from sagehound.localcloud.services.sagemaker.training_records import JOBS, RUNS, TrainingRecord, new_run
from sagehound.localcloud.services.sagemaker.training_run import TrainingRun
from sagehound.localcloud.services.sagemaker.training_values import TrainingValues
from sagehound.localcloud.state import arns

Job = dict[str, Any]

_SORT = {"Name": "TrainingJobName", "CreationTime": "CreationTime", "Status": "TrainingJobStatus"}
_DEFAULT_RUNTIME = 86_400
_RULES_NOT_RUN = "The local cloud stores Debugger rules and does not evaluate them."


class TrainingJobs:
    """The training jobs of all regions, and the runs of those that are on their way."""

    def __init__(self, providers: Providers, tags: Tags) -> None:
        self._providers = providers
        self._store = providers.store
        self._tags = tags
        self._values = TrainingValues(providers.store)
        self._values.create_tables()
        self._runs: dict[tuple[str, str], tuple[TrainingRun, asyncio.Task[None]]] = {}

    async def start(self) -> None:
        """Go on with every job that was on its way when the server ended."""
        for run in self._store.list(RUNS):
            self._begin(run["Region"], run["Name"], {})
        await asyncio.to_thread(self._remove_leftovers, {run.folder for run, _ in self._runs.values()})

    async def stop(self) -> None:
        """Let go of the jobs: their programs run on and are adopted at the next start."""
        tasks = [task for _, task in self._runs.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def CreateTrainingJob(self, call: Call, request: Request) -> Response:
        """Store the job and begin it; a job that was answered is run, even if the server dies at once."""
        call.resource = self.arn(call.region, request["TrainingJobName"])
        return {"TrainingJobArn": await self.create(call.region, request)}

    async def check(self, region: str, request: Request) -> channels.Found:
        """Refuse what CreateTrainingJob refuses, quotas and a taken name apart; the objects of the channels."""
        training_checks.check(request, self.arn(region, request["TrainingJobName"]), self._providers)
        self._tags.check(request.get("Tags"))
        asked, objects = request.get("InputDataConfig", []), self._providers.objects
        role = self._providers.acting_as(request["RoleArn"], region)
        return await asyncio.to_thread(channels.find, asked, objects, region, role)

    def check_quotas(self, region: str, request: Request) -> None:
        """Refuse a job that needs more instances than the account has free now."""
        training_checks.check_quotas(request["ResourceConfig"], region, self._providers)

    async def create(self, region: str, request: Request, tuning_job_arn: str | None = None) -> str:
        """Do what CreateTrainingJob does, for a tuning job where its ARN is given; the job's ARN."""
        name, tags = request["TrainingJobName"], request.get("Tags")
        arn = self.arn(region, name)
        self._refuse_taken(region, name, arn)
        found = await self.check(region, request)
        parent = {"TuningJobArn": tuning_job_arn} if tuning_job_arn else {}
        job = _created({**request, **parent, "TrainingJobArn": arn}, self._providers.clock.now())
        with self._store.transaction():
            self._refuse_taken(region, name, arn)
            self.check_quotas(region, request)
            self._store.put(JOBS, region, name, job)
            self._store.put(RUNS, region, name, new_run(region, name))
            self._tags.create(arn, tags)
        self._begin(region, name, found)
        return arn

    def arn(self, region: str, name: str) -> str:
        """The ARN of the training job that has this name, or could have it."""
        return arns.make("sagemaker", region, self._providers.account_id, f"training-job/{name}")

    def _refuse_taken(self, region: str, name: str, arn: str) -> None:
        if self._store.get(JOBS, region, name) is not None:
            raise AwsError(
                "ResourceInUse",
                "Training job names must be unique within an AWS account and region, and a training job with this "
                f"name already exists ({arn})",
            )

    def DescribeTrainingJob(self, call: Call, request: Request) -> Response:
        """The job; an unknown name is a ValidationException, not the ResourceNotFound that the model promises."""
        return self._job(call, request)

    def ListTrainingJobs(self, call: Call, request: Request) -> Response:
        """Summaries by name, status and times, in pages."""
        jobs = paging.select(self._store.list(JOBS, call.region), request, "TrainingJobName", "TrainingJobStatus")
        if "WarmPoolStatusEquals" in request or "TrainingPlanArnEquals" in request:
            jobs = []
        jobs = paging.order(jobs, request, _SORT, "CreationTime", "Ascending")
        return paging.page(jobs, request, "TrainingJobSummaries", "TrainingJobName", _summary)

    def StopTrainingJob(self, call: Call, request: Request) -> Response:
        """Ask the job to end: SIGTERM, 120 seconds, SIGKILL; its artefacts are stored all the same."""
        job = self._job(call, request)
        status = job["TrainingJobStatus"]
        if status == "Stopping":
            return {}
        if not training_status.TRAINING_JOB.may(status, "Stopping"):
            raise validation(f"The request was rejected because the training job is in status {status}.")
        self._stop(call.region, job)
        return {}

    def stop_job(self, region: str, name: str) -> None:
        """StopTrainingJob, for a tuning job; one that is over or stopping already is left alone."""
        job = self._store.get(JOBS, region, name)
        if job is not None and training_status.TRAINING_JOB.may(job["TrainingJobStatus"], "Stopping"):
            self._stop(region, job)

    def _stop(self, region: str, job: Job) -> None:
        name = job["TrainingJobName"]
        stopping = training_status.TRAINING_JOB.advance(job, "Stopping")
        record = TrainingRecord(self._store, region, name)
        record.put_job(training_status.enter(stopping, "Stopping", self._providers.clock.now()))
        run, _ = self._runs[region, name]
        run.stop()

    def UpdateTrainingJob(self, call: Call, request: Request) -> Response:
        """Change the profiler's configuration, remote debugging and the warm pool's length of a running job."""
        job = self._job(call, request)
        if job["TrainingJobStatus"] != "InProgress":
            raise validation(
                f"The request was rejected because the training job is in status {job['TrainingJobStatus']}."
            )
        changed = dict(job)
        for member in ("ProfilerConfig", "ResourceConfig", "RemoteDebugConfig"):
            if member in request:
                changed[member] = {**job.get(member, {}), **request[member]}
        if "ProfilerRuleConfigurations" in request:
            rules = request["ProfilerRuleConfigurations"]
            changed["ProfilerRuleConfigurations"] = rules
            changed["ProfilerRuleEvaluationStatuses"] = _not_evaluated(rules, self._providers.clock.now())
        changed["LastModifiedTime"] = self._providers.clock.now()
        self._store.put(JOBS, call.region, job["TrainingJobName"], changed)
        if "ProfilerConfig" in request:
            run, _ = self._runs[call.region, job["TrainingJobName"]]
            run.write_profiler_config()
        return {"TrainingJobArn": job["TrainingJobArn"]}

    def DeleteTrainingJob(self, call: Call, request: Request) -> Response:
        """Forget a job that is over; its name is free again."""
        job = self._job(call, request)
        if job["TrainingJobStatus"] not in training_status.ENDED:
            raise AwsError(
                "ResourceInUse",
                f"Training job {job['TrainingJobArn']} is in status {job['TrainingJobStatus']}: only a training job "
                "in a terminal state can be deleted.",
            )
        with self._store.transaction():
            self._store.delete(JOBS, call.region, job["TrainingJobName"])
            self._values.delete(call.region, job["TrainingJobName"])
            self._tags.delete(job["TrainingJobArn"])
        return {}

    def _job(self, call: Call, request: Request) -> Job:
        name = request["TrainingJobName"]
        call.resource = self.arn(call.region, name)
        job = self._store.get(JOBS, call.region, name)
        if job is None:
            raise validation("Requested resource not found.")
        return job

    def _begin(self, region: str, name: str, found: channels.Found) -> None:
        run = TrainingRun(region, name, self._providers, found)
        task = asyncio.get_running_loop().create_task(run.run(), name=f"training job {name}")
        self._runs[region, name] = run, task
        task.add_done_callback(self._forget)
        task.add_done_callback(lambda _: self._providers.events.tell(region, name))

    def _forget(self, ended: asyncio.Task[None]) -> None:
        self._runs = {key: (run, task) for key, (run, task) in self._runs.items() if task is not ended}

    def _remove_leftovers(self, used: set[Path]) -> None:
        """Delete the folders of jobs that ended just before the server did. Blocking."""
        for folder in (self._providers.data_dir / "training").glob("*/*"):
            if folder not in used:
                job_files.remove(folder)


def _created(job: Job, now: datetime) -> Job:
    """The record of a new job: what was asked, AWS's defaults for what was not, and its first status."""
    job = {
        **job,
        "OutputDataConfig": {"KmsKeyId": "", "CompressionType": "GZIP", **job["OutputDataConfig"]},
        "StoppingCondition": {"MaxRuntimeInSeconds": _DEFAULT_RUNTIME, **job.get("StoppingCondition", {})},
        "ResourceConfig": {"VolumeSizeInGB": 0, **job["ResourceConfig"]},
        "EnableNetworkIsolation": job.get("EnableNetworkIsolation", False),
        "EnableInterContainerTrafficEncryption": job.get("EnableInterContainerTrafficEncryption", False),
        "EnableManagedSpotTraining": job.get("EnableManagedSpotTraining", False),
        "ProfilingStatus": "Disabled",
        "TrainingJobStatus": "InProgress",
        "CreationTime": now,
    }
    # An empty structure is not told back: strict clients take it for a broken one.
    job = {member: value for member, value in job.items() if value != {}}
    job.pop("Tags", None)
    job.pop("SessionChainingConfig", None)
    if "InputDataConfig" in job:
        job["InputDataConfig"] = [_channel(channel) for channel in job["InputDataConfig"]]
    for kind in ("Debug", "Profiler"):
        if job.get(f"{kind}RuleConfigurations"):
            rules = job[f"{kind}RuleConfigurations"]
            job[f"{kind}RuleEvaluationStatuses"] = _not_evaluated(rules, now)
    return training_status.enter(job, "Starting", now)


def _channel(channel: dict[str, Any]) -> dict[str, Any]:
    source = {"S3DataDistributionType": "FullyReplicated", **channel["DataSource"]["S3DataSource"]}
    return {
        "CompressionType": "None",
        "RecordWrapperType": "None",
        **channel,
        "DataSource": {**channel["DataSource"], "S3DataSource": source},
    }


def _not_evaluated(rules: list[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
    return [
        {
            "RuleConfigurationName": rule["RuleConfigurationName"],
            "RuleEvaluationStatus": "Stopped",
            "StatusDetails": _RULES_NOT_RUN,
            "LastModifiedTime": now,
        }
        for rule in rules
    ]


def _summary(job: Job) -> Response:
    members = (
        "TrainingJobName",
        "TrainingJobArn",
        "CreationTime",
        "TrainingEndTime",
        "LastModifiedTime",
        "TrainingJobStatus",
        "SecondaryStatus",
    )
    return {member: job[member] for member in members if member in job}
