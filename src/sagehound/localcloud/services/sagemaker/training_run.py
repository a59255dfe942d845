"""The doing of a training job: download, train, upload; from the start, or from where a restart has left it."""

from __future__ import annotations

import asyncio
import itertools
import logging
import sqlite3
from pathlib import Path
from typing import Any

from sagehound.localcloud.container.requirements import InstallError
from sagehound.localcloud.container.training import MASTER_PORT, CodeError, instance_groups
from sagehound.localcloud.processes.hosts import allocate_addresses
from sagehound.localcloud.processes.log_pump import LogPump
from sagehound.localcloud.processes.supervisor import Exit
from sagehound.localcloud.services.sagemaker import (
    artifacts,
    channels,
    checkpoints,
    job_files,
    training_failure,
    training_status,
)
from sagehound.localcloud.services.sagemaker.checkpoints import Checkpoints
from sagehound.localcloud.services.sagemaker.providers import Providers
from sagehound.localcloud.services.sagemaker.training_hosts import TrainingHosts
from sagehound.localcloud.services.sagemaker.training_output import TrainingOutput
from sagehound.localcloud.services.sagemaker.training_records import RUNS, TrainingRecord
from sagehound.localcloud.services.sagemaker.training_status import STOPPED_BY_LIMIT

logger = logging.getLogger(__name__)

STOP_GRACE = 120.0
"""Seconds between SIGTERM and SIGKILL, as AWS gives a job that is stopped."""
_PEER_GRACE = 10.0
"""Seconds that the other hosts get when one has failed."""
_FULL_DISK_SECONDS = 5.0

Outcome = dict[str, str]
"""Status, Secondary and, of a failure, Reason."""

COMPLETED: Outcome = {"Status": "Completed", "Secondary": "Completed"}
STOPPED: Outcome = {"Status": "Stopped", "Secondary": "Stopped"}
TIMED_OUT: Outcome = {"Status": "Stopped", "Secondary": STOPPED_BY_LIMIT}


def failed(reason: str) -> Outcome:
    """The outcome of a job that failed."""
    return {"Status": "Failed", "Secondary": "Failed", "Reason": reason}


