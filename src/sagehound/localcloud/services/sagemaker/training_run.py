"""The doing of a training job: download, train, upload; from the start, or from where a restart has left it."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import zlib
from typing import Any

from sagehound.localcloud.container import debugger
from sagehound.localcloud.container.requirements import InstallError
from sagehound.localcloud.container.training import MASTER_PORT, CodeError, instance_groups
from sagehound.localcloud.processes.hosts import allocate_addresses, free_port
from sagehound.localcloud.services.sagemaker import artifacts, channels, job_files, training_status
from sagehound.localcloud.services.sagemaker.providers import Providers
from sagehound.localcloud.services.sagemaker.training_hosts import TrainingHosts
from sagehound.localcloud.services.sagemaker.training_network import TrainingNetwork
from sagehound.localcloud.services.sagemaker.training_outcome import STOPPED, TIMED_OUT, Outcome, failed
from sagehound.localcloud.services.sagemaker.training_output import TrainingOutput
from sagehound.localcloud.services.sagemaker.training_programs import TrainingPrograms
from sagehound.localcloud.services.sagemaker.training_records import RUNS, TrainingRecord
from sagehound.localcloud.services.sagemaker.training_storage import TrainingStorage

logger = logging.getLogger(__name__)

_FULL_DISK_SECONDS = 5.0


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
        self._network = TrainingNetwork(self._record, providers.supervisor, self._output.say)
        self._programs = TrainingPrograms(self._record, self.folder, providers, self._output, self._network)
        self._storage = TrainingStorage(self._record, self.folder, providers, self._output)
        self._stop = asyncio.Event()
        if self._record.job()["TrainingJobStatus"] == "Stopping":
            self._stop.set()

    def stop(self) -> None:
        """StopTrainingJob was called: the record says Stopping already."""
        self._stop.set()

    def write_profiler_config(self) -> None:
        """Tell the hosts of a ProfilerConfig that has changed: the profiler in them looks from time to time."""
        content = json.dumps(debugger.profiler_file(self._record.job()))
        for ml in self.folder.glob("*/opt/ml"):
            job_files.rewrite(ml, "input/config", "profilerconfig.json", content)

    async def run(self) -> None:
        """Bring the job to its end, whatever happens."""
        try:
            outcome = self._record.run().get("Outcome") or await self._work()
            self._record.update_run(Outcome=outcome)
            if self._programs.started:
                outcome = await self._storage.upload(outcome)
        except Exception as error:
            logger.exception("training job %s", self._record.name)
            outcome = failed(f"InternalServerError: The local cloud failed ({type(error).__name__}: {error})")
            await self._programs.end()
        await self._finish(outcome)
        await asyncio.to_thread(job_files.remove, self.folder)

    async def _work(self) -> Outcome:
        """Everything up to the end of the programs."""
        try:
            if not self._programs.started:
                early = await self._prepare()
                if early is not None:
                    return early
            return await self._train()
        except (channels.DataError, CodeError, InstallError, artifacts.UploadError) as problem:
            return failed(str(problem))
        finally:
            self._network.close()

    async def _prepare(self) -> Outcome | None:
        """Download and start, from an empty folder; an outcome when the job ends before its programs run."""
        await self._programs.end()
        await asyncio.to_thread(job_files.remove, self.folder)
        self.folder.mkdir(parents=True)
        job = self._record.job()
        self._storage.check_output(job)
        if job["TrainingJobStatus"] == "InProgress":
            now = self._clock.now()
            self._record.put_job(training_status.enter({**job, "TrainingStartTime": now}, "Downloading", now))
        names = [name for group in instance_groups(job["ResourceConfig"]) for name in group.hosts]
        epoch = int(self._clock.time())
        streams = {name: {"Stream": f"{self._record.name}/{name}-{epoch}"} for name in names}
        self._record.update_run(Hosts=streams)
        await self._network.make(names[0])
        addresses, master_port = self._place(len(names))
        self._record.update_run(Addresses=addresses, MasterPort=master_port)
        hosts = TrainingHosts(
            job,
            self.folder,
            self._providers,
            self._storage.checkpoints,
            self._found,
            lambda line: self._output.say(names[0], line),
        )
        preparing = asyncio.ensure_future(hosts.prepare(addresses, master_port))
        try:
            interrupt = await self._wait_for({preparing})
            if interrupt is not None:
                return interrupt
            if self._record.job().get("ProfilerConfig") != job.get("ProfilerConfig"):
                self.write_profiler_config()  # UpdateTrainingJob came before the files that it would change
            self._record.update_run(Joining=hosts.joining)
            await self._programs.start(preparing.result(), hosts.opening_line)
        finally:
            preparing.cancel()
            await asyncio.gather(preparing, return_exceptions=True)
            await hosts.settle()
        if not self._stop.is_set():
            self._record.enter("Training", self._clock.now())
        return None

    def _place(self, count: int) -> tuple[list[str], int]:
        """Addresses for the hosts, which no other job of this cloud has, and the port where they meet.

        In a network of their own that is AWS's; on the machine's each job needs another.
        """
        arn = self._record.job()["TrainingJobArn"]
        own = (self._record.region, self._record.name)
        others = [run for run in self._providers.store.list(RUNS) if (run["Region"], run["Name"]) != own]
        in_use = [address for run in others for address in run["Addresses"]]
        ports = {run["MasterPort"] for run in others}
        seed = f"{self._providers.data_dir}:{arn}"
        addresses = allocate_addresses(count, in_use, seed)
        if self._network.network is not None:
            return addresses, MASTER_PORT
        # Hosts listen seconds after this look, so two clouds of one machine must not begin it at the same place.
        first = MASTER_PORT + (zlib.crc32(seed.encode()) % 4000 if count > 1 else 0)
        return addresses, free_port(first, ports)

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
        if self._stop.is_set():
            return STOPPED  # whatever else has happened: a program that ended now may have ended by our SIGTERM
        if done & work:
            return None
        return TIMED_OUT

    async def _train(self) -> Outcome:
        """Follow the programs to their ends, with their checkpoints kept in step with S3."""
        await self._network.adopt()
        sync = asyncio.ensure_future(self._storage.sync_checkpoints())
        try:
            return await self._programs.run(self._wait_for)
        finally:
            sync.cancel()
            await asyncio.gather(sync, return_exceptions=True)

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
