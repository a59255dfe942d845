"""What a training job keeps in S3: its checkpoints and tensors while it runs, its artefacts at its end"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

from sagehound.localcloud.container import debugger
from sagehound.localcloud.container.training import instance_groups
from sagehound.localcloud.services.sagemaker import artifacts, channels, checkpoints
from sagehound.localcloud.services.sagemaker.checkpoints import Checkpoints
from sagehound.localcloud.services.sagemaker.providers import Providers
from sagehound.localcloud.services.sagemaker.training_outcome import Outcome, failed
from sagehound.localcloud.services.sagemaker.training_output import TrainingOutput
from sagehound.localcloud.services.sagemaker.training_records import TrainingRecord

logger = logging.getLogger(__name__)


class TrainingStorage:
    """The checkpoints and artefacts of one job's hosts, whose folders lie in `folder`."""

    def __init__(self, record: TrainingRecord, folder: Path, providers: Providers, output: TrainingOutput) -> None:
        self._record = record
        self._folder = folder
        self._objects = providers.objects
        self._clock = providers.clock
        self._output = output
        job = record.job()
        self._role = providers.acting_as(job["RoleArn"], record.region)
        config = job.get("CheckpointConfig")
        self.checkpoints = [Checkpoints(config, ml, self._objects, self._role) for ml in self._mls()] if config else []
        self._said: set[str] = set()
        self._written = [
            Checkpoints(place, ml, self._objects, self._role, written.what)
            for written, place in debugger.written(job)
            for ml in self._mls()
        ]

    def _mls(self) -> list[Path]:
        names = [name for group in instance_groups(self._record.job()["ResourceConfig"]) for name in group.hosts]
        return [self._folder / name / "opt/ml" for name in names]

    def check_output(self, job: dict[str, Any]) -> None:
        """A missing output bucket, or a role that may not write, is said before the hours of training, not after."""
        uri = artifacts.model_uri(job)
        if self._objects.bucket_region(channels.location(uri).bucket) is None:
            raise artifacts.UploadError(
                f"ClientError: Artifact upload failed:Unable to upload file to {uri} "
                "(NoSuchBucket: The specified bucket does not exist)"
            )
        target = f"{uri}model" if uri.endswith("/") else uri
        artifacts.check_writable(self._role, [target], ahead=True)

    async def sync_checkpoints(self) -> None:
        """Upload new checkpoints every few seconds; what fails is tried again, and said once in the log."""
        folders = [*self.checkpoints, *self._written]
        while folders:
            await asyncio.sleep(checkpoints.SYNC_SECONDS)
            for folder in folders:
                try:
                    await asyncio.to_thread(folder.store)
                except channels.DataError as error:
                    self._say_once(str(error))
                except Exception:
                    # A full disk, say: what cannot be stored now can be later, and nobody waits for this task.
                    logger.exception("checkpoints of training job %s", self._record.name)

    def _say_once(self, problem: str) -> None:
        if problem not in self._said:
            self._said.add(problem)
            self._output.say(next(iter(self._record.run()["Hosts"])), problem)

    async def upload(self, outcome: Outcome) -> Outcome:
        """Store the artefacts, after a failure and a stop too; a job that cannot store them has failed."""
        mls = [ml for ml in self._mls() if ml.is_dir()]
        if not mls:
            return outcome
        if self._record.job()["SecondaryStatus"] != "Uploading":
            self._record.enter("Uploading", self._clock.now())
        job = self._record.job()
        for folder in self.checkpoints:
            try:
                await asyncio.to_thread(folder.store, last=True)
            except channels.DataError as problem:  # the model is stored all the same
                outcome = failed(str(problem)) if outcome["Status"] != "Failed" else outcome
        for folder in self._written:
            try:
                await asyncio.to_thread(folder.store, last=True)
            except channels.DataError as problem:  # which is no fault of the training
                self._say_once(str(problem))
        try:
            stored = await asyncio.to_thread(artifacts.upload, job, mls, self._folder, self._objects, self._role)
        except artifacts.UploadError as problem:
            return failed(str(problem)) if outcome["Status"] != "Failed" else outcome
        if stored or outcome["Status"] != "Failed":
            # Named even when /opt/ml/model was empty and nothing lies there, as on AWS.
            self._record.update_job(ModelArtifacts={"S3ModelArtifacts": artifacts.model_uri(job)})
        return outcome