class TrainingRun:
    """One job on its way. `run` is its whole life; cancelling it leaves the programs running, to be adopted."""

    def __init__(self, region: str, name: str, providers: Providers, found: channels.Found) -> None:
        self._found = found
        self._providers = providers
        self._clock = providers.clock
        self._record = TrainingRecord(providers.store, region, name)
        created = int(self._record.job()["CreationTime"].timestamp() * 1000)
        self.folder = providers.data_dir / "training" / region / f"{name}-{created:x}"
        self._output = TrainingOutput(self._record, providers)
        self._checkpoints = self._checkpoint_folders()
        self._stop = asyncio.Event()
        if self._record.job()["TrainingJobStatus"] == "Stopping":
            self._stop.set()

    def stop(self) -> None:
        """StopTrainingJob was called: the record says Stopping already."""
        self._stop.set()

    async def run(self) -> None:
        """Bring the job to its end, whatever happens."""
        try:
            outcome = self._record.run().get("Outcome") or await self._work()
            self._record.update_run(Outcome=outcome)
            outcome = await self._upload(outcome)
        except Exception as error:
            logger.exception("training job %s", self._record.name)
            outcome = failed(f"InternalServerError: The local cloud failed ({type(error).__name__}: {error})")
            await self._end_programs()
        await self._finish(outcome)
        await asyncio.to_thread(job_files.remove, self.folder)

    async def _work(self) -> Outcome:
        """Everything up to the end of the programs."""
        try:
            if not self._started():
                early = await self._prepare()
                if early is not None:
                    return early
            return await self._train()
        except (channels.DataError, CodeError, InstallError, artifacts.UploadError) as problem:
            return failed(str(problem))

    def _started(self) -> bool:
        hosts = self._record.run()["Hosts"]
        return bool(hosts) and all("Handle" in host for host in hosts.values())

    async def _prepare(self) -> Outcome | None:
        """Download and start, from an empty folder; an outcome when the job ends before its programs run."""
        await self._end_programs()
        await asyncio.to_thread(job_files.remove, self.folder)
        self.folder.mkdir(parents=True)
        job = self._record.job()
        self._check_output(job)
        if job["TrainingJobStatus"] == "InProgress":
            now = self._clock.now()
            self._record.put_job(training_status.enter({**job, "TrainingStartTime": now}, "Downloading", now))
        names = [name for group in instance_groups(job["ResourceConfig"]) for name in group.hosts]
        addresses, master_port = self._place(len(names))
        epoch = int(self._clock.time())
        streams = {name: {"Stream": f"{self._record.name}/{name}-{epoch}"} for name in names}
        self._record.update_run(Addresses=addresses, MasterPort=master_port, Hosts=streams)
        hosts = TrainingHosts(
            job,
            self.folder,
            self._providers,
            self._checkpoints,
            self._found,
            lambda line: self._output.say(names[0], line),
        )
        preparing = asyncio.ensure_future(hosts.prepare(addresses, master_port))
        try:
            interrupt = await self._wait_for({preparing})
            if interrupt is not None:
                return interrupt
            for ready in preparing.result():
                self._output.say(ready.host.name, hosts.opening_line(ready))
                handle = await self._providers.supervisor.start(ready.host, ready.program)
                self._record.update_host(ready.host.name, Handle=handle, Argv=ready.program.argv, Offset=0)
        finally:
            preparing.cancel()
            await asyncio.gather(preparing, return_exceptions=True)
            await hosts.settle()
        self._record.update_run(MemoryKills=training_failure.out_of_memory_kills())
        if not self._stop.is_set():
            self._record.enter("Training", self._clock.now())
        return None

    def _check_output(self, job: dict[str, Any]) -> None:
        """A missing output bucket is said before the hours of training, not after them."""
        uri = artifacts.model_uri(job)
        if self._providers.objects.bucket_region(channels.location(uri).bucket) is None:
            raise artifacts.UploadError(
                f"ClientError: Artifact upload failed:Unable to upload file to {uri} "
                "(NoSuchBucket: The specified bucket does not exist)"
            )

    def _place(self, count: int) -> tuple[list[str], int]:
        """Addresses for the hosts and a port where they meet, which no other job of this cloud has."""
        arn = self._record.job()["TrainingJobArn"]
        own = (self._record.region, self._record.name)
        others = [run for run in self._providers.store.list(RUNS) if (run["Region"], run["Name"]) != own]
        in_use = [address for run in others for address in run["Addresses"]]
        ports = {run["MasterPort"] for run in others}
        port = next(port for port in itertools.count(MASTER_PORT) if port not in ports)
        return allocate_addresses(count, in_use, f"{self._providers.data_dir}:{arn}"), port

    async def _wait_for(self, work: set[asyncio.Future[Any]]) -> Outcome | None:
        """Wait until one of `work` is done, the job is stopped, or its time is over: None, or what interrupted."""
        job = self._record.job()
        limit = job["StoppingCondition"]["MaxRuntimeInSeconds"]
        used = self._clock.time() - job["TrainingStartTime"].timestamp() if "TrainingStartTime" in job else 0.0
        stop = asyncio.ensure_future(self._stop.wait())
        timer = asyncio.ensure_future(self._clock.sleep(limit - used))
        try:
            done, _ = await asyncio.wait({*work, stop, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            timer.cancel()
        if done & work:
            return None
        return STOPPED if stop in done else TIMED_OUT

    async def _train(self) -> Outcome:
        """Follow the programs until all have ended; a stop, the time limit or one failure ends the others."""
        sync = asyncio.ensure_future(self._sync_checkpoints())
        pumps: dict[asyncio.Future[Exit], str] = {}
        for name, host in self._record.run()["Hosts"].items():
            follower = LogPump(
                self._providers.supervisor,
                host["Handle"],
                lambda batch, offset, name=name: self._output.take(name, batch, offset),  # type: ignore[misc]
                host["Offset"],
            )
            pumps[asyncio.ensure_future(follower.run())] = name
        try:
            return await self._watch(pumps)
        finally:
            sync.cancel()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(sync, *pumps, return_exceptions=True)

    async def _watch(self, pumps: dict[asyncio.Future[Exit], str]) -> Outcome:
        outcome: Outcome | None = TIMED_OUT if self._record.run().get("Interrupt") else None
        ending: asyncio.Future[Any] | None = None
        pending: set[asyncio.Future[Exit]] = set(pumps)
        try:
            while pending:
                if outcome is None:
                    outcome = await self._wait_for(pending)
                elif ending is None:
                    ending = asyncio.ensure_future(self._stop_programs(outcome))
                else:
                    await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in [task for task in pending if task.done()]:
                    pending.discard(task)
                    if outcome is None and not task.result().success:
                        outcome = self._failure(pumps[task], task.result())
            if ending is not None:
                await ending
        finally:
            if ending is not None:
                ending.cancel()
        return outcome or COMPLETED

    def _failure(self, name: str, end: Exit) -> Outcome:
        """Why the job fails because of how the program on one host ended."""
        run = self._record.run()
        if end.lost:
            return failed(
                f"InternalServerError: The program on {name} ended while the local cloud was not running, "
                "and nothing says how (the machine was restarted, or its processes were killed)."
            )
        killed = end.signal == 9 and training_failure.out_of_memory_kills() > run.get("MemoryKills", 0)
        argv, ml = run["Hosts"][name]["Argv"], self.folder / name / "opt/ml"
        return failed(training_failure.reason(end, self._output.words(name), argv, ml, killed))

    async def _stop_programs(self, outcome: Outcome) -> None:
        """SIGTERM to every host's whole process group, SIGKILL when the grace is over."""
        if outcome is TIMED_OUT:
            self._record.update_run(Interrupt="MaxRuntime")
        seconds = _PEER_GRACE if outcome["Status"] == "Failed" else STOP_GRACE
        handles = [host["Handle"] for host in self._record.run()["Hosts"].values()]
        supervisor = self._providers.supervisor
        await asyncio.gather(*(supervisor.stop(handle, seconds / self._clock.speed) for handle in handles))

    async def _end_programs(self) -> None:
        """Kill what runs of this job: it starts anew, or our own fault ends it."""
        for host in self._record.run()["Hosts"].values():
            if "Handle" in host:
                await self._providers.supervisor.stop(host["Handle"], 0.0)

    def _mls(self) -> list[Path]:
        names = [name for group in instance_groups(self._record.job()["ResourceConfig"]) for name in group.hosts]
        return [self.folder / name / "opt/ml" for name in names]

    def _checkpoint_folders(self) -> list[Checkpoints]:
        config = self._record.job().get("CheckpointConfig")
        return [Checkpoints(config, ml, self._providers.objects) for ml in self._mls()] if config else []

    async def _sync_checkpoints(self) -> None:
        """Upload new checkpoints every few seconds; what fails is tried again, and said once in the log."""
        said = ""
        while self._checkpoints:
            await asyncio.sleep(checkpoints.SYNC_SECONDS)
            try:
                for folder in self._checkpoints:
                    await asyncio.to_thread(folder.store)
            except channels.DataError as error:
                if str(error) != said:
                    self._output.say(next(iter(self._record.run()["Hosts"])), str(error))
                said = str(error)

    async def _upload(self, outcome: Outcome) -> Outcome:
        """Store the artefacts, after a failure and a stop too; a job that cannot store them has failed."""
        mls = [ml for ml in self._mls() if ml.is_dir()]
        if not mls or not self._started():
            return outcome
        if self._record.job()["SecondaryStatus"] != "Uploading":
            self._record.enter("Uploading", self._clock.now())
        job, objects = self._record.job(), self._providers.objects
        for folder in self._checkpoints:
            try:
                await asyncio.to_thread(folder.store, last=True)
            except channels.DataError as problem:  # the model is stored all the same
                outcome = failed(str(problem)) if outcome["Status"] != "Failed" else outcome
        try:
            stored = await asyncio.to_thread(artifacts.upload, job, mls, self.folder, objects)
        except artifacts.UploadError as problem:
            return failed(str(problem)) if outcome["Status"] != "Failed" else outcome
        if stored or outcome["Status"] != "Failed":
            # Named even when /opt/ml/model was empty and nothing lies there, as on AWS.
            self._record.update_job(ModelArtifacts={"S3ModelArtifacts": artifacts.model_uri(job)})
        return outcome

    async def _finish(self, outcome: Outcome) -> None:
        """Store the end of the job, as soon as the disk has room for it."""
        while True:
            try:
                self._end(outcome)
                return
            except sqlite3.OperationalError:
                logger.exception("the end of training job %s cannot be stored yet", self._record.name)
            await asyncio.sleep(_FULL_DISK_SECONDS)

    def _end(self, outcome: Outcome) -> None:
        job, now = self._record.job(), self._clock.now()
        if job["TrainingJobStatus"] == "Stopping" and outcome["Status"] == "Completed":
            outcome = STOPPED  # the stop came during the upload
        hosts = self._record.run()["Hosts"].values()
        self._record.end(training_status.end(job, outcome["Status"], outcome["Secondary"], now, outcome.get("Reason")))
        for host in hosts:
            if "Handle" in host:
                self._providers.supervisor.remove(host["Handle"])
